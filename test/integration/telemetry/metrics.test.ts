/** What the telemetry service says of itself: `/metrics`, and rows in its own tables. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTelemetry, type TelemetryService } from '../../../src/telemetry/index.ts';
import { until } from '../../support/until.ts';

let folder = '';
let service: TelemetryService;
const token = randomUUID();
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-metrics-'));
  const started = await startTelemetry({ data_dir: folder, token, limits: { own_rows_interval_ms: 50 } });
  if (!started.ok) throw new Error(started.failure.message);
  service = started.value;
});

afterAll(async () => {
  await service.close();
  await rm(folder, { recursive: true, force: true });
});

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${service.url}/query`, { method: 'POST', headers, body: JSON.stringify({ sql }) });
  if (!response.ok) throw new Error(await response.text());
  const answer = (await response.json()) as { rows: Record<string, unknown>[] };
  return answer.rows;
}

describe('/metrics of the service', () => {
  it('needs the token, as everything but /healthz does', async () => {
    expect((await fetch(`${service.url}/metrics`)).status).toBe(401);
  });

  it('has what was stored and asked, the query processes, memory and the delay of the event loop', async () => {
    const row = [1, 1, 1, 'Idle', null];
    const batch = { producer: randomUUID(), seq: 1, lost_rows: 4, tables: { actor_status_events: [row] } };
    const ingest = () => fetch(`${service.url}/ingest`, { method: 'POST', headers, body: JSON.stringify(batch) });
    expect((await ingest()).status).toBe(200);
    expect((await ingest()).status).toBe(200);
    await query('select 1');
    const response = await fetch(`${service.url}/metrics`, { headers });
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    const text = await response.text();
    expect(text).toContain('meshscope_telemetry_requests_total{method="ingest",outcome="ok"} 2\n');
    expect(text).toContain('meshscope_telemetry_duplicate_batches_total 1\n');
    expect(text).toContain('meshscope_telemetry_lost_rows 4\n');
    expect(text).toContain('meshscope_telemetry_ok 1\n');
    for (const name of ['process_rss_bytes', 'event_loop_delay_ms', 'sql_processes', 'database_bytes']) {
      expect(text).toMatch(new RegExp(`^meshscope_telemetry_${name} \\d`, 'm'));
    }
  });

  it('has its rows in the metric tables, and queries in the trace tables', async () => {
    const names = "select distinct name from metric_sums where scope_name = 'meshscope.telemetry'";
    await until(
      async () => (await query(names)).some(({ name }) => name === 'telemetry.requests'),
      'the metric of the requests',
    );
    await until(
      async () => (await query("select count(*) as n from spans where name = 'query'"))[0]?.n !== 0,
      'the span of the query',
    );
    const [gauge] = await query("select unit from metric_gauges where name = 'telemetry.process_rss_bytes' limit 1");
    expect(gauge).toEqual({ unit: 'By' });
  });

  it('does not count its own rows as requests', async () => {
    const text = await (await fetch(`${service.url}/metrics`, { headers })).text();
    expect(text).toContain('meshscope_telemetry_requests_total{method="ingest",outcome="ok"} 2\n');
  });
});
