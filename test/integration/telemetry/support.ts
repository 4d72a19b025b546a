/** What the telemetry tests share: a real service on a temporary folder, and a client for it. */

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Row } from '../../../src/base/index.ts';
import type { EventBatch, StoreDumpRequest } from '../../../src/contract/index.ts';
import { startTelemetry, type TelemetryLimits, type TelemetryService } from '../../../src/telemetry/index.ts';

export const TOKEN = 'token-of-the-test';

export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'meshscope-telemetry-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** @param warm_processes default 0, so that query processes are those that a test causes */
export async function startService(
  data_dir: string,
  limits: Partial<TelemetryLimits> = {},
  warm_processes = 0,
): Promise<TelemetryService> {
  // Rows of the service itself would be counted with those of a test that takes long enough.
  const quiet = { own_rows_interval_ms: 3_600_000, ...limits };
  const started = await startTelemetry({ data_dir, token: TOKEN, limits: quiet, warm_processes });
  if (!started.ok) throw new Error(started.failure.message);
  return started.value;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: { [key: string]: unknown };
  /** `error.code` and `error.message` of an envelope; empty text when there is none. */
  readonly code: string;
  readonly message: string;
}

export async function post(
  url: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return readAnswer(response);
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const json = JSON.parse(text) as { error?: { code: string; message: string }; [key: string]: unknown };
  return { status: response.status, text, json, code: json.error?.code ?? '', message: json.error?.message ?? '' };
}

export function query(url: string, sql: string): Promise<Answer> {
  return post(url, '/query', { sql });
}

/** The rows of a query that must succeed. 64-bit integers beyond 2^53 are rounded here: read `text` for those. */
export async function rowsOf(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const answer = await query(url, sql);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json.rows as Record<string, unknown>[];
}

export function statusRow(id: number | string, timestamp_us = Date.now() * 1000): Row {
  return [id, timestamp_us, '15219662858440215073', 'Idle', null];
}

export function batch(producer: string, seq: number, rows: Row[], lost_rows = 0): EventBatch {
  return { producer, seq, lost_rows, tables: { actor_status_events: rows.map((row) => [...row]) } };
}

export function dumpRequest(proc_ref = 'trainer-0<3SdB72fboyy>@host-a'): StoreDumpRequest {
  const frame = {
    name: 'train_step',
    filename: '/app/train.py',
    module: null,
    short_filename: 'train.py',
    line: 12,
    locals: [{ name: 'step', addr: 140_000_000_000, arg: true, repr: '7' }],
    is_entry: false,
  };
  return {
    dump_id: randomUUID(),
    proc_ref,
    result: {
      pid: 4242,
      binary: 'py-spy',
      capture_mode: 'python_only',
      stack_traces: [
        {
          pid: 4242,
          thread_id: 139_872_345_212_736,
          thread_name: 'MainThread',
          os_thread_id: 4242,
          active: true,
          owns_gil: true,
          frames: [frame, { ...frame, name: '<module>', locals: null, is_entry: true }],
        },
      ],
      warnings: ['late "frame"'],
    },
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
