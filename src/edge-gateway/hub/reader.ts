/**
 * Reading nodes, and asking agents on behalf of readers.
 *
 * Host and Proc nodes are answered from what was published, as the text that was written when it came in. An Actor is
 * asked of its agent; after `actor_fresh_wait_ms` its last published state is shown instead, with its `as_of` (S1). A
 * disconnected host is answered 504 with its last known payload: nothing old is ever shown as new.
 */
import { type Failure, failure, type Outcome, success, timestamp } from '../../base/index.ts';
import {
  type ActorRef,
  type CallRequest,
  hostLocationOf,
  type NodeRef,
  type ProcRef,
  parseNodeRef,
  type RootRef,
  refKey,
  renderChannelAddress,
  renderRef,
} from '../../contract/index.ts';
import type { CallEnd, FullBound } from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { CallOptions } from '../ports.ts';
import { retryLater } from '../retry-later.ts';
import { agentFailure } from './calls.ts';
import type { HostState, IntrospectEnd } from './host.ts';
import type { Hosts } from './hosts.ts';
import type { PublishedNode } from './published.ts';
import { hostKey } from './references.ts';

export interface Client {
  readonly signal: AbortSignal;
}

const FULL: Readonly<Record<FullBound, string>> = {
  calls_of_link: 'calls on this host',
  calls: 'calls in all',
  answers: 'answers being assembled',
};

interface Cancelled {
  readonly kind: 'cancelled';
}

export class Reader {
  readonly #hosts: Hosts;
  readonly #limits: GatewayLimits;
  #waiters = 0;

  constructor(hosts: Hosts, limits: GatewayLimits) {
    this.#limits = limits;
    this.#hosts = hosts;
  }

  read(text: string, client?: Client): Outcome<string> | Promise<Outcome<string>> {
    // A Host or Proc named by its canonical reference, as clients do, is found without reading the text.
    const located = this.#hosts.locate(text);
    if (located !== undefined && located.node.kind !== 'actor' && located.host.isLinked) {
      return { ok: true, value: located.node.text };
    }
    const parsed = parseNodeRef(text);
    if (!parsed.ok) return failure('not_found', `invalid reference '${text}': ${parsed.error}`);
    return parsed.value.kind === 'root' ? success(this.#hosts.rootText()) : this.#readBelow(parsed.value, client);
  }

  #readBelow(ref: Exclude<NodeRef, RootRef>, client?: Client): Outcome<string> | Promise<Outcome<string>> {
    const host = this.#hosts.get(hostKey(ref));
    if (host === undefined || !host.hasState) {
      return failure('not_found', `host not found: ${hostAddressOf(ref)}`);
    }
    const node = host.find(refKey(ref));
    if (!host.isLinked) return { ok: false, failure: gone(host, node) };
    if (ref.kind === 'actor') return this.#readActor(host, ref, node, client?.signal);
    if (node !== undefined) return success(node.text);
    return failure('not_found', `${ref.kind} not found: host ${host.name} has no ${renderRef(ref)}`);
  }

  async call(proc: ProcRef, request: CallRequest, options: CallOptions): Promise<Outcome<string>> {
    const host = this.#hosts.get(hostKey(proc));
    const node = host?.find(refKey(proc));
    if (host === undefined || node === undefined) return { ok: false, failure: options.unknown };
    if (host.session === null || !host.isLinked) return { ok: false, failure: gone(host, node) };
    if (this.#waiters >= this.#limits.waiters_max)
      return { ok: false, failure: this.#full('requests waiting for agents') };
    const started = host.session.calls.start({ ...request, reference: node.identity }, options.deadline_ms);
    const end = await this.#waiting(started.end, options.signal, started.cancel);
    if (end.kind === 'answer') return success(end.text);
    if (end.kind === 'late') return { ok: false, failure: options.late };
    return { ok: false, failure: this.#failureOf(host, node, end) };
  }

  async #readActor(
    host: HostState,
    ref: ActorRef,
    node: PublishedNode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Outcome<string>> {
    if (this.#waiters >= this.#limits.waiters_max)
      return { ok: false, failure: this.#full('requests waiting for agents') };
    const asked = host.introspect(ref, node?.identity ?? renderRef(ref));
    if (asked === null) return { ok: false, failure: gone(host, node) };
    const { resolve_wait_ms, actor_fresh_wait_ms } = this.#limits;
    const patience_ms = node === undefined ? resolve_wait_ms : actor_fresh_wait_ms;
    const remaining_ms = Math.max(0, asked.call.started_at_ms + patience_ms - performance.now());
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<IntrospectEnd>((resolve) => {
      timer = setTimeout(() => resolve({ kind: 'late' }), remaining_ms);
    });
    const end = await this.#waiting(Promise.race([asked.call.answer, patience]), signal, () => {});
    clearTimeout(timer);
    asked.leave();
    if (end.kind === 'fresh') return success(end.text);
    if (end.kind === 'failed') return { ok: false, failure: end.failure };
    const last = host.find(refKey(ref));
    if (end.kind === 'late') {
      return last === undefined ? failure('gateway_timeout', 'timed out resolving reference') : success(last.text);
    }
    return { ok: false, failure: this.#failureOf(host, last, end) };
  }

  /** Counts a waiting request, and lets it go when its client does. */
  async #waiting<T extends { readonly kind: string }>(
    end: Promise<T>,
    signal: AbortSignal | undefined,
    cancel: () => void,
  ): Promise<T | Cancelled> {
    this.#waiters += 1;
    try {
      if (signal === undefined) return await end;
      const { promise: aborted, resolve } = Promise.withResolvers<Cancelled>();
      const onAbort = () => resolve({ kind: 'cancelled' });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      const first = await Promise.race([end, aborted]);
      signal.removeEventListener('abort', onAbort);
      if (first.kind === 'cancelled') cancel();
      return first;
    } finally {
      this.#waiters -= 1;
    }
  }

  /** What is answered for a call that brought nothing; how a late one ends is its caller's to say. */
  #failureOf(
    host: HostState,
    node: PublishedNode | undefined,
    end: Exclude<CallEnd, { kind: 'answer' | 'late' }>,
  ): Failure {
    switch (end.kind) {
      case 'fault':
      case 'too_large':
        return agentFailure(end);
      case 'full':
        return this.#full(FULL[end.bound]);
      case 'lost':
        return gone(host, node);
      case 'cancelled':
        return { code: 'gateway_timeout', message: 'the request was cancelled before its answer came' };
    }
  }

  #full(what: string): Failure {
    return retryLater(`too many concurrent introspection requests (${what})`, this.#limits);
  }
}

function gone(host: HostState, node: PublishedNode | undefined): Failure {
  const { age_ms } = host;
  const why =
    host.session === null
      ? `its link to this gateway is gone and it was last heard ${(age_ms / 1_000).toFixed(1)} s ago`
      : 'it has just linked again and is still sending its state';
  return {
    code: 'gateway_timeout',
    message: `host ${host.name} is out of reach: ${why}; details.last_known is what it said last`,
    details: {
      host: host.name,
      last_seen: timestamp(host.heard_at_ms),
      age_ms,
      last_known: node === undefined ? null : JSON.parse(node.text),
    },
  };
}

function hostAddressOf(ref: NodeRef): string {
  const location = hostLocationOf(ref);
  return location === null ? '' : renderChannelAddress(location.url);
}
