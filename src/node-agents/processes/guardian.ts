/**
 * The guardian: a small shell process that ends every command when the agent is gone, even by SIGKILL.
 *
 * 1. It reads its standard input, whose other end only the agent holds: `watch PGID` and `forget PGID`, a line each.
 * 2. At end-of-file it kills the groups it watches and all descendants of their first processes, and then, in rounds
 *    until none is left, every process whose environment carries the marker of this agent's run. So it also finds
 *    processes that left their group or session (torchrun's workers do), that cleared their environment (sudo does) or
 *    overwrote it (setproctitle does), or whose parent has died. What did all of that at once is not found.
 * 3. It runs in a session of its own and ignores the terminal's signals, so that what ends the agent does not end it.
 *
 * A command is started behind a gate (see `launcher.ts`) that opens only after `watch` is in this pipe: there is no
 * moment in which a command runs unguarded. An agent that ends in order closes the pipe too, and waits for the sweep.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { type AgentLimits, LIMITS } from '../limits.ts';

/** The environment variable that marks every process a run of the agent is answerable for. */
export const RUN_MARKER = 'MESHSCOPE_RUN';

const script = ({ guardian_sweep_rounds, guardian_sweep_pause_ms }: AgentLimits): string => `
trap '' INT TERM HUP QUIT
groups=' '
while read -r verb group; do
  case $verb in
    watch) groups="$groups$group " ;;
    forget) case $groups in *" $group "*) groups="\${groups%%" $group "*} \${groups#*" $group "}" ;; esac ;;
  esac
done
family=''
descend() {
  for list in /proc/$1/task/*/children; do
    kids=''
    read -r kids <"$list"
    for kid in $kids; do family="$family $kid"; descend "$kid"; done
  done
}
for group in $groups; do descend "$group"; done
for group in $groups; do kill -KILL -- "-$group" 2>/dev/null; done
for pid in $family; do kill -KILL "$pid" 2>/dev/null; done
round=0
while [ $round -lt ${guardian_sweep_rounds} ]; do
  found=$(grep -lsF "$1" /proc/[0-9]*/environ 2>/dev/null)
  [ -n "$found" ] || exit 0
  for file in $found; do pid=\${file#/proc/}; kill -KILL "\${pid%/environ}" 2>/dev/null; done
  round=$((round + 1))
  sleep ${guardian_sweep_pause_ms / 1_000}
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
 * @param onLoss is called when the guardian itself was killed; it is started again and given all groups
 */
export function startGuardian(run: string, onLoss: (message: string) => void, limits: AgentLimits = LIMITS): Guardian {
  const groups = new Set<number>();
  /** Those who wait for a guardian that is answerable. */
  const waiting: (() => void)[] = [];
  let child: ChildProcess | null = null;
  let started_ms = 0;
  let restart: NodeJS.Timeout | undefined;
  let closing = false;
  let closed: Promise<boolean> | null = null;
  revive();

  function revive(): void {
    started_ms = performance.now();
    child = launch();
    if (child === null) return;
    for (const group of groups) child.stdin?.write(`watch ${group}\n`);
    for (const resolve of waiting.splice(0)) resolve();
  }

  function launch(): ChildProcess | null {
    try {
      // Its own environment must not carry the marker, or it would be found by its own sweep; and its tools must be
      // found whatever PATH the commands are to have.
      const environment = { PATH: `${process.env.PATH ?? ''}:/usr/bin:/bin` };
      const started = spawn('/bin/sh', ['-c', script(limits), 'meshscope-guardian', `${RUN_MARKER}=${run}`], {
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
        cwd: '/',
        env: environment,
      });
      // A write to a guardian that was just killed fails; its exit, which follows, is where that is dealt with.
      started.stdin?.on('error', () => {});
      started.once('error', (error) => lost(`the guardian process could not be started (${error.message})`));
      started.once('exit', () => lost('the guardian process ended unexpectedly'));
      return started;
    } catch (error) {
      lost(`the guardian process could not be started (${(error as Error).message})`);
      return null;
    }
  }

  function lost(what: string): void {
    child = null;
    if (closing) return;
    onLoss(`${what}; it is started again`);
    restart = setTimeout(revive, Math.max(0, started_ms + limits.guardian_restart_ms - performance.now()));
  }

  return {
    watch(group) {
      groups.add(group);
      return new Promise((resolve) => {
        const asked = child;
        const settle = (error?: Error | null): void => {
          // The guardian that comes after one that died gets all groups when it starts.
          const isGuarded = child !== null && (!error || child !== asked);
          if (isGuarded) resolve();
          else waiting.push(resolve);
        };
        if (asked?.stdin) asked.stdin.write(`watch ${group}\n`, settle);
        else settle();
      });
    },
    forget(group) {
      if (groups.delete(group)) child?.stdin?.write(`forget ${group}\n`);
    },
    close() {
      closing = true;
      closed ??= new Promise((resolve) => {
        clearTimeout(restart);
        if (child === null) revive();
        for (const settle of waiting.splice(0)) settle();
        const last = child;
        if (last === null) return resolve(false);
        const timer = setTimeout(() => {
          last.kill('SIGKILL');
          resolve(false);
        }, limits.guardian_sweep_ms);
        const settle = (isSwept: boolean): void => {
          clearTimeout(timer);
          resolve(isSwept);
        };
        last.once('error', () => settle(false));
        last.once('exit', (code) => settle(code === 0));
        last.stdin?.end();
      });
      return closed;
    },
  };
}
