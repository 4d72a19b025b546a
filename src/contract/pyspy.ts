/** Stack dumps and profiles: results as `py-spy dump --json` gives them, options, and the outcomes of a profile. */
import * as v from 'valibot';
import { I32, nullable, U32, U64, UInt } from './integers.ts';

/** A live value, which may be a secret: there are none unless they were asked for. */
export const PySpyLocalVariable = v.object({
  name: v.string(),
  addr: UInt,
  arg: v.boolean(),
  repr: nullable(v.string()),
});
export type PySpyLocalVariable = v.InferOutput<typeof PySpyLocalVariable>;

export const PySpyFrame = v.object({
  name: v.string(),
  filename: v.string(),
  module: nullable(v.string()),
  short_filename: nullable(v.string()),
  line: I32,
  /** Null when they were not asked for, and for native frames. */
  locals: nullable(v.array(PySpyLocalVariable)),
  is_entry: v.boolean(),
});
export type PySpyFrame = v.InferOutput<typeof PySpyFrame>;

/** One thread; `frames` is innermost first. */
export const PySpyStackTrace = v.object({
  pid: I32,
  thread_id: U64,
  thread_name: nullable(v.string()),
  os_thread_id: nullable(U64),
  active: v.boolean(),
  owns_gil: v.boolean(),
  frames: v.array(PySpyFrame),
});
export type PySpyStackTrace = v.InferOutput<typeof PySpyStackTrace>;

/** How the attempt that succeeded walked the stacks: Python frames only, native frames too, native threads too. */
export const PySpyCaptureMode = v.picklist(['python_only', 'native', 'native_all']);
export type PySpyCaptureMode = v.InferOutput<typeof PySpyCaptureMode>;

export const PySpyOk = v.object({
  pid: U32,
  binary: v.string(),
  capture_mode: PySpyCaptureMode,
  stack_traces: v.array(PySpyStackTrace),
  warnings: v.array(v.string()),
});
export type PySpyOk = v.InferOutput<typeof PySpyOk>;

export const PySpyFailed = v.object({
  pid: U32,
  binary: v.string(),
  exit_code: nullable(I32),
  stderr: v.string(),
});
export type PySpyFailed = v.InferOutput<typeof PySpyFailed>;

/** "Not found" and "failed" are never conflated (PS-2). */
export const PySpyResult = v.union([
  v.strictObject({ Ok: PySpyOk }),
  v.strictObject({ BinaryNotFound: v.object({ searched: v.array(v.string()) }) }),
  v.strictObject({ Failed: PySpyFailed }),
]);
export type PySpyResult = v.InferOutput<typeof PySpyResult>;

/** Longest profile, seconds, and highest rate, samples per second. Above either 400. */
export const PROFILE_MAX_S = 300;
export const PROFILE_RATE_MAX_HZ = 1000;

/** Body of `POST /v1/pyspy_profile_svg/{proc}`; every field is required. Ranges are checked apart from the shape. */
export const PySpyProfileOpts = v.object({
  duration_s: U32,
  rate_hz: U32,
  native: v.boolean(),
  threads: v.boolean(),
  nonblocking: v.boolean(),
});
export type PySpyProfileOpts = v.InferOutput<typeof PySpyProfileOpts>;

/** The first reason why options are out of range, or null (PP-1). The order is part of the contract. */
export function profileOptsError(opts: PySpyProfileOpts, duration_max_s: number): string | null {
  if (opts.duration_s === 0) return 'duration_s must be positive';
  if (opts.duration_s > duration_max_s) return `duration_s ${opts.duration_s}s exceeds max ${duration_max_s}s`;
  if (opts.rate_hz === 0 || opts.rate_hz > PROFILE_RATE_MAX_HZ) {
    return `rate_hz must be 1..=${PROFILE_RATE_MAX_HZ}, got ${opts.rate_hz}`;
  }
  if (opts.native && opts.nonblocking) {
    return 'native and nonblocking cannot both be true: native stacks need the process paused; set one to false';
  }
  return null;
}

/** What became of a profile, one variant per way it can end (PP-6). */
export const PySpyProfileOutcome = v.variant('kind', [
  v.object({ kind: v.literal('ok'), svg: v.string() }),
  v.object({ kind: v.literal('binary_not_found'), searched: v.array(v.string()) }),
  v.object({ kind: v.literal('timed_out'), timeout_s: U32, stderr: v.string() }),
  v.object({ kind: v.literal('exit_failure'), exit_code: nullable(I32), stderr: v.string() }),
  v.object({ kind: v.literal('no_samples'), duration_s: U32 }),
  v.object({ kind: v.literal('output_missing'), pid: U32, binary: v.string() }),
  v.object({ kind: v.literal('output_empty'), pid: U32, binary: v.string() }),
  v.object({ kind: v.literal('output_too_large'), size_bytes: UInt, limit_bytes: UInt }),
  v.object({ kind: v.literal('output_read_failure'), error: v.string() }),
  v.object({ kind: v.literal('subprocess_spawn_failure'), error: v.string() }),
  v.object({ kind: v.literal('temp_dir_failure'), error: v.string() }),
]);
export type PySpyProfileOutcome = v.InferOutput<typeof PySpyProfileOutcome>;

export const PyspyDumpAndStoreResponse = v.object({ dump_id: v.string() });
export type PyspyDumpAndStoreResponse = v.InferOutput<typeof PyspyDumpAndStoreResponse>;
