/** The parts of a host agent, each built from those before it. Nothing is dialled, looked for or started here. */
import { randomUUID } from 'node:crypto';
import { type LogLevel, timestamp } from '../../base/index.ts';
import { hostLocation, LINK_VERSION, type ProcRef, refKey, renderLocation, renderRef } from '../../contract/index.ts';
import { SOCKET_VARIABLE } from '../collector/collector.ts';
import { dumpConfig } from '../config/settings.ts';
import { createPySpy } from '../inspect/pyspy/index.ts';
import { resolveLimits } from '../limits.ts';
import { Discovery } from '../processes/discovery.ts';
import { RUN_MARKER, startGuardian } from '../processes/guardian.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import { AdoptedProcs } from '../procs/adopted-procs.ts';
import { Commands } from '../procs/commands.ts';
import type { HostedProc } from '../procs/hosted-proc.ts';
import { hostRefs } from '../procs/identity.ts';
import { endOf } from '../procs/lifecycle.ts';
import type { ProcHost } from '../procs/process-proc.ts';
import { ProcRegistry } from '../procs/registry.ts';
import { ProcStopper } from '../procs/stopper.ts';
import { AgentMetrics } from '../report/agent-metrics.ts';
import { AgentTelemetry } from '../report/agent-telemetry.ts';
import { Calls } from './calls.ts';
import { GatewayLink } from './gateway-link.ts';
import type { HostAgentOptions } from './host-agent-options.ts';
import { HostNodes } from './host-nodes.ts';
import { Publisher } from './publisher.ts';
import { ServiceProc } from './service-proc.ts';
import { traceCall } from './traced.ts';

/** Variables that commands do not inherit: the agent's access to the gateway, and its Node settings. */
const WITHHELD_ENV = ['MESHSCOPE_TOKEN', 'MESHSCOPE_PARENT_FD', 'NODE_COMPILE_CACHE'];

export type HostAgentParts = Awaited<ReturnType<typeof assemble>>;

/** @param processes single processes to watch */
export async function assemble(options: HostAgentOptions, processes: readonly ProcessIdentity[]) {
  const { gateway_url, host_name, version, env = process.env, watch = [], base_dir = process.cwd() } = options;
  const limits = resolveLimits(options.limits);
  const grace_ms = options.terminate_grace_ms ?? limits.terminate_grace_ms;
  const started_at_ms = Date.now();
  const run = randomUUID();
  const refs = hostRefs(host_name);

  const link = new GatewayLink({
    url: gateway_url,
    token: options.token,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    hello: {
      type: 'hello',
      version: LINK_VERSION,
      host: host_name,
      incarnation: run,
      agent_version: version,
      started_at: timestamp(started_at_ms),
      location: renderLocation(hostLocation(host_name)),
    },
    agent_limits: limits,
  });
  const telemetry = await AgentTelemetry.start({
    run,
    host_name,
    version,
    send: (batch) => link.send({ type: 'events', batch }),
    spool_dir: options.spool_dir ?? null,
    spool_max_bytes: options.spool_max_bytes ?? limits.spool_max_bytes,
    ...(options.telemetry_socket === undefined ? {} : { socket_path: options.telemetry_socket }),
    log: options.log,
    limits,
  });
  const { log, socket_path } = telemetry;

  // The marker makes a py-spy that outlives a killed agent part of the guardian's sweep.
  const pyspy = createPySpy({
    pyspy_bin: () => env.PYSPY_BIN ?? '',
    environment: { [RUN_MARKER]: run },
    limits: options.pyspy_limits ?? {},
  });
  const settings = { gateway_url, host_name, terminate_grace_ms: grace_ms };
  const config = () => dumpConfig({ ...settings, pyspy_bin: env.PYSPY_BIN ?? '' }, env, limits);
  const host: ProcHost = { name: host_name, refs, pyspy, config, limits };
  const registry = new ProcRegistry(limits);
  registry.listen({
    refused(count) {
      if (count % limits.refused_procs_told_every !== 1) return;
      log('warn', `this host shows ${limits.procs_max} procs, the most it may; ${count} more were not shown`);
    },
  });
  const service = new ServiceProc(host, started_at_ms);
  const nodes = new HostNodes(refs, service, registry);
  const publisher = new Publisher(nodes, registry, link, limits);

  const guardian = startGuardian(run, (message) => log('warn', message), limits);
  const commands = new Commands(
    host,
    {
      run,
      base_dir,
      env: socket_path === null ? env : { ...env, [SOCKET_VARIABLE]: socket_path },
      withheld_env: WITHHELD_ENV,
      onOutput: options.onOutput ?? (() => {}),
      onEnd: (proc) => log(...describeEnd(proc)),
    },
    registry,
    guardian,
  );
  const adopted = new AdoptedProcs(host, registry);
  const discovery = new Discovery(adopted, { run, watch, processes, limits });
  const stopper = new ProcStopper(registry, limits);

  const metrics = new AgentMetrics({
    service: renderRef(refs.service),
    telemetry,
    procs: () => registry.procs(),
    isLinked: () => link.isOpen,
  });
  const calls = new Calls({
    host: { ref: refs.host, node: () => nodes.host() },
    findProc: (ref: ProcRef) => (refKey(ref) === refKey(refs.service) ? service : registry.find(ref)),
    link,
    limits,
    observe: (request, work) => metrics.call(request.method, () => traceCall(telemetry.trace, request, work)),
    onRefused: (request) => metrics.callRefused(request.method),
  });

  return {
    limits,
    grace_ms,
    run,
    refs,
    link,
    telemetry,
    pyspy,
    registry,
    nodes,
    publisher,
    guardian,
    commands,
    adopted,
    discovery,
    stopper,
    metrics,
    calls,
  };
}

function describeEnd({ name, state }: HostedProc): [LogLevel, string] {
  const end = endOf(state);
  if (end === null) return ['info', `${name} ended`];
  return [end.kind === 'failed' ? 'warn' : 'info', `${name} ${end.kind}: ${end.reason}`];
}
