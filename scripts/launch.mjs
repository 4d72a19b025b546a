/**
 * Runs one child in the foreground and ends as it ends.
 *
 *  1. The child stays in the terminal's process group, so Ctrl-C reaches it without our help, and job control works.
 *  2. SIGINT, SIGTERM and SIGHUP that reach us may or may not have reached the child too: a terminal signals the group,
 *     `kill` one process, and npm repeats to us what the terminal had sent already. So whatever comes, and however
 *     often, the child gets one SIGTERM, which means "end in good order" and is harmless to a child that is ending.
 *     A SIGINT that the child sees is therefore always one that a person sent; only a second SIGINT means "hurry".
 *  3. We wait for the child and exit with its code, or 128 + n when signal n ended it.
 *  4. When we are killed without a chance to act, the child must still notice: MESHSCOPE_PARENT_FD names a descriptor
 *     whose other end only this process holds. Nothing is ever written to it; its end-of-file means that we are gone.
 *     The child unrefs it while it has other work, and takes the variable out of the environment of its own children.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Resolves with the exit code. `options` are those of spawn; stdin, stdout and stderr are inherited. */
export function launch(command, args, { env = process.env, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...options,
      env: { ...env, MESHSCOPE_PARENT_FD: '3' },
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    });
    let forwarded = false;
    const forward = () => {
      if (forwarded) return;
      forwarded = true;
      child.kill('SIGTERM');
    };
    const settle = (finish, value) => {
      for (const signal of SIGNALS) process.off(signal, forward);
      finish(value);
    };
    for (const signal of SIGNALS) process.on(signal, forward);
    // The child may end while the pipe is being torn down; that is no error of ours.
    child.stdio[3]?.on('error', () => {});
    child.on('error', (cause) => settle(reject, cause));
    child.on('exit', (code, signal) => settle(resolve, code ?? 128 + constants.signals[signal]));
  });
}
