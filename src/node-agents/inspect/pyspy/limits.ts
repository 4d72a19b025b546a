/** Every bound of running py-spy, in one place. Times in milliseconds, sizes as their names say. */
export const PYSPY_LIMITS = {
  /** From the request of a dump to its answer, waiting and every retry included (PS-6). */
  dump_timeout_ms: 10_000,
  /** What a profile may take beyond its duration (PP-2). */
  profile_margin_ms: 15_000,
  /** How long a profile may wait for its turn, so that enough of the margin is left for py-spy itself. */
  profile_wait_max_ms: 10_000,

  /** Dumps of one host that run at once, and that wait for their turn; the next one is refused. */
  dumps_running_max: 4,
  dumps_waiting_max: 64,
  /** The same for profiles, which last for minutes and so are counted apart (PP-5). */
  profiles_running_max: 4,
  profiles_waiting_max: 8,

  /** Attempts at a nonblocking dump, which may fail on memory that changes while it is read (PS-10). */
  nonblocking_attempts: 3,
  nonblocking_pause_ms: 100,
  /** Further attempts when another tracer held the process at the wrong moment, about three seconds in all. */
  collision_retries: 32,
  /** Each pause is random between these, so that two that collided do not collide again in step. */
  collision_pause_min_ms: 10,
  collision_pause_max_ms: 70,

  /** Output of a dump; beyond it the dump has failed. */
  stdout_max_bytes: 64 * 1024 * 1024,
  /** Of standard error the end is kept, since that is where the reason stands. */
  stderr_max_bytes: 256 * 1024,
  /** Largest flame graph; beyond it the outcome is `output_too_large`. */
  svg_max_bytes: 16 * 1024 * 1024,
  /** From the end of the subprocess to closing pipes that something else still holds open. */
  drain_ms: 1_000,

  /** Locals of one dump, innermost frames of the first threads first; the others are left out, and a warning says so. */
  locals_max: 10_000,
  /** Of a local's value this much is kept, which py-spy has shortened before; a warning says how many were cut. */
  local_repr_max_chars: 512,

  /** Output up to this size is parsed at once, in a few milliseconds; above it, in a worker thread. */
  parse_inline_max_bytes: 256 * 1024,
  /** Memory of such a worker. */
  parse_heap_max_mb: 1_024,

  /** Binaries that are remembered as not knowing `--native-all`; the oldest is forgotten first. */
  downgrades_max: 16,
  /** How long it is remembered. A wrapper's file stays the same when the py-spy behind it changes. */
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
