/** `meshscope telemetry compact | export | verify`: what may be done with a store that no service has open. */
import path from 'node:path';
import type { Outcome } from '../../base/index.ts';
import {
  compactStore,
  EXPORT_FORMATS,
  type ExportFormat,
  exportStore,
  type TelemetryLimits,
  verifyStore,
} from '../../telemetry/index.ts';
import { type Invocation, text } from '../command.ts';
import { dataDir } from '../data-dir.ts';
import { CommandError, EXIT, type ExitCode, usageError } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { createLog } from '../log.ts';
import { formatBytes, formatCount } from '../render/format.ts';

/** Which options each takes, besides `--data`. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  compact: ['retention', 'max-bytes'],
  export: ['to', 'format'],
  verify: [],
};

export async function runTelemetryTool(
  action: string,
  invocation: Invocation,
  limits: Partial<TelemetryLimits>,
): Promise<ExitCode> {
  const allowed = OPTIONS[action];
  if (allowed === undefined) throw usageError(`telemetry ${action}: must be compact, export or verify`);
  for (const [name, value] of Object.entries(invocation.values)) {
    if (value === undefined || name === 'data' || allowed.includes(name)) continue;
    throw usageError(`telemetry ${action} takes no --${name}`);
  }
  // What is written is for the owner alone.
  process.umask(0o077);
  const data_dir = dataDir(text(invocation, 'data'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const options = { data_dir, signal: stop.signal, onProgress: progress(action) };
  if (action === 'compact') {
    const log = createLog('telemetry');
    const { bytes_before, bytes_after, rows } = orEnd(await compactStore({ ...options, limits, log }));
    process.stdout.write(`${formatCount(rows, 'row')}, ${formatBytes(bytes_before)} → ${formatBytes(bytes_after)}\n`);
    return EXIT.ok;
  }
  if (action === 'export') {
    const to = text(invocation, 'to');
    if (to === undefined) throw usageError('--to FOLDER is missing: where the tables are to be written');
    const format = readFormat(text(invocation, 'format'));
    const { tables, rows, bytes } = orEnd(await exportStore({ ...options, to: path.resolve(to), format }));
    process.stdout.write(`${tables} tables, ${formatCount(rows, 'row')}, ${formatBytes(bytes)} in ${to}\n`);
    return EXIT.ok;
  }
  const { findings, rows, segments, bytes } = orEnd(await verifyStore(options));
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  if (findings.length > 0) return EXIT.failure;
  process.stdout.write(
    `fine: ${formatCount(rows, 'row')}, ${formatBytes(bytes)}, ${formatCount(segments, 'segment')}\n`,
  );
  return EXIT.ok;
}

function readFormat(given = 'parquet'): ExportFormat {
  const format = EXPORT_FORMATS.find((candidate) => candidate === given);
  if (format === undefined) throw usageError(`--format ${given}: must be one of ${EXPORT_FORMATS.join(', ')}`);
  return format;
}

function orEnd<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { code, message } = outcome.failure;
  throw code === 'bad_request' ? usageError(message) : new CommandError(message);
}

/** Says what is being done, on standard error, once it takes long. */
function progress(action: string): (what: string) => void {
  let said_ms = performance.now();
  return (what) => {
    if (performance.now() - said_ms < LIMITS.tool_progress_ms) return;
    said_ms = performance.now();
    process.stderr.write(`${action}: ${what} …\n`);
  };
}
