/**
 * A hundred thousand generated statements, run as a query process runs them: none may reach a file, a setting or the network,
 * change a table, tell a path, or bring the engine down. Some of them go through the whole service, while rows come in.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import { TABLES } from '../../../src/contract/index.ts';
import { LIMITS, type TelemetryLimits, type TelemetryService } from '../../../src/telemetry/index.ts';
import { ATTACKS } from './attacks.ts';
import type { FromLocked, Ran, ToLocked } from './locked.ts';
import { Statements } from './statements.ts';
import { batch, dumpRequest, post, query, rowsOf, startService, statusRow, temporaryFolder } from './support.ts';

const LOCKED = fileURLToPath(new URL('./locked.ts', import.meta.url));
const STATEMENTS = 100_000;
const PROCESSES = 2;
const ROUND = 2_500;
const SEED = 20_261;
/** What a query may take here, milliseconds; the service allows more. */
const TIME_LIMIT_MS = 3_000;
/** The same for statements of which some sleep until they are killed. */
const SLEEPING_LIMIT_MS = 1_000;
const SECRET = 'secret-4711';
const FUZZ_LIMITS: TelemetryLimits = { ...LIMITS, sql_rows_max: 1_000, sql_memory_mib: 128 };
/** A row of each table, in one number. */
const CHECKSUMS = TABLES.map(
  ({ name }) => `select '${name}' as name, count(*) as n, bit_xor(hash(t))::varchar as sum from ${name} t`,
).join(' union all ');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let outside = '';
let canary = '';
let source_path = '';
const children = new Set<ChildProcess>();

/** A service with rows in its tables. */
async function startFilled(): Promise<TelemetryService> {
  const service = await startService(join(folder.path, 'data'));
  const actors = Array.from({ length: 20 }, (_, i) => [i, i, 1, i, `actor-${i}`, null]);
  const producer = randomUUID();
  const statuses = Array.from({ length: 200 }, (_, i) => statusRow(i));
  await post(service.url, '/ingest', batch(producer, 1, statuses));
  const tables = { actors, meshes: [[1, 1, 'Proc', 'm', 'm', '{}', null, null]] };
  expect((await post(service.url, '/ingest', { producer, seq: 2, lost_rows: 0, tables })).status).toBe(200);
  await post(service.url, '/dumps', dumpRequest());
  return service;
}

beforeEach(async () => {
  folder = await temporaryFolder();
  outside = join(folder.path, 'outside');
  await mkdir(outside);
  canary = join(outside, 'canary.csv');
  await writeFile(canary, `name\n${SECRET}\n`);
  source_path = join(folder.path, 'data', 'telemetry.duckdb');
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await folder.remove();
});

const arm = (sql: string): string => sql.replaceAll('CANARY', canary).replaceAll('FOLDER', outside);

/** A process that is locked in, in a folder of its own, and what it says. */
class Locked {
  readonly copy: string;
  readonly #child: ChildProcess;
  #place = 0;

  private constructor(copy: string) {
    this.copy = copy;
    this.#child = fork(LOCKED, [], { serialization: 'advanced', stdio: 'ignore', env: { HOME: copy }, execArgv: [] });
    children.add(this.#child);
    this.#child.on('message', (message: FromLocked) => {
      if (message.kind === 'at') this.#place = message.place;
    });
  }

  static async open(): Promise<Locked> {
    const locked = new Locked(await mkdtemp(join(folder.path, 'copy-')));
    await locked.#ask({ kind: 'open', source_path, folder: locked.copy, limits: FUZZ_LIMITS }, 'opened', 20_000);
    return locked;
  }

  /** Runs statements; gives as many results as it got to before one took too long or brought the process down. */
  async run(
    statements: string[],
    checked = true,
    limit_ms = TIME_LIMIT_MS,
  ): Promise<{ results: Ran[] | null; place: number }> {
    this.#place = 0;
    const said = await this.#ask({ kind: 'run', statements, checked }, 'ran', limit_ms);
    return { results: said?.kind === 'ran' ? said.results : null, place: this.#place };
  }

  async checksums(): Promise<string> {
    const { results } = await this.run([CHECKSUMS], false);
    return results?.[0]?.text ?? '';
  }

  kill(): void {
    this.#child.kill('SIGKILL');
    children.delete(this.#child);
  }

  /** Null when the process ended, or had to be killed since it got no further. */
  #ask(message: ToLocked, answer: FromLocked['kind'], limit_ms: number): Promise<FromLocked | null> {
    return new Promise((resolve) => {
      let timer = setTimeout(() => this.kill(), limit_ms);
      const take = (said: FromLocked): void => {
        clearTimeout(timer);
        if (said.kind === answer) end(said);
        else timer = setTimeout(() => this.kill(), limit_ms);
      };
      const end = (said: FromLocked | null): void => {
        clearTimeout(timer);
        this.#child.off('message', take);
        this.#child.off('exit', gone);
        resolve(said);
      };
      const gone = (): void => end(null);
      this.#child.on('message', take);
      this.#child.once('exit', gone);
      this.#child.send(message);
    });
  }
}

/** What is wrong with what became of a statement; null when nothing is. */
function wrongWith(sql: string, { how, text }: Ran, copy: string): string | null {
  const paths = [copy, join(folder.path, 'data')].filter((path) => text.includes(path));
  if (text.includes(SECRET) || paths.length > 0) return `${how} and told ${text.slice(0, 300)}: ${sql}`;
  if (how === 'failed') return `failed: ${text.slice(0, 300)}: ${sql}`;
  return null;
}

describe('generated statements', () => {
  test(`${STATEMENTS} of them reach nothing and change nothing`, async () => {
    await (await startFilled()).close();
    const before = await readFile(source_path);
    const wrong: string[] = [];
    const killed: string[] = [];
    const counts = { answered: 0, refused: 0, failed: 0 };
    const work = async (seed: number): Promise<void> => {
      const source = new Statements(seed);
      let locked = await Locked.open();
      const sums = await locked.checksums();
      expect(sums).toContain('"name":"actors","n":20');
      for (let done = 0; done < STATEMENTS / PROCESSES; done += ROUND) {
        let statements = Array.from({ length: ROUND }, () => arm(source.next()));
        while (statements.length > 0) {
          const { results, place } = await locked.run(statements);
          for (const [index, result] of (results ?? []).entries()) {
            counts[result.how] += 1;
            const what = wrongWith(statements[index] ?? '', result, locked.copy);
            if (what !== null) wrong.push(what);
          }
          if (results !== null) break;
          killed.push(statements[place] ?? '');
          // Of what ran before it, the answers are lost, not what they did: that is looked at here.
          locked.kill();
          locked = await Locked.open();
          statements = [...statements.slice(0, place), ...statements.slice(place + 1)];
        }
        if ((await locked.checksums()) !== sums) wrong.push(`tables changed in round ${done / ROUND} of seed ${seed}`);
        const left = (await readdir(locked.copy)).filter((name) => !name.startsWith('copy.duckdb'));
        if (left.length > 0) wrong.push(`${left.join()} written in round ${done / ROUND} of seed ${seed}`);
      }
      locked.kill();
    };
    await Promise.all(Array.from({ length: PROCESSES }, (_, index) => work(SEED + index)));
    process.stdout.write(`statements: ${JSON.stringify(counts)}, killed at their limit: ${killed.length}\n`);
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(killed.length, killed.slice(0, 20).join('\n')).toBeLessThan(20);
    expect(counts.answered + counts.refused + killed.length).toBe(STATEMENTS);
    // They are neither all nonsense nor all harmless.
    expect(counts.answered).toBeGreaterThan(STATEMENTS / 50);
    expect(counts.refused).toBeGreaterThan(STATEMENTS / 2);
    expect(await readdir(outside)).toEqual(['canary.csv']);
    expect(await readFile(canary, 'utf8')).toBe(`name\n${SECRET}\n`);
    expect(before.equals(await readFile(source_path))).toBe(true);
  }, 300_000);

  test('those of another seed go through the service, and rows come in all the while', async () => {
    const { url, close } = await startFilled();
    const source = new Statements(SEED + PROCESSES);
    const producer = randomUUID();
    let isOver = false;
    let seq = 0;
    const ingestion = (async () => {
      while (!isOver) {
        seq += 1;
        const answer = await post(url, '/ingest', batch(producer, seq, [statusRow(1_000 + seq)]));
        expect(answer.json).toEqual({ acked: seq });
        await sleep(5);
      }
    })();
    const wrong: string[] = [];
    for (let i = 0; i < 1_000; i++) {
      const sql = arm(source.next());
      const { status, text } = await query(url, sql);
      const isTold = text.includes(SECRET) || text.includes(join(folder.path, 'data'));
      if (![200, 400].includes(status) || isTold) wrong.push(`${status} ${text.slice(0, 200)}: ${sql}`);
    }
    isOver = true;
    await ingestion;
    expect(wrong).toEqual([]);
    expect(seq).toBeGreaterThan(10);
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: 200 + seq }]);
    expect(
      await rowsOf(url, "select count(*) as n from information_schema.tables where table_type = 'BASE TABLE'"),
    ).toEqual([{ n: TABLES.length }]);
    await close();
    expect(await readdir(outside)).toEqual(['canary.csv']);
  });
});

describe('the second wall', () => {
  /** Groups whose statements read, beyond what the check allows, only what the engine says of itself. */
  const TELLS_OF_ITSELF = /^what belongs|^text that runs|^sleeping/;

  test.each(Object.entries(ATTACKS))(
    'without the check, %s: nothing outside is read or written, no table changes',
    async (group, attacks) => {
      await (await startFilled()).close();
      let locked = await Locked.open();
      const sums = await locked.checksums();
      const limit_ms = group.startsWith('sleeping') ? SLEEPING_LIMIT_MS : TIME_LIMIT_MS;
      const wrong: string[] = [];
      for (const sql of attacks.map(arm)) {
        const { results } = await locked.run([sql], false, limit_ms);
        const [result] = results ?? [];
        // Deep nonsense and sleeping may cost the process, which is what it is there for.
        if (result === undefined) {
          locked.kill();
          locked = await Locked.open();
        } else if (result.text.includes(SECRET)) wrong.push(`told ${result.text.slice(0, 200)}: ${sql.slice(0, 200)}`);
        else if (result.how === 'answered' && sql.includes(canary) && !TELLS_OF_ITSELF.test(group)) {
          // The name of a file may be part of what is answered, but not of where rows come from.
          if (!/\bwith\b|\bdescribe\b|\bfrom nowhere\b/i.test(sql))
            wrong.push(`answered ${result.text.slice(0, 200)}: ${sql.slice(0, 200)}`);
        }
      }
      expect(wrong).toEqual([]);
      expect(await locked.checksums()).toBe(sums);
      expect(await readdir(outside)).toEqual(['canary.csv']);
      expect((await readdir(locked.copy)).filter((name) => !name.startsWith('copy.duckdb'))).toEqual([]);
      locked.kill();
    },
  );
});
