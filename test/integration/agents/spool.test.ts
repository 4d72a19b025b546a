import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBatch } from '../../../src/contract/index.ts';
import { LIMITS } from '../../../src/node-agents/limits.ts';
import { encodeRows } from '../../../src/node-agents/producer/batch-code.ts';
import { adopt, makeOwnFolder } from '../../../src/node-agents/spool/adoption.ts';
import { Spool, type SpoolOptions } from '../../../src/node-agents/spool/spool.ts';
import { until } from '../../support/until.ts';

let parent: string;
let spools: Spool[];

beforeEach(() => {
  parent = path.join(mkdtempSync(path.join(tmpdir(), 'meshscope-spool-')), 'spool');
  spools = [];
});

afterEach(async () => {
  for (const spool of spools) await spool.close();
  rmSync(path.dirname(parent), { recursive: true, force: true });
});

const A = randomUUID();
const B = randomUUID();

function folderOf(): string {
  const own = makeOwnFolder(parent);
  if (!own.ok) throw new Error(own.failure.message);
  return own.value.folder;
}

/** A folder that looks like that of a process which is gone. */
function deadFolder(name = '00000001'): string {
  const folder = path.join(parent, `4194304-1-00000000-${name}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

interface Made {
  readonly spool: Spool;
  readonly sent: EventBatch[];
  readonly troubles: string[];
  readonly forgotten: number[];
}

function make(options: Partial<SpoolOptions> = {}): Made {
  const sent: EventBatch[] = [];
  const troubles: string[] = [];
  const forgotten: number[] = [];
  const spool = new Spool({
    send(batch) {
      sent.push(batch);
      return true;
    },
    folder: folderOf(),
    onTrouble: (message) => troubles.push(message),
    onForgottenLoss: (rows) => forgotten.push(rows),
    ...options,
  });
  spools.push(spool);
  return { spool, sent, troubles, forgotten };
}

/** A batch of one row, of as many bytes as asked for, in about. */
function batch(producer: string, seq: number, size = 0): { batch: EventBatch; rows: number } {
  return { batch: { producer, seq, lost_rows: 0, packed: 'x'.repeat(size) }, rows: 1 };
}

function seqs(batches: readonly EventBatch[], producer = A): number[] {
  return batches.filter((each) => each.producer === producer).map(({ seq }) => seq);
}

describe('the spool', () => {
  it('keeps what it took on disk, for its owner alone, and nothing of what is acknowledged', async () => {
    const folder = folderOf();
    const { spool, sent } = make({ folder });
    expect([await spool.keep(batch(A, 1)), await spool.keep(batch(A, 2))]).toEqual(['kept', 'kept']);
    const [file = ''] = readdirSync(folder);
    expect([statSync(parent).mode & 0o777, statSync(path.join(folder, file)).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(readFileSync(path.join(folder, file), 'utf8').trim().split('\n')).toHaveLength(2);
    spool.linkOpened();
    for (let seq = 1; seq <= 2; seq += 1) spool.acknowledge(A, seq);
    expect(seqs(sent)).toEqual([1, 2]);
    expect(spool.waiting.batches).toBe(0);
    await spool.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('has one batch of a producer under way, the lowest, and as many producers as a gateway lets wait', async () => {
    const { spool, sent } = make();
    const producers = Array.from({ length: LIMITS.under_way_max + 1 }, () => randomUUID());
    for (const producer of producers) for (const seq of [1, 2]) await spool.keep(batch(producer, seq));
    spool.linkOpened();
    expect(sent.map(({ producer, seq }) => [producer, seq])).toEqual(
      producers.slice(0, LIMITS.under_way_max).map((producer) => [producer, 1]),
    );
    const [first = '', last = ''] = [producers[0], producers.at(-1)];
    spool.acknowledge(first, 1);
    // The one that has waited longest is next, not the one that has just been served.
    expect(sent.at(-1)).toMatchObject({ producer: last, seq: 1 });
    spool.acknowledge(last, 1);
    expect(sent.at(-1)).toMatchObject({ producer: first, seq: 2 });
  });

  it('takes no notice of acknowledgements that it does not wait for', async () => {
    const { spool, sent } = make();
    for (const seq of [1, 2, 3]) await spool.keep(batch(A, seq));
    spool.linkOpened();
    for (const [producer, seq] of [
      [A, 2],
      [A, 7],
      [B, 1],
      ['', 1],
    ] as const)
      spool.acknowledge(producer, seq);
    expect(seqs(sent)).toEqual([1]);
    spool.acknowledge(A, 1);
    spool.acknowledge(A, 1);
    expect(seqs(sent)).toEqual([1, 2]);
    expect(spool.waiting.batches).toBe(2);
  });

  it('knows what it has: a number that is not above the last is kept once', async () => {
    const { spool, sent } = make();
    expect([await spool.keep(batch(A, 4)), await spool.keep(batch(A, 4)), await spool.keep(batch(A, 3))]).toEqual([
      'kept',
      'known',
      'known',
    ]);
    spool.linkOpened();
    spool.acknowledge(A, 4);
    expect(await spool.keep(batch(A, 4))).toBe('known');
    expect(seqs(sent)).toEqual([4]);
  });

  it('sends what is under way again on a new link, unchanged', async () => {
    const { spool, sent } = make();
    await spool.keep(batch(A, 1));
    spool.linkOpened();
    spool.linkOpened();
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
  });

  it('sends what is not acknowledged again and again, at one pace', async () => {
    const { spool, sent } = make({ limits: { ...LIMITS, ack_timeout_ms: 30 } });
    await spool.keep(batch(A, 1));
    const from_ms = performance.now();
    spool.linkOpened();
    await until(() => sent.length === 9, 'eight repetitions');
    const took_ms = performance.now() - from_ms;
    // Were each pause twice the one before, they would add up to 255 of them.
    expect(took_ms).toBeLessThan(30 * 200);
    expect(new Set(sent.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(spool.resends).toBe(8);
    spool.acknowledge(A, 1);
    expect(spool.waiting.batches).toBe(0);
  });

  it('reads from disk what it did not keep in memory', async () => {
    const size = 100_000;
    const count = Math.ceil((LIMITS.spool_cache_max_bytes / size) * 1.5);
    const { spool, sent } = make();
    for (let seq = 1; seq <= count; seq += 1) await spool.keep(batch(A, seq, size));
    spool.linkOpened();
    for (let seq = 1; seq <= count; seq += 1) {
      await until(() => sent.length === seq, `batch ${seq}`);
      spool.acknowledge(A, seq);
    }
    expect(sent.every(({ packed }) => packed?.length === size)).toBe(true);
    expect(seqs(sent)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  });

  it('refuses a producer when there are as many as may be and all of them wait, and forgets the longest silent', async () => {
    const { spool } = make({ folder: null });
    const producers = Array.from({ length: LIMITS.producers_max }, () => randomUUID());
    for (const producer of producers) await spool.keep(batch(producer, 5));
    expect(await spool.keep(batch(A, 1))).toBe('full');
    spool.linkOpened();
    spool.acknowledge(producers[0] ?? '', 5);
    expect(await spool.keep(batch(A, 1))).toBe('kept');
  });

  it('forgets a producer of whose loss it could only tell, and hands that loss on', async () => {
    const { spool, forgotten } = make({ folder: null, memory_max_bytes: 1_000 });
    // Each pushes out the one before, of which nothing but its loss is left.
    for (let n = 0; n < LIMITS.producers_max; n += 1) await spool.keep(batch(randomUUID(), 1, 900));
    expect([spool.counts.lost_rows, forgotten]).toEqual([LIMITS.producers_max - 1, []]);
    expect(await spool.keep(batch(A, 1, 900))).toBe('kept');
    expect(forgotten).toEqual([1]);
  });

  it('takes nothing any more after its end', async () => {
    const folder = folderOf();
    const { spool } = make({ folder });
    await spool.close();
    expect(await spool.keep(batch(A, 1))).toBe('full');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('at the bound on disk', () => {
  const max_bytes = LIMITS.spool_max_bytes_min;
  /** So that each file of the spool has one batch. */
  const size = Math.ceil(max_bytes / LIMITS.spool_files);

  it('keeps n bytes, and at n + 1 the oldest file goes, and a notice in its place tells the store', async () => {
    const { spool, sent } = make({ max_bytes });
    let seq = 0;
    for (let bytes = 0; ; ) {
      await spool.keep(batch(A, seq + 1, size));
      seq += 1;
      const { bytes: now } = spool.waiting;
      const weight = now - bytes;
      bytes = now;
      if (bytes + weight > max_bytes) break;
    }
    expect([spool.counts.lost_rows, spool.waiting.batches]).toEqual([0, seq]);
    await spool.keep(batch(A, seq + 1, size));
    expect([spool.counts.lost_rows, spool.waiting.rows]).toEqual([1, seq]);
    expect(spool.waiting.bytes).toBeLessThanOrEqual(max_bytes);
    spool.linkOpened();
    expect(sent).toEqual([{ producer: A, seq: 1, lost_rows: 1, tables: {} }]);
    spool.acknowledge(A, 1);
    await until(() => sent.length === 2, 'a batch');
    expect(sent[1]).toMatchObject({ seq: 2, lost_rows: 0 });
  });

  it('never drops what is under way', async () => {
    const { spool, sent } = make({ max_bytes });
    await spool.keep(batch(A, 1, size));
    spool.linkOpened();
    for (let seq = 2; seq <= LIMITS.spool_files * 3; seq += 1) await spool.keep(batch(A, seq, size));
    expect(spool.counts.lost_rows).toBeGreaterThan(LIMITS.spool_files);
    spool.linkOpened();
    expect(seqs(sent)).toEqual([1, 1]);
    spool.acknowledge(A, 1);
    const { lost_rows } = spool.counts;
    expect(sent[2]).toMatchObject({ seq: lost_rows + 1, lost_rows });
    spool.acknowledge(A, lost_rows + 1);
    await until(() => sent.length === 4, 'the next batch');
    expect(sent[3]).toMatchObject({ seq: lost_rows + 2, lost_rows: 0 });
  });

  it('tells of losses once, also when the agent is killed before they are told', async () => {
    const folder = deadFolder();
    const { spool, sent } = make({ folder, max_bytes });
    for (let seq = 1; seq <= LIMITS.spool_files * 2; seq += 1) await spool.keep(batch(A, seq, size));
    const lost = spool.counts.lost_rows;
    expect(lost).toBeGreaterThan(0);
    await until(
      () => readdirSync(folder).some((name) => readFileSync(path.join(folder, name), 'utf8').includes('untold')),
      'a note',
    );
    expect(sent).toEqual([]);
    const next = make({ max_bytes: max_bytes * 4 });
    next.spool.adopt(await adopt(parent));
    next.spool.linkOpened();
    expect(next.sent).toEqual([{ producer: A, seq: lost, lost_rows: lost, tables: {} }]);
    next.spool.acknowledge(A, lost);
    await until(() => next.sent.length === 2, 'a batch');
    expect(next.sent[1]).toMatchObject({ seq: lost + 1, lost_rows: 0 });
  });

  it('tells of the losses of a producer that says nothing more', async () => {
    const { spool, sent } = make({ max_bytes });
    for (const seq of [1, 2]) await spool.keep(batch(B, seq, size));
    for (let seq = 1; seq <= LIMITS.spool_files; seq += 1) await spool.keep(batch(A, seq, size));
    spool.linkOpened();
    expect(sent[0]).toEqual({ producer: B, seq: 2, lost_rows: 2, tables: {} });
    spool.acknowledge(B, 2);
    expect(await spool.keep(batch(B, 2))).toBe('known');
    expect(await spool.keep(batch(B, 3))).toBe('kept');
    expect(sent.at(-1)).toMatchObject({ producer: B, seq: 3, lost_rows: 0 });
  });
});

describe('without a disk', () => {
  it('keeps so many bytes in memory, and beyond them the oldest go, one by one, and are counted', async () => {
    const { spool, sent } = make({ folder: null, memory_max_bytes: 10_000 });
    let seq = 0;
    while (spool.waiting.bytes + 1_100 <= 10_000) {
      seq += 1;
      await spool.keep(batch(A, seq, 1_000));
    }
    expect(spool.counts.lost_rows).toBe(0);
    await spool.keep(batch(A, seq + 1, 1_000));
    expect([spool.counts.lost_rows, spool.waiting.rows]).toEqual([1, seq]);
    spool.linkOpened();
    expect(sent[0]).toMatchObject({ seq: 1, lost_rows: 1 });
    spool.acknowledge(A, 1);
    expect(sent[1]).toMatchObject({ seq: 2, lost_rows: 0 });
    expect(await spool.close()).toBe(seq);
  });

  it('says so once, goes on in memory, and delivers', async () => {
    const { spool, sent, troubles } = make({ folder: path.join(parent, 'is', 'not', 'there') });
    for (const seq of [1, 2]) expect(await spool.keep(batch(A, seq))).toBe('kept');
    expect(troubles).toEqual([expect.stringContaining("the spool's disk takes no batches (ENOENT")]);
    expect(spool.isOnDisk).toBe(false);
    spool.linkOpened();
    spool.acknowledge(A, 1);
    expect(seqs(sent)).toEqual([1, 2]);
  });

  it('goes back to the disk when that takes batches again, with what it has taken meanwhile', async () => {
    const folder = folderOf();
    const { spool, sent, troubles } = make({ folder });
    rmSync(folder, { recursive: true });
    await spool.keep(batch(A, 1));
    expect([spool.isOnDisk, troubles.length]).toEqual([false, 1]);
    mkdirSync(folder);
    let seq = 1;
    await until(async () => {
      seq += 1;
      await spool.keep(batch(A, seq));
      return spool.isOnDisk;
    }, 'the disk');
    const onDisk = (): string[] =>
      readdirSync(folder).flatMap((name) => readFileSync(path.join(folder, name), 'utf8').trim().split('\n'));
    await until(() => onDisk().length === seq, 'all of them on disk');
    expect(new Set(onDisk().map((line) => JSON.parse(line).seq)).size).toBe(seq);
    spool.linkOpened();
    for (let at = 1; at <= seq; at += 1) {
      await until(() => sent.length === at, 'a batch');
      spool.acknowledge(A, at);
    }
    expect(seqs(sent)).toEqual(Array.from({ length: seq }, (_, index) => index + 1));
  });

  it('has a folder refused that cannot be made', () => {
    writeFileSync(parent, 'a file');
    const own = makeOwnFolder(parent);
    expect(own).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(!own.ok && own.failure.message).toContain(`the spool's folder ${parent} cannot be used`);
  });

  it('counts a batch as lost that the disk does not give back', async () => {
    const folder = folderOf();
    const { spool, sent, troubles } = make({ folder });
    const size = LIMITS.spool_cache_max_bytes / 4;
    for (let seq = 1; seq <= 6; seq += 1) await spool.keep(batch(A, seq, size));
    for (const name of readdirSync(folder)) writeFileSync(path.join(folder, name), '');
    spool.linkOpened();
    for (let seq = 1; seq <= 3; seq += 1) spool.acknowledge(A, seq);
    await until(() => troubles.length > 0, 'a warning');
    await spool.keep(batch(A, 7));
    for (let at = 3; !seqs(sent).includes(7); at += 1) {
      await until(() => sent.length > at, 'the next batch');
      spool.acknowledge(A, sent[at]?.seq ?? 0);
    }
    const whole = sent.filter(({ packed }) => packed !== undefined).length;
    expect([sent.reduce((sum, { lost_rows }) => sum + lost_rows, 0), whole]).toEqual([
      spool.counts.lost_rows,
      7 - spool.counts.lost_rows,
    ]);
  });

  it('tries again to read what the disk does not give back at once', async () => {
    const folder = folderOf();
    const { spool, sent, troubles } = make({ folder });
    const size = LIMITS.spool_cache_max_bytes / 2;
    for (let seq = 1; seq <= 3; seq += 1) await spool.keep(batch(A, seq, size));
    spool.linkOpened();
    const files = readdirSync(folder).map((name) => path.join(folder, name));
    for (const file of files) {
      renameSync(file, `${file}.away`);
      symlinkSync(file, file);
    }
    for (let seq = 1; sent.length === seq; seq += 1) spool.acknowledge(A, seq);
    expect(seqs(sent)).toEqual([1, 2].slice(0, sent.length));
    // In one step each: a file that is gone is not tried again.
    for (const file of files) renameSync(`${file}.away`, file);
    for (let seq = sent.length + 1; seq <= 3; seq += 1) {
      await until(() => sent.length === seq, 'the next batch');
      spool.acknowledge(A, seq);
    }
    expect([seqs(sent), spool.counts.lost_rows, troubles]).toEqual([[1, 2, 3], 0, []]);
  });
});

describe('what a dead agent left', () => {
  it('is sent first, in order, with its producers and numbers, and is gone when it is acknowledged', async () => {
    const folder = deadFolder();
    const dead = make({ folder });
    for (const [producer, seq] of [
      [A, 1],
      [B, 1],
      [A, 2],
      [A, 3],
      [B, 2],
    ] as const)
      await dead.spool.keep(batch(producer, seq));
    dead.spool.linkOpened();
    dead.spool.acknowledge(A, 1);
    const { spool, sent } = make();
    const adopted = await adopt(parent);
    expect(adopted.folders).toHaveLength(1);
    spool.adopt(adopted);
    await spool.keep(batch(randomUUID(), 1));
    expect(await spool.keep(batch(A, 3))).toBe('known');
    expect(await spool.keep(batch(A, 4))).toBe('kept');
    spool.linkOpened();
    for (let at = 0; at < sent.length; at += 1) {
      spool.acknowledge(sent[at]?.producer ?? '', sent[at]?.seq ?? 0);
      await until(() => sent.length > at + 1 || spool.waiting.batches === 0, 'the next');
    }
    // What was acknowledged last may not have been written down: the store takes it for what it has.
    expect(seqs(sent).filter((seq) => seq > 1)).toEqual([2, 3, 4]);
    expect(seqs(sent, B)).toEqual([1, 2]);
    await until(() => !existsSync(adopted.folders[0] ?? ''), 'the end of its folder');
  });

  it('may have a torn or a spoiled line, which was never told to be safe', async () => {
    const folder = deadFolder();
    const dead = make({ folder });
    for (const seq of [1, 2]) await dead.spool.keep(batch(A, seq));
    const [file = ''] = readdirSync(folder);
    appendFileSync(path.join(folder, file), `\0\0\0\n{"producer":"${A}"}\n{"producer":"${A}","seq":3,"lost_r`);
    const { spool, sent } = make();
    spool.adopt(await adopt(parent));
    spool.linkOpened();
    await until(() => sent.length === 1, 'a batch');
    spool.acknowledge(A, 1);
    await until(() => sent.length === 2, 'a batch');
    spool.acknowledge(A, 2);
    expect([seqs(sent), spool.waiting.batches]).toEqual([[1, 2], 0]);
  });

  it('goes to one of two that look for it at the same time, and not what a living agent has', async () => {
    const mine = make();
    await mine.spool.keep(batch(B, 1));
    for (const name of ['00000001', '00000002', '00000003']) {
      await make({ folder: deadFolder(name) }).spool.keep(batch(A, Number(name)));
    }
    const both = await Promise.all([adopt(parent), adopt(parent)]);
    const producers = both.flatMap(({ producers: each }) => each);
    expect(producers.every(({ producer }) => producer === A)).toBe(true);
    expect(producers.flatMap(({ batches }) => batches.map(({ seq }) => seq)).sort()).toEqual([1, 2, 3]);
  });

  it('is taken over from so many at most', async () => {
    for (let n = 0; n <= LIMITS.spool_adopted_max; n += 1) {
      writeFileSync(path.join(deadFolder(n.toString(16).padStart(8, '0')), '00000001.ndjson'), '');
    }
    expect((await adopt(parent)).folders).toHaveLength(LIMITS.spool_adopted_max);
  });

  it('is removed at once where there is nothing in it, so that those who are killed leave no more and more', async () => {
    for (let n = 0; n < 3; n += 1) deadFolder(`0000000${n}`);
    const own = folderOf();
    expect((await adopt(parent)).folders).toEqual([]);
    expect(readdirSync(parent)).toEqual([path.basename(own)]);
  });

  it('is told of to the end: its losses too, and those once', async () => {
    const folder = deadFolder();
    const name = path.join(folder, '00000001.ndjson');
    writeFileSync(name, `${JSON.stringify({ untold: [{ producer: A, to: 4, rows: 7 }] })}\n`);
    const { spool, sent } = make();
    const adopted = await adopt(parent);
    spool.adopt(adopted);
    spool.linkOpened();
    // Had the dead one sent it already, the store would have the number, and not count it again.
    expect(sent).toEqual([{ producer: A, seq: 4, lost_rows: 7, tables: {} }]);
    expect(await spool.keep(batch(A, 4))).toBe('known');
    spool.acknowledge(A, 4);
    expect(spool.waiting.batches).toBe(0);
    await until(() => !existsSync(adopted.folders[0] ?? ''), 'the end of its folder');
  });
});

it('gives the store each batch exactly once, whatever happens to links, acknowledgements and agents', async () => {
  const encoded = await encodeRows({ snapshots: [['s', 1]] });
  if (!encoded.ok) throw new Error(encoded.failure.message);
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('keep' as const), producer: fc.nat(11) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('store' as const), at: fc.nat(), isAcked: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('link' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
  );
  const producers = Array.from({ length: 12 }, () => randomUUID());
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      run += 1;
      rmSync(parent, { recursive: true, force: true });
      const stored = new Map<string, number[]>();
      const last = new Map<string, number>();
      let wire: EventBatch[] = [];
      let isLinked = true;
      let life = 0;
      const start = async (): Promise<Spool> => {
        life += 1;
        wire = [];
        const folder = deadFolder(`${run.toString(16).padStart(4, '0')}${life.toString(16).padStart(4, '0')}`);
        const mine = life;
        const adopted = await adopt(parent, () => `4194304-1-00000000-${randomUUID().slice(0, 8)}`);
        mkdirSync(folder, { recursive: true });
        const spool = new Spool({
          folder,
          send(each) {
            if (!isLinked || mine !== life) return false;
            wire.push(each);
            return true;
          },
        });
        spool.adopt(adopted);
        spool.linkOpened();
        return spool;
      };
      let spool = await start();
      // What the store does: a number that is not above the last is one that it has.
      const store = (each: EventBatch): void => {
        const have = last.get(each.producer) ?? 0;
        if (each.seq <= have) return;
        last.set(each.producer, each.seq);
        stored.set(each.producer, [...(stored.get(each.producer) ?? []), each.seq]);
      };
      const numbers = new Map<string, number>();
      for (const each of steps) {
        if (each.kind === 'keep') {
          const producer = producers[each.producer] ?? '';
          const seq = (numbers.get(producer) ?? 0) + 1;
          numbers.set(producer, seq);
          await spool.keep({ batch: { producer, seq, lost_rows: 0, packed: encoded.value }, rows: 1 });
        } else if (each.kind === 'store') {
          const [arrived] = wire.splice(each.at % Math.max(1, wire.length), 1);
          if (arrived === undefined) continue;
          store(arrived);
          if (each.isAcked) spool.acknowledge(arrived.producer, arrived.seq);
        } else if (each.kind === 'kill') {
          // What it had in memory is gone; what it had told to be kept is on disk.
          const killed = spool;
          spool = await start();
          await killed.close();
        } else {
          wire = [];
          isLinked = each.kind === 'link';
          if (isLinked) spool.linkOpened();
        }
      }
      isLinked = true;
      wire = [];
      spool.linkOpened();
      while (spool.waiting.batches > 0) {
        const [arrived] = await until(() => wire.length > 0 && wire.splice(0, 1), 'something on the wire', 5_000);
        if (arrived === undefined) continue;
        store(arrived);
        spool.acknowledge(arrived.producer, arrived.seq);
      }
      await spool.close();
      for (const [producer, count] of numbers) {
        expect(stored.get(producer)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
      }
    }),
    { numRuns: 60 },
  );
});
