/**
 * The host agent: what runs on one machine and answers for it.
 *
 * It starts and follows commands, finds other processes, keeps the registry of procs, and is the one writer of the
 * host's nodes. Changes flow one way: a process ends or is found → the registry moves → the publisher sends the nodes on
 * the link, and the events go to the spool. Questions come in as calls and are answered from the registry and procfs.
 */
import { randomUUID } from 'node:crypto';
import {
  failure,
  type LogLevel,
  type Outcome,
  type Span,
  success,
  type Trace,
  timestamp,
  uuidV7,
} from '../../base/index.ts';
import { type GatewayFrame, hostLocation, LINK_VERSION, renderLocation, renderRef } from '../../contract/index.ts';
import { LINK_LIMITS } from '../../link/index.ts';
import { SOCKET_VARIABLE } from '../collector/collector.ts';
import { dumpConfig } from '../config/settings.ts';
import { createPySpy } from '../inspect/pyspy/index.ts';
import { LIMITS } from '../limits.ts';
import { Discovery } from '../processes/discovery.ts';
import { RUN_MARKER, startGuardian } from '../processes/guardian.ts';
import { identify, type ProcessIdentity } from '../procfs/index.ts';
import { Commands } from '../procs/commands.ts';
import { hostRefs } from '../procs/identity.ts';
import type { ProcRecord } from '../procs/proc-record.ts';
import type { ProcSpec } from '../procs/proc-spec.ts';
import { ProcRegistry } from '../procs/registry.ts';
import { HostEvents, type MeshPlace } from '../producer/host-events.ts';
import { AgentMetrics } from '../report/agent-metrics.ts';
import { AgentTelemetry } from '../report/agent-telemetry.ts';
import { type MetricsServer, startMetricsServer } from '../report/metrics-server.ts';
import { traceCall, traceScan } from '../report/traced.ts';
import { Calls } from './calls.ts';
import { type Link, startLink } from './gateway-link.ts';
import { type HostAgentOptions, optionsError } from './host-agent-options.ts';
import type { AgentInfo } from './node-view.ts';
import { Publisher } from './publisher.ts';

export interface HostAgent {
  /** Ends the commands (TERM, then KILL after the grace), says goodbye, and leaves nothing behind. */
  stop(reason: string): Promise<void>;
  /** Ends the commands at once; `stop` then has nothing to wait for. */
  killCommands(): void;
  /** Where `/metrics` is; null when it was not asked for. */
  readonly metrics_url: string | null;
  /** Path of the socket for telemetry of procs; null when there is none. */
  readonly telemetry_socket: string | null;
}

/** What is the agent's own: access to the gateway is no business of a command, and its Node settings are not ours. */
const WITHHELD_ENV = ['MESHSCOPE_TOKEN', 'MESHSCOPE_PARENT_FD', 'NODE_COMPILE_CACHE'];

/** A process that is not shown is found again at every look, so not each finding is worth a line. */
const REFUSED_WARNING_EVERY = 10_000;

/**
 * Starts the agent. It keeps dialling when the gateway cannot be reached: the commands run all the same.
 *
 * @returns the agent, or `bad_request` naming the option that is wrong; `service_unavailable` when metrics cannot be
 *          listened for
 */
export async function startHostAgent(options: HostAgentOptions): Promise<Outcome<HostAgent>> {
  const wrong = optionsError(options);
  if (wrong !== null) return failure('bad_request', wrong);
  const processes: ProcessIdentity[] = [];
  for (const pid of options.pids ?? []) {
    const identity = identify(pid);
    if (identity === null) return failure('bad_request', `pid ${pid}: there is no such process on this machine`);
    processes.push(identity);
  }
  const env = options.env ?? process.env;
  const grace_ms = options.terminate_grace_ms ?? LIMITS.terminate_grace_ms;
  const started_at_ms = Date.now();
  const incarnation = randomUUID();
  const agent: AgentInfo = { refs: hostRefs(options.host_name), instance_id: uuidV7(), started_at_ms };
  const places = placesOf(options.specs ?? []);

  // The parts know each other through these two, which are set below before anything can happen.
  let link: Link;
  let publisher: Publisher;
  const telemetry = await AgentTelemetry.start({
    run: incarnation,
    host_name: options.host_name,
    version: options.version,
    send: (batch) => link.send({ type: 'events', batch }),
    spool_dir: options.spool_dir ?? null,
    spool_max_bytes: options.spool_max_bytes ?? LIMITS.spool_max_bytes,
    ...(options.telemetry_socket === undefined ? {} : { socket_path: options.telemetry_socket }),
    log: options.log,
  });
  const { log, trace } = telemetry;
  const events = new HostEvents(telemetry.emit, incarnation, options.host_name);
  let added = 0;
  const registry = new ProcRegistry({
    added(record) {
      added += 1;
      publisher.added(record);
      events.procAdded(record, places.get(record.name) ?? { mesh: record.name, rank: 0, size: 1 });
    },
    changed(record) {
      publisher.changed(record);
      events.procChanged(record);
    },
    removed: (record) => publisher.removed(record),
    refused(count) {
      if (count % REFUSED_WARNING_EVERY !== 1) return;
      log('warn', `this host shows ${LIMITS.procs_max} procs, the most it may; ${count} more were not shown`);
    },
  });
  const guardian = startGuardian(incarnation, (message) => log('warn', message));
  const commands = new Commands(
    {
      host_name: options.host_name,
      run: incarnation,
      base_dir: options.base_dir ?? process.cwd(),
      env: telemetry.socket_path === null ? env : { ...env, [SOCKET_VARIABLE]: telemetry.socket_path },
      withheld_env: WITHHELD_ENV,
      onOutput: options.onOutput ?? (() => {}),
      onEnd: (record) => log(...describeEnd(record)),
    },
    registry,
    guardian,
  );
  const discovery = new Discovery(registry, {
    host_name: options.host_name,
    run: incarnation,
    watch: options.watch ?? [],
    processes,
  });
  // The marker makes a py-spy that outlives a killed agent part of the guardian's sweep.
  const pyspy = createPySpy({ pyspy_bin: () => env.PYSPY_BIN ?? '', environment: { [RUN_MARKER]: incarnation } });
  const metrics = new AgentMetrics({
    service: renderRef(agent.refs.service),
    telemetry,
    procs: () => registry.records(),
    isLinked: () => link.isOpen,
  });
  let server: MetricsServer | null = null;
  if (options.metrics_listen !== undefined) {
    const listening = await startMetricsServer({
      ...options.metrics_listen,
      metrics: () => metrics.prometheus(),
      health: () => ({
        service: 'meshscope-agent',
        ok: true,
        version: options.version,
        host: options.host_name,
        linked: link.isOpen,
        procs: registry.live().length,
        rows_waiting: telemetry.waitingRows,
        lost_rows: telemetry.lostRows,
        spool: { ...telemetry.spool.waiting, on_disk: telemetry.spool.isOnDisk },
      }),
    });
    if (!listening.ok) {
      metrics.close();
      await guardian.close();
      await telemetry.stop(false);
      return listening;
    }
    server = listening.value;
  }
  const calls = new Calls({
    agent,
    registry,
    pyspy,
    config: () =>
      dumpConfig(
        {
          gateway_url: options.gateway_url,
          host_name: options.host_name,
          pyspy_bin: env.PYSPY_BIN ?? '',
          terminate_grace_ms: grace_ms,
        },
        env,
      ),
    link: {
      send: (frame) => link.send(frame),
      get unsent_bytes() {
        return link.unsent_bytes;
      },
    },
    observe: (request, work) => metrics.call(request.method, () => traceCall(trace, request, work)),
    onRefused: (request) => metrics.callRefused(request.method),
  });
  publisher = new Publisher(
    agent,
    () => registry.records(),
    (nodes, removed) => link.publish(nodes, removed),
  );

  let isReady = false;
  let linked: Span | null = null;
  events.hostStarted(agent.refs);
  link = startLink({
    url: options.gateway_url,
    token: options.token,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    hello: {
      type: 'hello',
      version: LINK_VERSION,
      host: options.host_name,
      incarnation,
      agent_version: options.version,
      started_at: timestamp(started_at_ms),
      location: renderLocation(hostLocation(options.host_name)),
    },
    state: () => publisher.state(),
    onOpen() {
      log('info', `connected to ${options.gateway_url} as ${options.host_name}`);
      linked?.close();
      linked = trace.span('link', { gateway: options.gateway_url });
      metrics.linkOpens.add();
      telemetry.spool.linkOpened();
      if (!isReady) options.onReady?.();
      isReady = true;
    },
    onClosed() {
      calls.cancelAll();
      linked?.close();
    },
    onTrouble(message, refused) {
      const what = refused ? 'the gateway refused this agent' : 'no link to the gateway';
      const next = refused ? `asking again every ${LINK_LIMITS.backoff_max_ms / 1000} s` : 'trying again';
      log('warn', `${what} (${options.gateway_url}): ${message}; ${next}`);
    },
    onFrame: (frame) => onFrame(frame, calls, telemetry),
  });

  // Not more often than the gateway wants to hear something: for one that sleeps between frames, each costs.
  let refreshed_ms = 0;
  const refreshMemory = (): void => {
    const now_ms = performance.now();
    if (now_ms - refreshed_ms + LIMITS.memory_interval_ms / 2 < link.heartbeat_ms) return;
    refreshed_ms = now_ms;
    publisher.refreshMemory(registry.live());
  };
  const timers = [
    setInterval(() => void scan(), LIMITS.scan_interval_ms),
    setInterval(() => discovery.checkLiveness(), LIMITS.liveness_interval_ms),
    setInterval(refreshMemory, LIMITS.memory_interval_ms),
    setInterval(() => metrics.emitRows(telemetry), options.metrics_interval_ms ?? LIMITS.metrics_interval_ms),
  ];
  const scan = (): Promise<void> =>
    traceScan(
      incarnation,
      telemetry.emit,
      () => discovery.scan(),
      () => added,
    );
  const starting = startAll(commands, options.specs ?? [], trace);
  void scan();

  return success({
    metrics_url: server?.url ?? null,
    telemetry_socket: telemetry.socket_path,
    killCommands: () => commands.kill(),
    async stop(reason) {
      for (const timer of timers) clearInterval(timer);
      await Promise.all([commands.stop(grace_ms), starting]);
      events.hostStopping(agent.refs, reason);
      // What was under way tells of its end as well.
      await Promise.all([calls.close(), pyspy.close()]);
      linked?.close();
      metrics.emitRows(telemetry);
      await telemetry.stop(link.isOpen);
      metrics.close();
      publisher.close();
      await server?.close();
      await link.stop(reason);
      const isSwept = await guardian.close();
      if (!isSwept) options.log('error', 'some processes of commands could not be ended');
    },
  });
}

/** One after the other, so that procs are listed in the order in which they were asked for. */
async function startAll(commands: Commands, specs: readonly ProcSpec[], trace: Trace): Promise<void> {
  for (const spec of specs) {
    const { name, procs } = spec;
    await trace.within('command.start', { name, procs }, () => commands.start(spec));
  }
}

function onFrame(frame: GatewayFrame, calls: Calls, { spool }: AgentTelemetry): void {
  if (frame.type === 'call') void calls.answer(frame.call, frame.request, frame.deadline_ms);
  else if (frame.type === 'cancel') calls.cancel(frame.call);
  else if (frame.type === 'ack') spool.acknowledge(frame.producer, frame.seq);
}

/** Where each copy of each spec stands in the mesh of its spec. */
function placesOf(specs: readonly ProcSpec[]): Map<string, MeshPlace> {
  const places = new Map<string, MeshPlace>();
  for (const { name, procs } of specs) {
    if (procs === 1) places.set(name, { mesh: name, rank: 0, size: 1 });
    else for (let rank = 0; rank < procs; rank += 1) places.set(`${name}-${rank}`, { mesh: name, rank, size: procs });
  }
  return places;
}

function describeEnd(record: ProcRecord): [LogLevel, string] {
  const { state } = record;
  if (state.kind === 'failed') return ['warn', `${record.name} failed: ${state.reason}`];
  return ['info', `${record.name} ${state.kind === 'stopped' ? `stopped: ${state.reason}` : 'ended'}`];
}
