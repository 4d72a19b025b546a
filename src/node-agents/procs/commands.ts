/** The commands that an agent was asked to run: starting their copies, following them to their end, stopping them. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { uuidV7 } from '../../base/index.ts';
import { LIMITS } from '../limits.ts';
import { type Guardian, RUN_MARKER } from '../processes/guardian.ts';
import { type Launched, launch } from '../processes/launcher.ts';
import { createOutputTail, type OutputStream } from '../processes/output-tail.ts';
import {
  bootId,
  identify,
  isAlive,
  isRunning,
  type ProcessIdentity,
  type ProcessStat,
  redactCommandLine,
  scanProcesses,
  startTimeMs,
} from '../procfs/index.ts';
import { hashUid, procRefs, programLabel } from './identity.ts';
import { type ProcRecord, stateForExit, UNKNOWN_EXIT } from './proc-record.ts';
import type { ProcSpec } from './proc-spec.ts';
import type { ProcRegistry } from './registry.ts';

export interface CommandsOptions {
  readonly host_name: string;
  readonly run: string;
  /** Folder that relative `cwd`s start from. */
  readonly base_dir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Variables of the agent's own that must not reach a command: its access to the gateway. */
  readonly withheld_env: readonly string[];
  readonly onOutput: (name: string, stream: OutputStream, line: string) => void;
  readonly onEnd: (record: ProcRecord) => void;
}

interface Running {
  readonly record: ProcRecord;
  readonly process: Launched;
}

export class Commands {
  readonly #options: CommandsOptions;
  readonly #registry: ProcRegistry;
  readonly #guardian: Guardian;
  readonly #running = new Set<Running>();
  #stopping = false;
  #hurried = false;

  constructor(options: CommandsOptions, registry: ProcRegistry, guardian: Guardian) {
    this.#options = options;
    this.#registry = registry;
    this.#guardian = guardian;
  }

  /** Starts every copy of a spec. A copy that cannot be started becomes a failed proc that says why. */
  async start(spec: ProcSpec): Promise<void> {
    for (let rank = 0; rank < spec.procs && !this.#stopping; rank += 1) await this.#startCopy(spec, rank);
  }

  /**
   * Ends all commands: TERM, then KILL after `grace_ms`. Settles when all have ended, and with them what they started in
   * their groups: a shell dies of TERM at once, and the program it runs has the whole grace all the same.
   */
  async stop(grace_ms: number): Promise<void> {
    this.#stopping = true;
    const deadline_ms = performance.now() + grace_ms;
    const running = [...this.#running];
    const groups = new Set(running.map(({ process }) => process.pid));
    const family = await descendantsOf(groups);
    await Promise.all(
      running.map(({ record, process }) => {
        this.#registry.move(record, { kind: 'stopping' });
        return process.terminate(grace_ms);
      }),
    );
    while (!this.#hurried && performance.now() < deadline_ms && (await isAnyLeft(groups))) {
      await sleep(LIMITS.group_poll_ms);
    }
    // What left its group and cleared its environment, as sudo does, is out of the guardian's sight.
    for (const descendant of family) killProcess(descendant);
  }

  /** Ends all commands at once. */
  kill(): void {
    this.#stopping = true;
    this.#hurried = true;
    for (const { process } of this.#running) process.kill();
  }

  async #startCopy(spec: ProcSpec, rank: number): Promise<void> {
    const { host_name } = this.#options;
    const name = spec.procs === 1 ? spec.name : `${spec.name}-${rank}`;
    const program = programLabel(spec.command);
    const output = createOutputTail((stream, line) => this.#options.onOutput(name, stream, line));
    const env = this.#environment(spec, rank);
    const cwd = path.resolve(this.#options.base_dir, spec.cwd ?? '.');
    const launched = await launch({ command: spec.command, cwd, env, output }, this.#guardian);
    if (this.#stopping) {
      // Asked to stop meanwhile: the command itself has not run yet, and does not now.
      if (launched.ok) launched.value.kill();
      return;
    }
    const identity = launched.ok ? identify(launched.value.pid) : null;
    const number =
      identity === null
        ? hashUid('unstarted', this.#options.run, name)
        : hashUid('process', bootId() ?? '', identity.pid, identity.start_ticks);
    const record: ProcRecord = {
      refs: procRefs(host_name, name, program, number),
      name,
      origin: 'started',
      identity,
      command: redactCommandLine(spec.command),
      parent_pid: process.pid,
      parent: null,
      rank: spec.procs === 1 ? null : rank,
      local_rank: spec.procs === 1 ? null : rank,
      started_at_ms: (identity === null ? null : startTimeMs(identity.start_ticks)) ?? Date.now(),
      instance_ids: { proc_agent: uuidV7(), command: uuidV7() },
      output,
      state: launched.ok
        ? { kind: 'starting' }
        : { kind: 'failed', reason: cutReason(launched.failure.message), ended_at_ms: Date.now(), exit: UNKNOWN_EXIT },
    };
    if (!this.#registry.add(record)) {
      if (launched.ok) launched.value.kill();
      return;
    }
    if (!launched.ok) return this.#options.onEnd(record);
    await this.#follow({ record, process: launched.value });
  }

  async #follow(running: Running): Promise<void> {
    const { record, process } = running;
    this.#running.add(running);
    process.exited.then((exit) => {
      this.#running.delete(running);
      this.#registry.move(record, stateForExit(exit, Date.now(), this.#stopping));
      this.#options.onEnd(record);
    });
    // Output that a grandchild kept back may still change what the failure shows.
    process.drained.then(() => this.#registry.touch(record));
    await process.run();
    if (record.state.kind === 'starting') this.#registry.move(record, { kind: 'running' });
  }

  #environment(spec: ProcSpec, rank: number): Record<string, string> {
    const ranks = { RANK: String(rank), LOCAL_RANK: String(rank), WORLD_SIZE: String(spec.procs) };
    const env: Record<string, string | undefined> = {
      ...this.#options.env,
      // Without this, what a Python program printed before it hung would still be in its buffer.
      PYTHONUNBUFFERED: '1',
      ...(spec.procs > 1 ? ranks : {}),
      ...spec.env,
      [RUN_MARKER]: this.#options.run,
    };
    for (const name of this.#options.withheld_env) delete env[name];
    return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  }
}

/** Everything below the given processes, as it is now. */
async function descendantsOf(roots: ReadonlySet<number>): Promise<ProcessIdentity[]> {
  const children = new Map<number, ProcessStat[]>();
  for await (const stat of scanProcesses()) children.set(stat.ppid, [...(children.get(stat.ppid) ?? []), stat]);
  const found: ProcessIdentity[] = [];
  const next = [...roots];
  for (let pid = next.pop(); pid !== undefined; pid = next.pop()) {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      next.push(child.pid);
    }
    children.delete(pid);
  }
  return found;
}

/** Whether a process of one of these groups is still there; a zombie is not. */
async function isAnyLeft(groups: ReadonlySet<number>): Promise<boolean> {
  for await (const stat of scanProcesses()) if (groups.has(stat.pgrp) && isAlive(stat)) return true;
  return false;
}

function killProcess(identity: ProcessIdentity): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch {
    // It ended at this moment, or is another user's.
  }
}

function cutReason(reason: string): string {
  return reason.length <= LIMITS.reason_max_chars ? reason : `${reason.slice(0, LIMITS.reason_max_chars - 1)}…`;
}
