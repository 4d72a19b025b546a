/** The argument lists of py-spy. The order of flags is part of the behaviour, and differs between the two commands. */
import type { PySpyCaptureMode, PySpyProfileOpts } from '../../../contract/index.ts';

export interface PySpyDumpOpts {
  readonly threads: boolean;
  readonly native: boolean;
  readonly native_all: boolean;
  readonly nonblocking: boolean;
  /** Values of local variables. Default false. */
  readonly locals?: boolean;
}

/** What a dump asked for over HTTP is taken with; the caller chooses only whether there are locals. */
export const HTTP_DUMP_OPTS: PySpyDumpOpts = { threads: false, native: true, native_all: true, nonblocking: false };

export function dumpArguments(pid: number, opts: PySpyDumpOpts): string[] {
  return [
    ...['dump', '--pid', `${pid}`, '--json'],
    ...(opts.threads ? ['--threads'] : []),
    ...(opts.native ? ['--native'] : []),
    ...(opts.native_all ? ['--native-all'] : []),
    ...(opts.nonblocking ? ['--nonblocking'] : []),
    ...(opts.locals ? ['--locals'] : []),
  ];
}

export function profileArguments(pid: number, opts: PySpyProfileOpts, output: string): string[] {
  return [
    ...['record', '--pid', `${pid}`, '--duration', `${opts.duration_s}`, '--rate', `${opts.rate_hz}`],
    ...['--format', 'flamegraph', '--output', output],
    ...(opts.native ? ['--native'] : []),
    ...(opts.threads ? ['--threads'] : []),
    ...(opts.nonblocking ? ['--nonblocking'] : []),
  ];
}

/** How a run with these options walks the stacks. */
export function captureMode(opts: PySpyDumpOpts): PySpyCaptureMode {
  if (opts.native_all) return 'native_all';
  return opts.native ? 'native' : 'python_only';
}
