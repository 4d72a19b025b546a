/** The options of a py-spy runner, with defaults, validated once. */
import { type PySpyLimits, resolveLimits } from './limits.ts';

export interface PySpyOptions {
  /**
   * The configured program, one path or name, read at every request; empty means none. Default: `PYSPY_BIN` of the
   * agent's own environment. `py-spy` on `PATH` is tried after it.
   */
  readonly pyspy_bin?: () => string | undefined;
  /** Variables that py-spy gets besides the agent's own, such as a marker to find stray children by. Default none. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Replaces single limits. */
  readonly limits?: Partial<PySpyLimits>;
}

export interface ResolvedPySpyOptions {
  readonly pyspy_bin: () => string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: PySpyLimits;
}

/** @throws RangeError naming the limit and its value, when one is out of range */
export function resolveOptions(options: PySpyOptions): ResolvedPySpyOptions {
  const { pyspy_bin = () => process.env.PYSPY_BIN, environment = {}, limits } = options;
  return { pyspy_bin, environment, limits: resolveLimits(limits) };
}
