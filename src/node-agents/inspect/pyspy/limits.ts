/** Every bound of running py-spy, with its number. Times are in milliseconds; sizes are in the unit that ends the name. */
export const PYSPY_LIMITS = {
  /** Time from the request of a dump to its answer, including waiting and every retry (PS-6). */
  dump_timeout_ms: 10_000,
  /** Time that a profile may take beyond its duration (PP-2). */
  profile_margin_ms: 15_000,
  /** How long a profile may wait for its turn, so that enough of the margin is left for py-spy itself. */
  profile_wait_max_ms: 10_000,

  /** Dumps of one host that run at once, and dumps that wait. Beyond both, a dump is refused. */
  dumps_running_max: 4,
  dumps_waiting_max: 64,
  /** The same for profiles, which are counted separately because they last for minutes (PP-5). */
  profiles_running_max: 4,
  profiles_waiting_max: 8,

  /** Attempts at a nonblocking dump, which fails when memory changes while it is read (PS-10), and the pause between them. */
  nonblocking_attempts: 3,
  nonblocking_pause_ms: 100,
  /** Further attempts when another tracer holds the process: about three seconds in all. */
  collision_retries: 32,
  /** Each pause between those attempts is a random time in this range, so that two tracers do not collide in step. */
  collision_pause_min_ms: 10,
  collision_pause_max_ms: 70,

  /** Output of one dump. Beyond it, the dump fails. */
  stdout_max_bytes: 64 * 1024 * 1024,
  /** Standard error that is kept. Only its end is kept, because the reason is there. */
  stderr_max_bytes: 256 * 1024,
  /** Size of one flame graph. Beyond it, the outcome is `output_too_large`. */
  svg_max_bytes: 16 * 1024 * 1024,
  /** Time after the end of the subprocess until pipes that something else holds open are closed. */
  drain_ms: 1_000,

  /** Local variables in one dump, innermost frames of the first threads first. The others are left out, with a warning. */
  locals_max: 10_000,
  /** Characters of one value. Longer ones are cut, with a warning that says how many; py-spy itself shortens values before. */
  local_repr_max_chars: 512,

  /** Output up to this size is parsed in the main thread, in a few milliseconds. Larger output is parsed in a worker thread. */
  parse_inline_max_bytes: 256 * 1024,
  /** Heap of such a worker. Beyond it, the dump fails. */
  parse_heap_max_mb: 1_024,

  /** Binaries that are remembered to lack `--native-all`. Beyond it, the oldest is forgotten. */
  downgrades_max: 16,
  /** How long that is remembered. The file of a wrapper script stays the same when the py-spy behind it changes. */
  downgrade_memory_ms: 10 * 60_000,
} as const;

export type PySpyLimits = { readonly [Name in keyof typeof PYSPY_LIMITS]: number };

/** What may be 0: that nobody waits. */
const MIN: Partial<PySpyLimits> = { dumps_waiting_max: 0, profiles_waiting_max: 0 };
/** Timers of the runtime hold 31 bits of milliseconds. */
const MAX = 2 ** 31 - 1;

/**
 * The limits with some replaced.
 *
 * @throws RangeError naming the limit and its value, when it is out of range
 */
export function resolveLimits(changes: Partial<PySpyLimits> = {}): PySpyLimits {
  for (const [name, value] of Object.entries(changes)) {
    const min = MIN[name as keyof PySpyLimits] ?? 1;
    if (Number.isSafeInteger(value) && value >= min && value <= MAX) continue;
    throw new RangeError(`${name} must be a whole number from ${min} to ${MAX}, got ${value}`);
  }
  return { ...PYSPY_LIMITS, ...changes };
}
