/**
 * The phrases that py-spy writes to standard error when it fails. It has one exit code for wrong usage and one for everything
 * else, so the text is the only way to recognize a failure. No other file looks at it.
 */

/** Whether it refused `--native-all`, which released versions do not have. */
export function isNativeAllRefusal(exit_code: number | null, stderr: string): boolean {
  return exit_code === 2 && stderr.includes('--native-all');
}

/** Whether it could not pause the process: another tracer has it, or it is stopped. */
export function isSuspendFailure(stderr: string): boolean {
  return stderr.includes('Failed to suspend process');
}

/** Whether all threads waited for as long as it sampled. */
export function isWithoutSamples(stderr: string): boolean {
  return stderr.includes('No stack counts found');
}

/** Whether the process is no Python, or one that it does not know. */
export function isWithoutPython(stderr: string): boolean {
  return stderr.includes('Failed to find python version');
}

/** Whether the system did not let it look at the process. */
export function isPermissionFailure(stderr: string): boolean {
  return /permission denied|operation not permitted|\bEPERM\b|\bEACCES\b/i.test(stderr);
}
