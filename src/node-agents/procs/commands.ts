/** The commands that an agent was asked to run: each copy of each spec becomes a proc. */
import path from 'node:path';
import type { AgentLimits } from '../limits.ts';
import { type Guardian, RUN_MARKER } from '../processes/guardian.ts';
import { launch } from '../processes/launcher.ts';
import { createOutputTail, type OutputStream } from '../processes/output-tail.ts';
import { bootId, identify, redactCommandLine, startTimeMs } from '../procfs/index.ts';
import { hashUid } from '../producer/hash-uid.ts';
import { CommandProc } from './command-proc.ts';
import { procRefs, programLabel } from './identity.ts';
import type { ProcSpec } from './proc-spec.ts';
import type { ProcHost } from './process-proc.ts';
import { type GroupPlace, ProcGroup } from './process-rows.ts';
import type { ProcRegistry } from './registry.ts';

export interface CommandsOptions {
  /** This run of the agent. */
  readonly run: string;
  /** Folder that relative `cwd`s start from. */
  readonly base_dir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Variables of the agent's own that must not reach a command: its access to the gateway. */
  readonly withheld_env: readonly string[];
  readonly onOutput: (name: string, stream: OutputStream, line: string) => void;
  /** Is called when a command has ended, or could not be started. */
  readonly onEnd: (proc: CommandProc) => void;
}

export class Commands {
  readonly #host: ProcHost;
  readonly #options: CommandsOptions;
  readonly #registry: ProcRegistry;
  readonly #guardian: Guardian;
  #isClosed = false;

  constructor(host: ProcHost, options: CommandsOptions, registry: ProcRegistry, guardian: Guardian) {
    this.#host = host;
    this.#options = options;
    this.#registry = registry;
    this.#guardian = guardian;
  }

  /** Starts every copy of a spec. A copy that cannot be started becomes a failed proc that says why. */
  async start(spec: ProcSpec): Promise<void> {
    const group = new ProcGroup(this.#host.name, spec.name, spec.procs);
    for (let rank = 0; rank < spec.procs && !this.#isClosed; rank += 1) await this.#startCopy(spec, { group, rank });
  }

  /** Starts no further commands. */
  close(): void {
    this.#isClosed = true;
  }

  async #startCopy(spec: ProcSpec, place: GroupPlace): Promise<void> {
    const { name: hostName, limits } = this.#host;
    const { base_dir, run, onEnd, onOutput } = this.#options;
    const name = spec.procs === 1 ? spec.name : `${spec.name}-${place.rank}`;
    const output = createOutputTail((stream, line) => onOutput(name, stream, line), limits);
    const cwd = path.resolve(base_dir, spec.cwd ?? '.');
    const env = this.#environment(spec, place.rank);
    const launched = await launch({ command: spec.command, cwd, env, output, limits }, this.#guardian);
    if (this.#isClosed) {
      // The agent was stopped in the meantime. The command is still at its gate and never runs.
      if (launched.ok) launched.value.kill();
      return;
    }
    const identity = launched.ok ? identify(launched.value.pid) : null;
    const number =
      identity === null
        ? hashUid('unstarted', run, name)
        : hashUid('process', bootId() ?? '', identity.pid, identity.start_ticks);
    const rank = spec.procs === 1 ? null : place.rank;
    const facts = {
      refs: procRefs(hostName, name, programLabel(spec.command), number),
      name,
      origin: 'started',
      identity,
      command: redactCommandLine(spec.command),
      parent_pid: process.pid,
      parent: null,
      rank,
      local_rank: rank,
      started_at_ms: (identity === null ? null : startTimeMs(identity.start_ticks)) ?? Date.now(),
      output,
    } as const;
    const start = launched.ok ? launched.value : { reason: cutReason(launched.failure.message, limits) };
    const proc = new CommandProc(this.#host, facts, place, start);
    if (!this.#registry.add(proc)) return proc.kill();
    if (!launched.ok) return onEnd(proc);
    const running = proc.run();
    launched.value.exited.then(() => onEnd(proc));
    await running;
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

function cutReason(reason: string, { reason_max_chars }: AgentLimits): string {
  return reason.length <= reason_max_chars ? reason : `${reason.slice(0, reason_max_chars - 1)}…`;
}
