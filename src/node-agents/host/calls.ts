/**
 * Answering the gateway's calls. Each is passed on to the proc that it is about, and runs by itself, within the bounds of
 * the link (link/calls/answerer.ts); nothing here waits in the agent's way.
 */
import { failure, type Outcome, success } from '../../base/index.ts';
import {
  ANSWER_MAX_CHARS,
  type CallRequest,
  type NodePayload,
  type NodeRef,
  type ProcRef,
  parseNodeRef,
  procOf,
  refKey,
} from '../../contract/index.ts';
import { Answerer, type AnsweringLink } from '../../link/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { AnsweringProc } from '../procs/hosted-proc.ts';

export interface CallsOptions {
  /** The host's own node, by its reference as it is at the moment. */
  readonly host: { readonly ref: NodeRef; readonly node: () => NodePayload };
  /** The proc of a reference; undefined when the host has none. */
  readonly findProc: (ref: ProcRef) => AnsweringProc | undefined;
  readonly link: AnsweringLink;
  readonly limits: AgentLimits;
  /** Around each call. Default: nobody looks on. */
  readonly observe?: (request: CallRequest, work: () => Promise<Outcome<string>>) => Promise<Outcome<string>>;
  /** Is called with a call that is refused for want of room. Default: nobody wants to know. */
  readonly onRefused?: (request: CallRequest) => void;
}

export class Calls {
  readonly #options: CallsOptions;
  readonly #answerer: Answerer;

  constructor(options: CallsOptions) {
    const { limits, link } = options;
    this.#options = options;
    this.#answerer = new Answerer('the agent', link, {
      calls_max: limits.calls_max,
      answer_max_chars: ANSWER_MAX_CHARS,
      answers_max_chars: limits.answers_max_chars,
      unsent_max_bytes: limits.answers_unsent_max_bytes,
      drain_poll_ms: limits.answers_drain_poll_ms,
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
    const { reference } = request;
    const parsed = parseNodeRef(reference);
    if (!parsed.ok) return failure('bad_request', `invalid reference '${reference}': ${parsed.error}`);
    if (request.method === 'introspect') return asText(await this.#introspect(parsed.value, reference, signal));
    const proc = parsed.value.kind === 'proc' ? this.#options.findProc(parsed.value) : undefined;
    if (proc === undefined) return failure('not_found', `proc does not have a reachable handler (${reference})`);
    switch (request.method) {
      case 'config_dump':
        return asText(await proc.config(signal));
      case 'pyspy_dump':
        return proc.stacks({ locals: request.locals ?? false }, signal);
      case 'pyspy_profile':
        return asText(await proc.profile(request.opts, signal));
    }
  }

  /** The node of a reference as it is at this moment. */
  async #introspect(ref: NodeRef, text: string, signal: AbortSignal): Promise<Outcome<NodePayload>> {
    const { host, findProc } = this.#options;
    if (refKey(ref) === refKey(host.ref)) return success(host.node());
    const procRef = ref.kind === 'actor' ? procOf(ref) : ref;
    const node = procRef.kind === 'proc' ? await findProc(procRef)?.node(ref, signal) : null;
    return node ? success(node) : failure('not_found', `child ${text} not found`);
  }
}

function asText(outcome: Outcome<unknown>): Outcome<string> {
  return outcome.ok ? success(JSON.stringify(outcome.value)) : outcome;
}
