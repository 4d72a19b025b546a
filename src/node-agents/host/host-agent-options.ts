/** The options of an agent, and their validation. */

import type { LogLevel } from '../../base/index.ts';
import { HostName, parseSafely } from '../../contract/index.ts';
import type { PySpyLimits } from '../inspect/pyspy/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { OutputStream } from '../processes/output-tail.ts';
import type { ProcSpec } from '../procs/proc-spec.ts';
import type { MetricsAddress } from '../report/metrics-server.ts';

export interface HostAgentOptions {
  /** Base URL of the gateway, `http(s)://…`. */
  readonly gateway_url: string;
  /** The token, or a function that returns it, which is called at every dial. */
  readonly token: string | (() => string);
  /** PEM texts for an https gateway: the CA to trust, certificate and key to show. Default: the CAs of the runtime, none. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Name of the host. No two agents of one gateway may share it. */
  readonly host_name: string;
  readonly version: string;
  /** Commands to start, default none. */
  readonly specs?: readonly ProcSpec[];
  /** Folder against which relative folders in specs are resolved. Default: the current one. */
  readonly base_dir?: string;
  /** Patterns of command lines to watch. Default: none. */
  readonly watch?: readonly RegExp[];
  /** Pids of processes to watch. Default: none. */
  readonly pids?: readonly number[];
  /** Time between TERM and KILL, milliseconds. Default: 10 s. */
  readonly terminate_grace_ms?: number;
  /** Folder in which telemetry waits for the store and survives the agent. Default: it waits in memory. */
  readonly spool_dir?: string;
  /** Most bytes in that folder. Default: 256 MiB. */
  readonly spool_max_bytes?: number;
  /** Path of the socket to which procs send telemetry. Default: in a new temporary folder. */
  readonly telemetry_socket?: string;
  /** Interval between two sets of rows of the agent's own metrics, milliseconds. Default: 10 s. */
  readonly metrics_interval_ms?: number;
  /** Address on which `/metrics` is served. Default: it is not served. */
  readonly metrics_listen?: MetricsAddress;
  /** Environment of the agent, default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Replaces single limits. */
  readonly limits?: Partial<AgentLimits>;
  /** The same of py-spy. */
  readonly pyspy_limits?: Partial<PySpyLimits>;
  readonly log: (level: LogLevel, message: string) => void;
  /** Is called with each line that a command writes. */
  readonly onOutput?: (name: string, stream: OutputStream, line: string) => void;
  /** Is called once, when the gateway shows this host for the first time. */
  readonly onReady?: () => void;
}

/** @returns what is wrong, naming the option and its value; null when all options are valid */
export function optionsError(options: HostAgentOptions): string | null {
  const name = parseSafely(HostName, options.host_name);
  if (!name.ok) return `host name "${options.host_name}": ${name.failure.message}`;
  if (!URL.canParse(options.gateway_url) || !/^https?:$/.test(new URL(options.gateway_url).protocol)) {
    return `gateway "${options.gateway_url}" is not a URL of the form http://HOST:PORT`;
  }
  const token = typeof options.token === 'string' ? options.token : options.token();
  if (!/^[\x21-\x7e]*$/.test(token)) return 'token: must be ASCII without spaces, as a header is';
  return null;
}
