/**
 * The host agent: what runs on one machine and answers for it.
 *
 * It starts and follows commands, finds other processes, keeps the registry of procs, and is the only writer of the
 * host's nodes. Changes flow one way: a process ends or is found, its proc changes state, and the registry calls its
 * listeners. The publisher then sends the proc's nodes on the link, and the proc's rows go to the spool. Questions arrive as
 * calls, and are passed on to the proc that they name.
 */
import { failure, type Outcome, success, type Trace } from '../../base/index.ts';
import { identify, type ProcessIdentity } from '../procfs/index.ts';
import type { Commands } from '../procs/commands.ts';
import type { ProcSpec } from '../procs/proc-spec.ts';
import { type MetricsServer, startMetricsServer } from '../report/metrics-server.ts';
import { assemble, type HostAgentParts } from './assembly.ts';
import { type HostAgentOptions, optionsError } from './host-agent-options.ts';
import { HostRows } from './host-rows.ts';
import { LinkReport } from './link-report.ts';
import { traceScan } from './traced.ts';

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

/**
 * Starts the agent. It keeps dialling when the gateway cannot be reached: the commands run all the same.
 *
 * @returns the agent, or `bad_request` naming the option that is wrong; `service_unavailable` when metrics cannot be
 *          listened for
 * @throws RangeError naming the limit and its value, when one of the given limits is out of range
 */
export async function startHostAgent(options: HostAgentOptions): Promise<Outcome<HostAgent>> {
  const wrong = optionsError(options);
  if (wrong !== null) return failure('bad_request', wrong);
  const processes = identifyAll(options.pids ?? []);
  if (!processes.ok) return processes;
  const parts = await assemble(options, processes.value);
  const listening = await listenForMetrics(options, parts);
  if (!listening.ok) {
    await discard(parts);
    return listening;
  }
  const metricsServer = listening.value;
  const { commands, stopper, telemetry } = parts;
  const run = start(options, parts);
  return success({
    metrics_url: metricsServer?.url ?? null,
    telemetry_socket: telemetry.socket_path,
    killCommands() {
      commands.close();
      stopper.kill();
    },
    stop: (reason) => stop(options, parts, run, metricsServer, reason),
  });
}

function identifyAll(pids: readonly number[]): Outcome<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const pid of pids) {
    const identity = identify(pid);
    if (identity === null) return failure('bad_request', `pid ${pid}: there is no such process on this machine`);
    found.push(identity);
  }
  return success(found);
}

async function listenForMetrics(
  { metrics_listen, version, host_name }: HostAgentOptions,
  { limits, link, metrics, registry, telemetry }: HostAgentParts,
): Promise<Outcome<MetricsServer | null>> {
  if (metrics_listen === undefined) return success(null);
  return startMetricsServer({
    ...metrics_listen,
    limits,
    metrics: () => metrics.prometheus(),
    health: () => ({
      service: 'meshscope-agent',
      ok: true,
      version,
      host: host_name,
      linked: link.isOpen,
      procs: registry.live().length,
      rows_waiting: telemetry.waitingRows,
      lost_rows: telemetry.lostRows,
      spool: { ...telemetry.spool.waiting, on_disk: telemetry.spool.isOnDisk },
    }),
  });
}

/** Ends parts that were never started. */
async function discard({ metrics, guardian, telemetry }: HostAgentParts): Promise<void> {
  metrics.close();
  await guardian.close();
  await telemetry.stop(false);
}

/** What exists only while the agent runs. */
interface Run {
  readonly rows: HostRows;
  readonly linkReport: LinkReport;
  readonly timers: readonly NodeJS.Timeout[];
  /** Settles when all commands have been started. */
  readonly starting: Promise<void>;
}

function start(options: HostAgentOptions, parts: HostAgentParts): Run {
  const { adopted, calls, commands, discovery, limits, link, metrics, nodes, publisher, registry, telemetry } = parts;
  const { log, trace } = telemetry;
  const { gateway_url, host_name, metrics_interval_ms = limits.metrics_interval_ms } = options;
  const rows = new HostRows(telemetry.emit, parts.run, host_name, parts.refs, registry);
  const linkReport = new LinkReport({
    gateway_url,
    host_name,
    trace,
    log,
    opens: metrics.linkOpens,
    onReady: options.onReady ?? (() => {}),
  });
  link.start({ state: () => nodes.all(), calls, spool: telemetry.spool, report: linkReport });
  const scan = (): Promise<void> =>
    traceScan(
      parts.run,
      telemetry.emit,
      () => discovery.scan(),
      () => registry.addedCount,
    );
  const timers = [
    setInterval(() => void scan(), limits.scan_interval_ms),
    setInterval(() => adopted.checkLiveness(), limits.liveness_interval_ms),
    setInterval(() => publisher.refreshMemory(), limits.memory_interval_ms),
    setInterval(() => metrics.emitRows(telemetry), metrics_interval_ms),
  ];
  const starting = startAll(commands, options.specs ?? [], trace);
  void scan();
  return { rows, linkReport, timers, starting };
}

async function stop(
  { log }: HostAgentOptions,
  { calls, commands, grace_ms, guardian, link, metrics, publisher, pyspy, stopper, telemetry }: HostAgentParts,
  { rows, linkReport, timers, starting }: Run,
  metricsServer: MetricsServer | null,
  reason: string,
): Promise<void> {
  for (const timer of timers) clearInterval(timer);
  commands.close();
  await Promise.all([stopper.stop(grace_ms), starting]);
  rows.stopping(reason);
  // Calls that end now still produce rows.
  await Promise.all([calls.close(), pyspy.close()]);
  linkReport.closed();
  metrics.emitRows(telemetry);
  await telemetry.stop(link.isOpen);
  metrics.close();
  publisher.close();
  await metricsServer?.close();
  await link.stop(reason);
  const isSwept = await guardian.close();
  if (!isSwept) log('error', 'some processes of commands could not be ended');
}

/** One after the other, so that procs are listed in the order in which they were asked for. */
async function startAll(commands: Commands, specs: readonly ProcSpec[], trace: Trace): Promise<void> {
  for (const spec of specs) {
    const { name, procs } = spec;
    await trace.within('command.start', { name, procs }, () => commands.start(spec));
  }
}
