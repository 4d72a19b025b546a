/** The agent's own metrics: one registry for `/metrics` and for the metric tables. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Attributes, DURATION_BOUNDS_MS, type Metrics } from '../../base/index.ts';
import { renderRef } from '../../contract/index.ts';
import { readMemory } from '../procfs/index.ts';
import type { HostedProc } from '../procs/hosted-proc.ts';
import { endOf } from '../procs/lifecycle.ts';
import type { AgentTelemetry } from './agent-telemetry.ts';

/** How often the delay of the event loop is sampled. */
const RESOLUTION_MS = 20;

export interface AgentMetricsOptions {
  /** Reference of the agent's own proc. */
  readonly service: string;
  readonly telemetry: AgentTelemetry;
  readonly procs: () => readonly HostedProc[];
  readonly isLinked: () => boolean;
}

export class AgentMetrics {
  readonly registry: Metrics;
  readonly linkOpens;
  readonly #calls;
  readonly #durations;
  readonly #refused;
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>;

  constructor(options: AgentMetricsOptions) {
    const { telemetry } = options;
    this.registry = telemetry.report.metrics;
    const { registry } = this;
    const { spool } = telemetry;
    registry.gauge(
      'telemetry.rows_waiting',
      { help: 'Rows that the store does not have yet', unit: '{row}' },
      () => telemetry.waitingRows,
    );
    registry.gauge(
      'spool.batches_waiting',
      { help: 'Batches in the spool', unit: '{batch}' },
      () => spool.waiting.batches,
    );
    registry.gauge('spool.bytes_waiting', { help: 'Bytes of the spool', unit: 'By' }, () => spool.waiting.bytes);
    registry.gauge('spool.on_disk', { help: 'Whether batches go to disk (1) or only to memory (0)' }, () =>
      Number(spool.isOnDisk),
    );
    registry.gauge(
      'collector.connections',
      { help: 'Procs that are connected to the collector' },
      () => telemetry.collected.connections,
    );
    registry.gauge('link.open', { help: 'Whether the link to the gateway is open' }, () => Number(options.isLinked()));
    registry.gauge('procs', { help: 'Procs by state' }, () => countStates(options.procs()));
    registry.gauge('process.memory.rss_bytes', { help: 'Resident memory of the agent and its procs', unit: 'By' }, () =>
      readRss(options.service, options.procs()),
    );

    registry.counter(
      'telemetry.lost_rows',
      { help: 'Rows that were dropped at a bound', unit: '{row}' },
      () => telemetry.lostRows,
    );
    registry.counter(
      'spool.acked_batches',
      { help: 'Batches that the store has acknowledged', unit: '{batch}' },
      () => spool.counts.acked_batches,
    );
    registry.counter(
      'spool.acked_rows',
      { help: 'Rows that the store has acknowledged', unit: '{row}' },
      () => spool.counts.acked_rows,
    );
    registry.counter(
      'spool.resends',
      { help: 'Batches that were sent again for want of an acknowledgement', unit: '{batch}' },
      () => spool.resends,
    );
    registry.counter(
      'spool.adopted_batches',
      { help: 'Batches that were taken over of agents that died', unit: '{batch}' },
      () => spool.counts.adopted_batches,
    );
    registry.counter(
      'collector.batches',
      { help: 'Batches that procs handed in', unit: '{batch}' },
      () => telemetry.collected.batches,
    );
    registry.counter(
      'collector.refused_lines',
      { help: 'Lines of procs that were refused', unit: '{line}' },
      () => telemetry.collected.refused_lines,
    );

    this.linkOpens = registry.counter('link.opens', { help: 'Links to the gateway that were opened' });
    this.#calls = registry.counter('calls', { help: 'Calls of the gateway, by method and outcome' });
    this.#refused = registry.counter('calls.refused', { help: 'Calls that were refused for want of room, by method' });
    this.#durations = registry.histogram('calls.duration_ms', {
      help: 'How long stacks, profiles and configurations took, by method',
      unit: 'ms',
      bounds: DURATION_BOUNDS_MS,
    });

    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delay.enable();
    registry.gauge(
      'event_loop.delay_ms',
      { help: 'Delay of the event loop since the last look, by quantile', unit: 'ms' },
      () => {
        const readings = [0.5, 0.99].map((quantile): [Attributes, number] => [
          { quantile },
          // The histogram includes the resolution, and is NaN while it is empty.
          Math.max(0, (this.#delay.percentile(quantile * 100) || 0) / 1e6 - RESOLUTION_MS),
        ]);
        return readings;
      },
    );
  }

  /** Around a call of the gateway. */
  async call<T extends { readonly ok: boolean }>(method: string, work: () => Promise<T>): Promise<T> {
    const began_ms = performance.now();
    const outcome = await work();
    this.#calls.add(1, { method, outcome: outcome.ok ? 'answered' : 'failed' });
    if (method !== 'introspect') this.#durations.record(performance.now() - began_ms, { method });
    return outcome;
  }

  callRefused(method: string): void {
    this.#refused.add(1, { method });
  }

  /** Rows of the metric tables since the last ones. */
  emitRows(telemetry: AgentTelemetry): void {
    telemetry.emitMetrics();
    this.#delay.reset();
  }

  prometheus(): string {
    return this.registry.prometheus();
  }

  close(): void {
    this.#delay.disable();
  }
}

function countStates(procs: readonly HostedProc[]): [Attributes, number][] {
  const counts = new Map(['starting', 'running', 'stopping', 'stopped', 'failed'].map((state) => [state, 0]));
  for (const { state } of procs) counts.set(state.kind, (counts.get(state.kind) ?? 0) + 1);
  return [...counts].map(([state, count]) => [{ state }, count]);
}

function readRss(service: string, procs: readonly HostedProc[]): [Attributes, number][] {
  const readings: [Attributes, number][] = [[{ proc_id: service, pid: process.pid }, process.memoryUsage.rss()]];
  for (const { ref, identity, state } of procs) {
    if (identity === null || endOf(state) !== null) continue;
    const rss = readMemory(identity.pid).process_rss_bytes;
    if (rss !== null) readings.push([{ proc_id: renderRef(ref), pid: identity.pid }, rss]);
  }
  return readings;
}
