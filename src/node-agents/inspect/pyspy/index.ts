/** Stack dumps and profiles of Python processes. Start reading at `py-spy.ts`. */
export { HTTP_DUMP_OPTS, type PySpyDumpOpts } from './arguments.ts';
export { PYSPY_LIMITS, type PySpyLimits } from './limits.ts';
export type { PySpyOptions } from './options.ts';
export { createPySpy, type PySpy } from './py-spy.ts';
