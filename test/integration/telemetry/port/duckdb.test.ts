import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { openCore, type TelemetryLimits } from '../../../../src/telemetry/index.ts';
import { type Bounds, type Place, storeCases } from './suite.ts';

const TAKER = join(import.meta.dirname, 'duckdb-taker.ts');

function limitsOf(bounds: Bounds): Partial<TelemetryLimits> {
  const { dump_rows_max, dumps_keep_max, result_rows_max, sql_max_bytes, event_window_ms } = bounds;
  const limits = {
    dump_rows_max,
    dumps_keep_max,
    sql_rows_max: result_rows_max,
    sql_max_bytes,
    core_window_ms: event_window_ms,
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

async function makePlace(): Promise<Place> {
  const data_dir = await mkdtemp(join(tmpdir(), 'meshscope-port-'));
  return {
    async open(bounds = {}) {
      const opened = await openCore({ data_dir, limits: limitsOf(bounds) });
      if (!opened.ok) throw new Error(opened.failure.message);
      return opened.value.store;
    },
    async takeAndDie(batches) {
      const taker = spawn(process.execPath, [TAKER, data_dir], { stdio: ['pipe', 'inherit', 'inherit'] });
      taker.stdin.end(JSON.stringify(batches));
      const [code, signal] = await once(taker, 'exit');
      if (signal !== 'SIGKILL') throw new Error(`the taker ended with code ${code}`);
    },
    remove: () => rm(data_dir, { recursive: true, force: true }),
  };
}

describe('the DuckDB store', () => storeCases(makePlace));
