/**
 * The guardian: a small shell process that ends every command when the agent is gone, even by SIGKILL.
 *
 * 1. It reads its standard input, whose other end only the agent holds: `watch PGID` and `forget PGID`, a line each.
 * 2. At end-of-file it kills the groups it watches, and then, in rounds until none is left, every process whose
 *    environment carries the marker of this agent's run. So it also finds processes that left their group or session
 *    (torchrun's workers do), or whose parent has died.
 * 3. It runs in a session of its own and ignores the terminal's signals, so that what ends the agent does not end it.
 *
 * A command is started behind a gate (see `launcher.ts`) that opens only after `watch` is in this pipe: there is no
 * moment in which a command runs unguarded. An agent that ends in order closes the pipe too, and waits for the sweep.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { LIMITS } from '../limits.ts';

/** The environment variable that marks every process a run of the agent is answerable for. */
export const RUN_MARKER = 'MESHSCOPE_RUN';

const SWEEP_ROUNDS = 50;

const SCRIPT = `
trap '' INT TERM HUP QUIT
groups=' '
while read -r verb group; do
  case $verb in
    watch) groups="$groups$group " ;;
    forget) case $groups in *" $group "*) groups="\${groups%%" $group "*} \${groups#*" $group "}" ;; esac ;;
  esac
done
for group in $groups; do kill -KILL -- "-$group" 2>/dev/null; done
round=0
while [ $round -lt ${SWEEP_ROUNDS} ]; do
  found=$(grep -lsF "$1" /proc/[0-9]*/environ 2>/dev/null)
  [ -n "$found" ] || exit 0
  for file in $found; do pid=\${file#/proc/}; kill -KILL "\${pid%/environ}" 2>/dev/null; done
  round=$((round + 1))
  sleep 0.02
done
exit 1
`;

export interface Guardian {
  /** Resolves when the guardian is answerable for the group: from then on it dies with the agent. */
  watch(group: number): Promise<void>;
  forget(group: number): void;
  /** Ends everything that is left and then the guardian; resolves to false when something outlived the sweep. */
  close(): Promise<boolean>;
}

/**
 * @param run the marker's value, unique to this run of the agent
 * @param onLoss called when the guardian itself was killed; it is started again and told all groups
 */
export function startGuardian(run: string, onLoss: (message: string) => void): Guardian {
  const groups = new Set<number>();
  let closing = false;
  let child = launch();

  function launch(): ChildProcess {
    // Its own environment must not carry the marker, or it would be found by its own sweep.
    const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin' };
    const started = spawn('/bin/sh', ['-c', SCRIPT, 'meshscope-guardian', `${RUN_MARKER}=${run}`], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      env: environment,
    });
    // A write to a guardian that was just killed fails; its exit, which follows, is where that is dealt with.
    started.stdin?.on('error', () => {});
    started.once('exit', () => {
      if (closing) return;
      onLoss('the guardian process ended unexpectedly; it was started again');
      child = launch();
      for (const group of groups) child.stdin?.write(`watch ${group}\n`);
    });
    return started;
  }

  return {
    watch(group) {
      groups.add(group);
      return new Promise((resolve) => child.stdin?.write(`watch ${group}\n`, () => resolve()));
    },
    forget(group) {
      if (groups.delete(group)) child.stdin?.write(`forget ${group}\n`);
    },
    close() {
      closing = true;
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          child.kill('SIGKILL');
          resolve(false);
        }, LIMITS.guardian_sweep_ms);
        child.once('exit', (code) => {
          clearTimeout(timer);
          resolve(code === 0);
        });
        child.stdin?.end();
      });
    },
  };
}
