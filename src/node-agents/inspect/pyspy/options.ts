/** What a runner of py-spy can be told, with defaults, checked once. */
import { PYSPY_LIMITS } from './limits.ts';

export interface PySpyOptions {
  /**
   * The configured program, one path or name, read at every request; empty means none. Default: `PYSPY_BIN` of the
   * agent's own environment. `py-spy` on `PATH` is tried after it.
   */
  readonly pyspy_bin?: () => string | undefined;
  /** Longest time of one dump, milliseconds, waiting included. Default 10,000. */
  readonly dump_timeout_ms?: number;
  /** What a profile may take beyond its duration, milliseconds. Default 15,000. */
  readonly profile_margin_ms?: number;
  /** Dumps that run at once. Default 4. */
  readonly dumps_running_max?: number;
  /** Dumps that wait. Default 64. */
  readonly dumps_waiting_max?: number;
  /** Profiles that run at once. Default 4. */
  readonly profiles_running_max?: number;
  /** Profiles that wait. Default 8. */
  readonly profiles_waiting_max?: number;
  /** Variables that py-spy gets besides the agent's own, such as a marker to find stray children by. Default none. */
  readonly environment?: Readonly<Record<string, string>>;
}

export type ResolvedPySpyOptions = Required<PySpyOptions>;

/** Fills in the defaults. Throws a RangeError that names the option and the value when one is out of range. */
export function resolveOptions(options: PySpyOptions): ResolvedPySpyOptions {
  return {
    pyspy_bin: options.pyspy_bin ?? (() => process.env.PYSPY_BIN),
    dump_timeout_ms: whole('dump_timeout_ms', options.dump_timeout_ms ?? PYSPY_LIMITS.dump_timeout_ms, 1),
    profile_margin_ms: whole('profile_margin_ms', options.profile_margin_ms ?? PYSPY_LIMITS.profile_margin_ms, 1),
    dumps_running_max: whole('dumps_running_max', options.dumps_running_max ?? PYSPY_LIMITS.dumps_running_max, 1),
    dumps_waiting_max: whole('dumps_waiting_max', options.dumps_waiting_max ?? PYSPY_LIMITS.dumps_waiting_max, 0),
    profiles_running_max: whole(
      'profiles_running_max',
      options.profiles_running_max ?? PYSPY_LIMITS.profiles_running_max,
      1,
    ),
    profiles_waiting_max: whole(
      'profiles_waiting_max',
      options.profiles_waiting_max ?? PYSPY_LIMITS.profiles_waiting_max,
      0,
    ),
    environment: options.environment ?? {},
  };
}

function whole(name: string, value: number, min: number): number {
  // Timers of the runtime hold 31 bits of milliseconds.
  if (Number.isSafeInteger(value) && value >= min && value < 2 ** 31) return value;
  throw new RangeError(`${name} must be a whole number from ${min} to ${2 ** 31 - 1}, got ${value}`);
}
