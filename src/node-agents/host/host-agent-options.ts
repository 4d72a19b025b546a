/** What an agent is started with, and what of it makes no sense. */

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
  /** The token, or what gives it, asked at every dial. */
  readonly token: string | (() => string);
  /** PEM texts for an https gateway: the CA to trust, certificate and key to show. Default: the CAs of the runtime, none. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** What the host is called; two agents of one gateway must differ in it. */
  readonly host_name: string;
  readonly version: string;
  /** Commands to start, default none. */
  readonly specs?: readonly ProcSpec[];
  /** Folder that the specs' relative folders start from, default the current one. */
  readonly base_dir?: string;
  /** Command lines to watch for, default none. */
  readonly watch?: readonly RegExp[];
  /** Processes to watch, default none. */
  readonly pids?: readonly number[];
  /** From TERM to KILL, default 10 s. */
  readonly terminate_grace_ms?: number;
  /** Folder in which telemetry waits for the store and outlives the agent. Default: it waits in memory. */
  readonly spool_dir?: string;
  /** Bytes of it, default 256 MiB. */
  readonly spool_max_bytes?: number;
  /** Path of the socket at which procs hand in telemetry. Default: a new place of the system's for temporary files. */
  readonly telemetry_socket?: string;
  /** From one set of rows of the agent's own metrics to the next, default 10 s. */
  readonly metrics_interval_ms?: number;
  /** Where `/metrics` is listened for. Default: nowhere. */
  readonly metrics_listen?: MetricsAddress;
  /** Environment of the agent, default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Replaces single limits. */
  readonly limits?: Partial<AgentLimits>;
  /** The same of py-spy. */
  readonly pyspy_limits?: Partial<PySpyLimits>;
  readonly log: (level: LogLevel, message: string) => void;
  /** Each line that a command writes. */
  readonly onOutput?: (name: string, stream: OutputStream, line: string) => void;
  /** Told once, when the gateway shows this host for the first time. */
  readonly onReady?: () => void;
}

/** @returns what is wrong, naming the option and its value; null when nothing is */
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
