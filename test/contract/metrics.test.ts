import { describe, expect, it } from 'vitest';
import { type AddRow, LINE_MAX_CHARS, Metrics, type TableRows, Trace } from '../../src/base/index.ts';
import { pack, unpack, unpackRows } from '../../src/contract/index.ts';

function readBack(tables: TableRows): Record<string, unknown[][]> {
  const packed = pack(tables);
  if (!packed.ok) throw new Error(packed.failure.message);
  const read = unpack(packed.value);
  if (!read.ok) throw new Error(read.failure.message);
  return Object.fromEntries(read.value.map((table) => [table.table.name, unpackRows(table)]));
}

const SERIES_MAX = 20;

function registry(): Metrics {
  return new Metrics({
    scope: 'meshscope.test',
    resource: { 'service.name': 'test' },
    series_max: SERIES_MAX,
    now_us: 1_000,
  });
}

describe('the text of metrics', () => {
  it('has help, type and every series, with names and labels that Prometheus takes', () => {
    const metrics = registry();
    const batches = metrics.counter('spool.batches', { help: 'Batches\nsent', unit: '{batch}' });
    batches.add();
    batches.add(2, { outcome: 'a "b" \\ c' });
    metrics.gauge('process.rss_bytes', { help: 'Memory', unit: 'By' }, () => 7);
    const times = metrics.histogram('dump.duration_ms', { help: 'Dumps', unit: 'ms', bounds: [10, 100] });
    for (const value of [5, 10, 11, 1_000]) times.record(value);
    expect(metrics.prometheus()).toBe(`# HELP meshscope_spool_batches_total Batches\\nsent
# TYPE meshscope_spool_batches_total counter
meshscope_spool_batches_total 1
meshscope_spool_batches_total{outcome="a \\"b\\" \\\\ c"} 2
# HELP meshscope_process_rss_bytes Memory
# TYPE meshscope_process_rss_bytes gauge
meshscope_process_rss_bytes 7
# HELP meshscope_dump_duration_ms Dumps
# TYPE meshscope_dump_duration_ms histogram
meshscope_dump_duration_ms_bucket{le="10"} 2
meshscope_dump_duration_ms_bucket{le="100"} 3
meshscope_dump_duration_ms_bucket{le="+Inf"} 4
meshscope_dump_duration_ms_sum 1026
meshscope_dump_duration_ms_count 4
`);
  });

  it('leaves out a gauge that cannot be read', () => {
    const metrics = registry();
    metrics.gauge('broken', { help: 'x' }, () => {
      throw new Error('no');
    });
    expect(metrics.prometheus()).not.toMatch(/^meshscope_broken/m);
    expect(metrics.rows()).toEqual({});
  });

  it('refuses two instruments of one name', () => {
    const metrics = registry();
    metrics.counter('twice', { help: 'x' });
    expect(() => metrics.gauge('twice', { help: 'x' }, () => 1)).toThrow('metric twice exists already');
  });
});

describe('the rows of metrics', () => {
  it('fit their tables, and say what happened since the rows before', () => {
    const metrics = registry();
    const counter = metrics.counter('requests', { help: 'x', unit: '{request}' });
    const times = metrics.histogram('times', { help: 'x', bounds: [1, 2] });
    metrics.gauge('load', { help: 'x' }, () => [
      [{ cpu: 0 }, 0.5],
      [{ cpu: 1 }, -3],
    ]);
    counter.add(5);
    times.record(1.5);
    const resource = '{"service.name":"test"}';
    const first = readBack(metrics.rows(2_000));
    expect(first.metric_sums).toEqual([
      ['requests', 2_000, 1_000, 'meshscope.test', '{request}', 'delta', true, '{}', resource, null, null, 5],
    ]);
    expect(first.metric_gauges).toEqual([
      ['load', 2_000, 1_000, 'meshscope.test', '', '{"cpu":0}', resource, 0.5, null, null],
      ['load', 2_000, 1_000, 'meshscope.test', '', '{"cpu":1}', resource, null, -3, null],
    ]);
    expect(first.metric_histograms).toEqual([
      [
        ...['times', 2_000, 1_000, 'meshscope.test', '', 'delta', '{}', resource, 1],
        ...[1.5, null, null, 1.5, null, null, 1.5, null, null, '[1,2]', '[0,1,0]'],
      ],
    ]);
    counter.add(2);
    const second = readBack(metrics.rows(3_000));
    expect(second.metric_sums?.map((row) => [row[1], row[2], row[11]])).toEqual([[3_000, 2_000, 2]]);
    expect(second.metric_histograms).toBeUndefined();
    expect(metrics.prometheus()).toContain('meshscope_requests_total 7');
  });

  it('of a counter that others keep are what it has grown by', () => {
    const metrics = registry();
    let sent = 3;
    metrics.counter('sent', { help: 'x' }, () => sent);
    expect(metrics.rows().metric_sums?.map((row) => row[11])).toEqual([3]);
    expect(metrics.rows()).toEqual({});
    sent = 10;
    expect(metrics.prometheus()).toContain('meshscope_sent_total 10');
    expect(metrics.rows().metric_sums?.map((row) => row[11])).toEqual([7]);
  });

  it('of more series than the bound go together into one that says so', () => {
    const metrics = registry();
    const counter = metrics.counter('many', { help: 'x' });
    for (let index = 0; index < SERIES_MAX + 5; index += 1) counter.add(1, { index });
    const rows = metrics.rows().metric_sums ?? [];
    expect(rows).toHaveLength(SERIES_MAX);
    expect(rows.filter((row) => row[7] === '{"overflow":true}').map((row) => row[11])).toEqual([6]);
  });
});

describe('the rows of a trace', () => {
  it('of a log line are cut at LINE_MAX_CHARS, named without what differs, and say no stack', () => {
    const rows: (readonly unknown[])[] = [];
    const trace = new Trace({ process_id: 'p1', target: 'meshscope.test', add: (_, row) => rows.push(row) });
    for (const chars of [LINE_MAX_CHARS, LINE_MAX_CHARS + 1]) trace.line('WARN', `${'x'.repeat(chars - 1)}y`);
    trace.line('INFO', 'host gpu-7: 3 nodes', { host: 'gpu-7', stack: 'at /opt' });
    const messages = rows.map((row) => String(JSON.parse(String(row[3])).message));
    expect(messages.map((message) => [message.length, message.endsWith('y')]).slice(0, 2)).toEqual([
      [LINE_MAX_CHARS, true],
      [LINE_MAX_CHARS, false],
    ]);
    expect(rows[2]?.slice(0, 4)).toEqual([
      ...['host gpu-', 'meshscope.test', 'INFO'],
      '{"message":"host gpu-7: 3 nodes","process_id":"p1","host":"gpu-7"}',
    ]);
  });

  it('never fail for fields that JSON cannot hold', () => {
    const told: unknown[] = [];
    const add: AddRow = (_, row) => told.push(row[3]);
    const trace = new Trace({ process_id: 'p1', target: 'meshscope.test', add });
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    trace.event('INFO', 'x', 'one', { big: 2n ** 64n });
    trace.event('INFO', 'x', 'two', { circle });
    expect(told[0]).toBe('{"message":"one","process_id":"p1","big":"18446744073709551616"}');
    expect(JSON.parse(String(told[1]))).toMatchObject({ message: 'two' });
  });

  it('fit their tables; a span is entered, left and closed once, and events name it', async () => {
    const tables: Record<string, (readonly unknown[])[]> = {};
    const add: AddRow = (table, row) => {
      tables[table] ??= [];
      tables[table].push(row);
    };
    const trace = new Trace({ process_id: 'p1', target: 'meshscope.test', add });
    const span = trace.span('dump', { proc: 'trainer' });
    trace.event('WARN', 'dump failed', 'no such process', { pid: 7 }, span);
    span.close();
    span.close();
    await expect(trace.within('boom', {}, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    const read = readBack(tables as TableRows);
    expect(read.spans?.map((row) => [row[0], row[1], row[2], row[4], row[5]])).toEqual([
      ['p1', span.id, 'dump', 'INFO', '{"proc":"trainer"}'],
      ['p1', expect.anything(), 'boom', 'INFO', '{}'],
    ]);
    expect(read.span_events?.map((row) => row[3])).toEqual(['enter', 'exit', 'close', 'enter', 'exit', 'close']);
    expect(read.events?.[0]).toEqual([
      ...['dump failed', 'meshscope.test', 'WARN', '{"message":"no such process","process_id":"p1","pid":7}'],
      ...[expect.any(Number), span.id, '', 'main', 'meshscope.test', null, null],
    ]);
  });
});
