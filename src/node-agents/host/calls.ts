/**
 * Answering the gateway's calls. Each runs by itself, within the bounds of the link (link/calls/answerer.ts); nothing here
 * waits in the agent's way. The pid of a stack or profile is the one in the registry, never one that was sent (PS-1).
 */
import { failure, type Outcome, success } from '../../base/index.ts';
import {
  ANSWER_MAX_CHARS,
  type CallRequest,
  type ConfigDumpResult,
  type NodePayload,
  type NodeRef,
  type PySpyFailed,
  parseNodeRef,
  procOf,
  refKey,
} from '../../contract/index.ts';
import { Answerer, type AnsweringLink } from '../../link/index.ts';
import { HTTP_DUMP_OPTS, type PySpy, type PySpyDumpOpts } from '../inspect/pyspy/index.ts';
import { LIMITS } from '../limits.ts';
import { identify, type ProcessIdentity } from '../procfs/index.ts';
import { isEnded, type ProcRecord } from '../procs/proc-record.ts';
import type { ProcRegistry } from '../procs/registry.ts';
import { type AgentInfo, actorOf, hostAgentNode, hostNode, procNode, serviceNode } from './node-view.ts';

export interface CallOptions {
  readonly agent: AgentInfo;
  readonly registry: ProcRegistry;
  readonly pyspy: PySpy;
  readonly config: () => ConfigDumpResult;
  readonly link: AnsweringLink;
  /** Around each call. Default: nobody looks on. */
  readonly observe?: (request: CallRequest, work: () => Promise<Outcome<string>>) => Promise<Outcome<string>>;
  /** Is called with a call that is refused for want of room. Default: nobody wants to know. */
  readonly onRefused?: (request: CallRequest) => void;
}

export class Calls {
  readonly #options: CallOptions;
  readonly #answerer: Answerer;

  constructor(options: CallOptions) {
    this.#options = options;
    this.#answerer = new Answerer('the agent', options.link, {
      calls_max: LIMITS.calls_max,
      answer_max_chars: ANSWER_MAX_CHARS,
      answers_max_chars: LIMITS.answers_max_chars,
      unsent_max_bytes: LIMITS.answers_unsent_max_bytes,
      drain_poll_ms: LIMITS.answers_drain_poll_ms,
    });
  }

  async answer(call: number, request: CallRequest, deadline_ms: number): Promise<void> {
    const over = this.#answerer.open(call, deadline_ms);
    if (over === null) {
      this.#options.onRefused?.(request);
      return;
    }
    const work = (): Promise<Outcome<string>> => this.#perform(request, over);
    await this.#answerer.answer(call, this.#options.observe?.(request, work) ?? work());
  }

  cancel(call: number): void {
    this.#answerer.cancel(call);
  }

  /** Ends everything that is under way: the link it came by is gone, and with it whoever asked. */
  cancelAll(): void {
    this.#answerer.cancelAll();
  }

  /** Takes no more; settles when what was under way has come to its end. */
  close(): Promise<void> {
    return this.#answerer.close();
  }

  /** Does what is asked; the value is JSON text, since a large dump is better never a value in this thread. */
  async #perform(request: CallRequest, signal: AbortSignal): Promise<Outcome<string>> {
    const parsed = parseNodeRef(request.reference);
    if (!parsed.ok) return failure('bad_request', `invalid reference '${request.reference}': ${parsed.error}`);
    const ref = parsed.value;
    if (request.method === 'introspect') return asText(this.#introspect(ref, request.reference));
    const target = this.#target(ref, request.reference);
    if (!target.ok) return target;
    switch (request.method) {
      case 'config_dump':
        return asText(success(this.#options.config()));
      case 'pyspy_dump':
        if (target.value.identity === null) return asText(success({ Failed: noProcess(target.value.record) }));
        return success(await this.#options.pyspy.dumpJson(target.value.identity, signal, dumpOpts(request.locals)));
      case 'pyspy_profile':
        if (target.value.identity === null) {
          const { stderr, exit_code } = noProcess(target.value.record);
          return asText(success({ kind: 'exit_failure', exit_code, stderr }));
        }
        return asText(success(await this.#options.pyspy.profile(target.value.identity, request.opts, signal)));
    }
  }

  /** The node of a reference as it is at this moment. */
  #introspect(ref: NodeRef, text: string): Outcome<NodePayload> {
    const { agent, registry } = this.#options;
    const key = refKey(ref);
    if (key === refKey(agent.refs.host)) return success(hostNode(agent, registry.records()));
    if (key === refKey(agent.refs.service)) return success(serviceNode(agent));
    if (key === refKey(agent.refs.host_agent)) return success(hostAgentNode(agent));
    if (ref.kind === 'proc') {
      const record = registry.find(key);
      if (record !== undefined) return success(procNode(agent, record));
    }
    if (ref.kind === 'actor') {
      const record = registry.find(refKey(procOf(ref)));
      const node = record === undefined ? null : actorOf(record, key);
      if (node !== null) return success(node);
    }
    return failure('not_found', `child ${text} not found`);
  }

  /** The process behind a proc: its own, the agent's for the service proc, none when it has ended. */
  #target(
    ref: NodeRef,
    text: string,
  ): Outcome<{ readonly identity: ProcessIdentity | null; readonly record: ProcRecord | null }> {
    const key = refKey(ref);
    if (key === refKey(this.#options.agent.refs.service)) {
      return success({ identity: identify(process.pid), record: null });
    }
    const record = this.#options.registry.find(key);
    if (record === undefined) return failure('not_found', `proc does not have a reachable handler (${text})`);
    return success({ identity: isEnded(record) ? null : record.identity, record });
  }
}

function dumpOpts(locals = false): PySpyDumpOpts {
  return { ...HTTP_DUMP_OPTS, locals };
}

function asText(outcome: Outcome<unknown>): Outcome<string> {
  return outcome.ok ? success(JSON.stringify(outcome.value)) : outcome;
}

function noProcess(record: ProcRecord | null): PySpyFailed {
  const state = record?.state;
  const how = state?.kind === 'failed' || state?.kind === 'stopped' ? `it has ended: ${state.reason}` : 'there is none';
  return {
    pid: record?.identity?.pid ?? 0,
    binary: '',
    exit_code: null,
    stderr: `no process to look at: ${how}`,
  };
}
