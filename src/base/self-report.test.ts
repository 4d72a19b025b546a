import { afterEach, expect, test } from 'vitest';
import { metricRows, type OwnRow, OwnRows, SelfReport } from './self-report.ts';

const opened: OwnRows[] = [];
afterEach(() => {
  for (const rows of opened.splice(0)) rows.stop();
});

interface Sending {
  readonly rows: readonly OwnRow[];
  readonly lost_rows: number;
}

/** Rows that are sent as often as the clock allows, to whoever `take` is. */
function sending(rows_max: number, take: (sending: Sending) => Promise<number>): { rows: OwnRows; start(): void } {
  const rows = new OwnRows(rows_max);
  opened.push(rows);
  const start = (): void =>
    rows.start({
      interval_ms: 1,
      isReady: async () => true,
      measure: () => [],
      deliver: (sent, lost_rows) => take({ rows: sent, lost_rows }),
      onTrouble: () => undefined,
    });
  return { rows, start };
}

test('rows up to the bound wait, and further ones are reported as lost with the first that are sent', async () => {
  const first = Promise.withResolvers<Sending>();
  const { rows, start } = sending(2, async (sent) => {
    first.resolve(sent);
    return 0;
  });
  for (const id of [1, 2, 3]) rows.add('events', [id]);
  start();
  const { rows: sent, lost_rows } = await first.promise;
  expect(sent.map(({ row }) => row[0])).toEqual([1, 2]);
  expect(lost_rows).toBe(1);
});

test('rows that did not arrive are reported as lost with the next', async () => {
  const second = Promise.withResolvers<Sending>();
  let sendings = 0;
  const { rows, start } = sending(10, async (sent) => {
    sendings += 1;
    if (sendings === 2) second.resolve(sent);
    return sendings === 1 ? sent.rows.length : 0;
  });
  rows.add('events', [1]);
  start();
  expect((await second.promise).lost_rows).toBe(1);
});

test('closing waits for the sending under way, and then sends the rest', async () => {
  const began = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const taken: (readonly OwnRow[])[] = [];
  const { rows, start } = sending(10, async (sent) => {
    taken.push(sent.rows);
    began.resolve();
    if (taken.length === 1) await goOn.promise;
    return 0;
  });
  rows.add('events', ['before']);
  start();
  await began.promise;
  rows.add('events', ['last']);
  const closed = rows.close(60_000);
  expect(taken).toHaveLength(1);
  goOn.resolve();
  await closed;
  expect(taken.map((sent) => sent.map(({ row }) => row[0]))).toEqual([['before'], ['last']]);
});

test('closing does not wait longer than it is told to', async () => {
  const { rows, start } = sending(10, () => new Promise(() => {}));
  start();
  await rows.close(1);
});

test('without a store nothing is measured, and rows go on waiting', async () => {
  const rows = new OwnRows(10);
  opened.push(rows);
  let isReady = false;
  let measured = 0;
  const sent = Promise.withResolvers<readonly OwnRow[]>();
  const asked = Promise.withResolvers<void>();
  rows.add('events', [1]);
  rows.start({
    interval_ms: 1,
    isReady: async () => {
      queueMicrotask(() => asked.resolve());
      return isReady;
    },
    measure: () => {
      measured += 1;
      return [];
    },
    deliver: async (delivered) => {
      sent.resolve(delivered);
      return 0;
    },
    onTrouble: () => undefined,
  });
  await asked.promise;
  expect(measured).toBe(0);
  isReady = true;
  expect(await sent.promise).toEqual([{ table: 'events', row: [1] }]);
});

test('a sending that throws is told, and the next one goes out', async () => {
  const rows = new OwnRows(10);
  opened.push(rows);
  const troubles: string[] = [];
  const recovered = Promise.withResolvers<void>();
  rows.start({
    interval_ms: 1,
    isReady: async () => true,
    measure: () => [],
    deliver: async () => {
      if (troubles.length === 0) throw new Error('no way');
      recovered.resolve();
      return 0;
    },
    onTrouble: (message) => troubles.push(message),
  });
  await recovered.promise;
  expect(troubles).toEqual(['own telemetry: no way']);
});

test('without a timer of their own, rows are sent when somebody looks and the interval is over', async () => {
  const rows = new OwnRows(10);
  const sendings: number[] = [];
  const start = (interval_ms: number): void =>
    rows.start({
      interval_ms,
      timer: 'external',
      isReady: async () => true,
      measure: () => [],
      deliver: async (sent) => {
        sendings.push(sent.length);
        return 0;
      },
      onTrouble: () => undefined,
    });
  rows.add('events', [1]);
  start(3_600_000);
  expect(rows.tick()).toBeNull();
  start(0);
  const sending = rows.tick();
  expect(rows.tick()).toBeNull();
  await sending;
  expect(sendings).toEqual([1]);
});

test('lines of a traced log reach the log and the tables, and all rows say which process they are of', () => {
  const added: OwnRow[] = [];
  const lines: string[] = [];
  const report = new SelfReport({
    part: 'gateway',
    version: '1.2.3',
    process_id: 'gateway-1',
    series_max: 1_000,
    add: (table, row) => added.push({ table, row }),
  });
  const log = report.traced({ info: (line) => lines.push(line), warn: (line) => lines.push(line) });
  log.info('linked', { host: 'gpu-7' });
  log.warn('gone');
  expect(lines).toEqual(['linked', 'gone']);
  expect(added.map(({ table, row }) => [table, row[2]])).toEqual([
    ['events', 'INFO'],
    ['events', 'WARN'],
  ]);
  report.metrics.counter('gateway.requests', { help: 'Requests' }).add();
  const [point] = metricRows(report.metrics);
  expect(point?.table).toBe('metric_sums');
  expect(JSON.stringify(point?.row)).toContain('gateway-1');
});
