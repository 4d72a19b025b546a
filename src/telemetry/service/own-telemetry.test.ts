import { expect, test } from 'vitest';
import { failure, type Outcome, sleep, success } from '../../base/index.ts';
import type { EventBatch } from '../../contract/index.ts';
import { resolveLimits } from '../limits.ts';
import type { TelemetryStore } from '../port.ts';
import type { StoreHealth } from '../store/health.ts';
import { OwnTelemetry } from './own-telemetry.ts';

const INTERVAL_MS = 5;

/** A store that stands still until it is told how a write ends, as no real one does on demand. */
class StandingStore {
  readonly writes: { readonly batch: EventBatch; readonly end: (outcome: Outcome<{ acked: number }>) => void }[] = [];

  ingest(batch: unknown): Promise<Outcome<{ acked: number }>> {
    return new Promise((end) => this.writes.push({ batch: batch as EventBatch, end }));
  }

  /** The write of this number, when it has come. */
  async write(number: number) {
    await expect.poll(() => this.writes.length, { interval: 1 }).toBeGreaterThanOrEqual(number);
    const write = this.writes[number - 1];
    if (write === undefined) throw new Error(`no write ${number}`);
    return write;
  }
}

test('its batches go one at a time, and tell each loss once, however long the store takes', async () => {
  const standing = new StandingStore();
  const lines: string[] = [];
  const limits = resolveLimits({ own_rows_interval_ms: INTERVAL_MS });
  const own = new OwnTelemetry({ limits, log: { warn: (line) => lines.push(line) } });
  const rejected = (): Promise<never> => Promise.reject(new Error('not asked here'));
  const store: TelemetryStore = {
    ingest: (batch) => standing.ingest(batch),
    storeDump: rejected,
    query: rejected,
    health: () => Promise.resolve({ ok: true } as StoreHealth),
    load: {},
    sweep: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const observed = own.observe(store);
  try {
    const first = await standing.write(1);
    // As many turns as would have sent others.
    for (let turn = 0; turn < 5; turn += 1) await sleep(INTERVAL_MS);
    expect(standing.writes).toHaveLength(1);
    first.end(failure('service_unavailable', 'full'));
    const second = await standing.write(2);
    const { lost_rows } = second.batch;
    expect(lost_rows).toBeGreaterThan(0);
    second.end(success({ acked: 2 }));
    const third = await standing.write(3);
    expect([first, second, third].map(({ batch }) => batch.seq)).toEqual([1, 2, 3]);
    expect(third.batch.lost_rows).toBe(0);
    third.end(success({ acked: 3 }));
    expect(await observed.query('select 1')).toMatchObject({ ok: false, failure: { code: 'internal_error' } });
    expect(lines).toEqual(['query failed: not asked here']);
    const { batch } = await standing.write(4);
    const told = (batch.tables?.events as unknown[][] | undefined)?.map((row) => String(row[3]));
    expect(told).toEqual([expect.stringContaining('not asked here')]);
    expect(told?.join()).not.toContain('own-telemetry.test');
  } finally {
    own.close();
  }
});
