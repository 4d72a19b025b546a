/** What a gateway says of itself, in `/metrics` and in what it sends to the store. */

import { afterEach, describe, expect, it } from 'vitest';
import { failure, SILENT, success, type TableRows } from '../../src/base/index.ts';
import { type EventBatch, pack } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import type { MeshCounts, Telemetry } from '../../src/edge-gateway/ports.ts';
import { OwnTelemetry } from '../../src/edge-gateway/store/own-telemetry.ts';
import { sha256 } from '../../src/edge-gateway/targets/sha256.ts';
import { until } from '../support/until.ts';

const COUNTS: MeshCounts = {
  hosts: 3,
  links: 2,
  nodes: 40,
  calls: 0,
  followers: 0,
  late_answers: 0,
  gaps: 5,
  stale_frames: 0,
  poison_batches: 0,
  dropped_batches: 0,
};

const ACTOR = 'mesh_admin.local@tcp://127.0.0.1:1';

const opened: OwnTelemetry[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) void each.close();
});

function open(): OwnTelemetry {
  const own = new OwnTelemetry({ version: '1', log: SILENT, counts: () => COUNTS, sha256, limits: LIMITS });
  opened.push(own);
  return own;
}

class Taking implements Telemetry {
  readonly batches: EventBatch[] = [];
  isAbsent = false;
  query = async () => success(new Response());
  storeDump = async () => success(undefined);
  ingest = async (batch: EventBatch) => {
    this.batches.push(batch);
    return success(undefined);
  };
  absent = async () => (this.isAbsent ? ({ code: 'service_unavailable', message: 'gone' } as const) : null);
  rows = (table: string) => this.batches.flatMap(({ tables }) => (tables?.[table] ?? []) as unknown[][]);
}

describe('the text', () => {
  it('has the counts of the mesh, gauges and counters, and requests by route and status', async () => {
    const own = open();
    for (const status of [200, 200, 404]) own.requestStarted({ path: '/v1/root' })(status);
    own.requestStarted({ path: '/v1/query', audit: 'query' })(200);
    const text = await own.text();
    expect(text).toContain('\nmeshscope_gateway_hosts 3\n');
    expect(text).toContain('# TYPE meshscope_gateway_gaps_total counter\nmeshscope_gateway_gaps_total 5\n');
    expect(text).toContain('meshscope_gateway_requests_total{route="/v1/root",status="200"} 2\n');
    expect(text).toContain('meshscope_gateway_requests_total{route="/v1/root",status="404"} 1\n');
    expect(text).toContain('meshscope_gateway_request_duration_ms_count{route="/v1/query"} 1\n');
  });
});

describe('what is sent', () => {
  it('are rows that fit their tables: metrics, log lines, and a span for what is audited', async () => {
    const own = open();
    const telemetry = new Taking();
    own.log.warn('host gpu-7 is gone', { host: 'gpu-7' });
    own.requestStarted({ path: '/v1/query', audit: 'query' })(200);
    own.start({ telemetry, actor: ACTOR, interval_ms: 5 });
    await until(
      () => telemetry.rows('metric_sums').length > 0 && telemetry.rows('spans').length > 0,
      'metrics and spans',
    );
    for (const { tables, source } of telemetry.batches) {
      expect(pack(tables as TableRows)).toMatchObject({ ok: true });
      expect(source).toBe('gateway: own telemetry');
    }
    expect(telemetry.rows('events')[0]).toEqual(
      expect.arrayContaining(['host gpu-', 'WARN', expect.stringContaining('"host":"gpu-7"')]),
    );
    expect(telemetry.rows('spans').map((row) => row[2])).toEqual(['query']);
    expect(telemetry.rows('span_events').map((row) => row[3])).toEqual(['enter', 'exit', 'close']);
    expect(telemetry.batches.map(({ seq }) => seq)).toEqual(telemetry.batches.map((_, index) => index + 1));
  });

  it('waits while there is no store, at most LIMITS.own_rows_max rows, and says how many were lost', async () => {
    const own = open();
    const telemetry = new Taking();
    telemetry.isAbsent = true;
    own.start({ telemetry, actor: ACTOR, interval_ms: 5 });
    const announced = 5;
    for (let index = 0; index < LIMITS.own_rows_max + 3 - announced; index += 1) own.log.info(`line ${index}`);
    telemetry.isAbsent = false;
    await until(() => telemetry.rows('events').length >= LIMITS.own_rows_max - announced, 'as many rows as may wait');
    expect(telemetry.rows('events')).toHaveLength(LIMITS.own_rows_max - announced);
    expect(telemetry.batches.map(({ lost_rows }) => lost_rows).reduce((a, b) => Math.max(a, b))).toBe(3);
  });

  it('has the gateway as an actor, from its creation to its end', async () => {
    const own = open();
    const telemetry = new Taking();
    own.start({ telemetry, actor: ACTOR, interval_ms: 5 });
    await until(() => telemetry.rows('actors').length > 0, 'the row of the actor');
    await own.close();
    const [actor] = telemetry.rows('actors');
    const statuses = telemetry.rows('actor_status_events');
    expect(statuses.map((row) => row[3])).toEqual(['Created', 'Initializing', 'Idle', 'Stopping', 'Stopped']);
    expect(new Set(statuses.map((row) => row[2]))).toEqual(new Set([actor?.[0]]));
    expect(telemetry.rows('meshes').map((row) => row[0])).toEqual([actor?.[2]]);
  });

  it('that a store refuses for good is counted with the next', async () => {
    const own = open();
    const telemetry = new Taking();
    const { ingest } = telemetry;
    telemetry.ingest = async () => {
      telemetry.ingest = ingest;
      return failure('bad_request', 'no');
    };
    own.log.info('one line');
    own.start({ telemetry, actor: ACTOR, interval_ms: 5 });
    await until(() => telemetry.batches.length > 0, 'a batch');
    expect(telemetry.batches[0]?.lost_rows).toBeGreaterThan(0);
    expect(telemetry.rows('events').map((row) => row[0])).toContain('own telemetry dropped after');
  });
});
