/**
 * The store killed at random moments under load, with sealing, merging, sweeping and renewing going on all the time: after each
 * recovery every acknowledged row is there exactly once, in the data file and, once it is sealed, in the segments.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import { resolveLimits, type TelemetryLimits } from '../../../src/telemetry/limits.ts';
import { openStoreFiles } from '../../../src/telemetry/segments/recover.ts';
import { until } from '../../support/until.ts';
import { batch, post, statusRow, temporaryFolder } from './support.ts';

const KILLS = 50;
const PRODUCERS = 4;
const ROWS_PER_BATCH = 20;
/** Rows of this age are there for the sweeps only. */
const OLD_US = 1_000_000;
const LIMITS: Partial<TelemetryLimits> = {
  core_window_ms: 3_600_000,
  seal_interval_ms: 15,
  seal_rows_max: 100,
  segments_max: 4,
  sweep_interval_min_ms: 25,
  sweep_interval_max_ms: 25,
  owner_wal_mib: 1,
  owner_renew_rows: 100,
};

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** Of the owner's compiled scripts: it starts fifty times here. */
let compiled: Awaited<ReturnType<typeof temporaryFolder>>;
let owner: ChildProcess | null = null;

beforeEach(async () => {
  folder = await temporaryFolder();
  compiled = await temporaryFolder();
});

afterEach(async () => {
  owner?.kill('SIGKILL');
  await folder.remove();
  await compiled.remove();
});

async function startOwner(): Promise<{ child: ChildProcess; url: string }> {
  const args = [join(import.meta.dirname, 'owner.ts'), folder.path, JSON.stringify(LIMITS), '0'];
  const env = { ...process.env, NODE_COMPILE_CACHE: compiled.path };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  owner = child;
  const line = await new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).once('line', resolve);
  });
  const said = JSON.parse(line) as { url?: string; error?: string };
  expect(said.error).toBeUndefined();
  return { child, url: said.url ?? '' };
}

interface Sender {
  readonly producer: string;
  acked: number;
}

/** Sends batches as a producer does, from the first that was not acknowledged, until nobody answers. */
async function load(url: string, sender: Sender): Promise<void> {
  for (;;) {
    const seq = sender.acked + 1;
    const rows = Array.from({ length: ROWS_PER_BATCH }, () => [...statusRow(seq).slice(0, 4), sender.producer]);
    const old = Array.from({ length: 5 }, () => [...statusRow(seq, OLD_US).slice(0, 4), 'old']);
    const answer = await post(url, '/ingest', batch(sender.producer, seq, [...old, ...rows])).catch(() => null);
    if (answer === null) return;
    expect(answer.json).toEqual({ acked: seq });
    sender.acked = seq;
  }
}

/** What the data file has of each producer: batches, rows, and the sum of the batch numbers over the rows. */
async function stored(): Promise<Map<string, { batches: number; rows: number; sum: number }>> {
  const opened = await openStoreFiles(folder.path, resolveLimits(LIMITS), { warn: (line) => warnings.push(line) });
  if (!opened.ok) throw new Error(opened.failure.message);
  const { connection, close } = opened.value.database;
  const reader = await connection.runAndReadAll(
    `SELECT reason, count(DISTINCT id), count(*), sum(id) FROM actor_status_events WHERE reason <> 'old' GROUP BY reason`,
  );
  close();
  return new Map(
    reader
      .getRows()
      .map(([producer, batches, rows, sum]) => [
        String(producer),
        { batches: Number(batches), rows: Number(rows), sum: Number(sum) },
      ]),
  );
}

const warnings: string[] = [];

function check(found: Awaited<ReturnType<typeof stored>>, senders: readonly Sender[]): void {
  for (const { producer, acked } of senders) {
    const { batches, rows, sum } = found.get(producer) ?? { batches: 0, rows: 0, sum: 0 };
    // What was committed and not acknowledged in time may be there too: at most the one batch that was on its way.
    expect([acked, acked + 1]).toContain(batches);
    expect(rows).toBe(batches * ROWS_PER_BATCH);
    expect(sum).toBe(ROWS_PER_BATCH * ((batches * (batches + 1)) / 2));
  }
}

test(`kill -9, ${KILLS} times, while it seals, merges, sweeps and opens its file anew: every acknowledged row is there exactly once`, async () => {
  const senders: Sender[] = Array.from({ length: PRODUCERS }, () => ({ producer: randomUUID(), acked: 0 }));
  let sealed = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { child, url } = await startOwner();
    const before = senders.reduce((sum, { acked }) => sum + acked, 0);
    const loads = senders.map((sender) => load(url, sender));
    await until(() => senders.reduce((sum, { acked }) => sum + acked, 0) > before + 3, 'the load to be on');
    // The moment is to be any: in a commit, a sealing, a sweep, or between them.
    await sleep(Math.random() * 150);
    child.kill('SIGKILL');
    await Promise.all(loads);
    await until(() => child.signalCode !== null, 'the end of the owner');
    // Opening for the check is a recovery too; in between, owners recover by themselves.
    if (kill % 10 === 0) check(await stored(), senders);
  }
  check(await stored(), senders);
  expect(warnings.join('\n')).toBe('');

  // And history is whole: from the segments alone, once the rest is sealed.
  const { child } = await startOwner();
  child.kill('SIGTERM');
  await until(() => child.exitCode !== null || child.signalCode !== null, 'the end of the owner');
  expect(child.exitCode).toBe(0);
  await rm(join(folder.path, 'telemetry.duckdb'));
  const found = await stored();
  check(found, senders);
  sealed = [...found.values()].reduce((sum, { rows }) => sum + rows, 0);
  expect(sealed).toBeGreaterThan(KILLS * ROWS_PER_BATCH);
  expect(warnings).toEqual([expect.stringContaining('filling the data file from')]);
}, 180_000);
