/**
 * When a long-running command ends: SIGINT or SIGTERM, or the end of whoever started it.
 *
 * A parent's end is seen by the end-of-file of the descriptor that MESHSCOPE_PARENT_FD names (a launcher's), or by the
 * closing of the IPC channel (that of `meshscope up`). Either way the command stops in order, so that nothing is left
 * when something above it was killed. A second SIGINT means "at once"; `meshscope up` tells its parts so over IPC, since
 * they get no SIGINT for the first one.
 */
import { Socket } from 'node:net';
import { EXIT, type ExitCode } from './exit.ts';

export interface Stop {
  readonly reason: string;
}

export interface Lifecycle {
  /** Settles with the reason when the command is to stop. */
  readonly stopping: Promise<Stop>;
  /** Called when the stop is to be at once. */
  onHurry(listener: () => void): void;
  /** Makes the command stop from inside. */
  stop(reason: string): void;
}

export function watchLifecycle(): Lifecycle {
  let stop: (reason: string) => void = () => {};
  const stopping = new Promise<Stop>((resolve) => {
    stop = (reason) => resolve({ reason });
  });
  let interrupts = 0;
  let hurry = (): void => {};
  process.on('SIGINT', () => {
    interrupts += 1;
    if (interrupts === 1) stop('interrupted');
    else hurry();
  });
  process.on('SIGTERM', () => stop('terminated'));
  process.on('SIGHUP', () => stop('the terminal was closed'));
  watchParentDescriptor(() => stop('the starting process is gone'));
  if (process.channel !== undefined && process.channel !== null) {
    process.on('disconnect', () => stop('the starting process is gone'));
    process.on('message', (message: { readonly type?: string }) => {
      if (message.type === 'hurry') hurry();
    });
  }
  return {
    stopping,
    stop,
    onHurry(listener) {
      hurry = listener;
    },
  };
}

/** Takes the descriptor out of the environment as well: our children have parents of their own. */
function watchParentDescriptor(onEnd: () => void): void {
  const descriptor = Number(process.env.MESHSCOPE_PARENT_FD);
  delete process.env.MESHSCOPE_PARENT_FD;
  if (!Number.isInteger(descriptor) || descriptor < 3) return;
  try {
    const pipe = new Socket({ fd: descriptor, readable: true, writable: false });
    pipe.on('error', () => {});
    pipe.once('close', onEnd);
    pipe.resume();
    pipe.unref();
  } catch {
    // Nothing is open there: the variable was inherited from somewhere further up, and is not for us.
  }
}

/** Tells whoever started this process over IPC that it is ready, if there is such a one. */
export function tellReady(message: Readonly<Record<string, string | number>>): void {
  // A parent that has gone meanwhile is dealt with where its end is noticed.
  if (process.connected) process.send?.({ type: 'ready', ...message }, undefined, undefined, () => {});
}

/** Waits for the stop, then does it. */
export async function runUntilStopped(
  lifecycle: Lifecycle,
  close: (reason: string) => Promise<void>,
): Promise<ExitCode> {
  const { reason } = await lifecycle.stopping;
  await close(reason);
  return EXIT.ok;
}
