/** The gateway as `up` and `gateway` run it: on Node, in this process. */

import { userInfo } from 'node:os';
import { VERSION } from '../contract/index.ts';
import { type AnonymousLevel, telemetryOverHttp, tokensFromFile } from '../edge-gateway/index.ts';
import { type RunningGateway, serveNode } from '../edge-gateway/targets/node/node.ts';
import { nodeTokenFile } from '../edge-gateway/targets/node/tokens.ts';
import { CommandError, EXIT, usageError } from './exit.ts';
import { type Address, isLoopback, isPortTaken, portTaken } from './listen.ts';
import type { CliLog } from './log.ts';
import type { ServeTls } from './tls-options.ts';
import type { TokensPlace } from './token-store.ts';

export interface GatewayProcessOptions {
  readonly address: Address;
  readonly anonymous: AnonymousLevel;
  readonly token: string;
  /** Where a person finds the token, for the message that says it is missing. */
  readonly token_source: string;
  readonly tokens: TokensPlace;
  /** Null: plain HTTP. */
  readonly tls: ServeTls | null;
  /** Names under which a proxy serves the gateway. */
  readonly allowed_hosts: readonly string[];
  /** Base URL of the telemetry service, or null. */
  readonly telemetry: string | null;
  readonly log: CliLog;
}

export async function startGateway(options: GatewayProcessOptions): Promise<RunningGateway> {
  const { address, anonymous, token, telemetry, tls, log } = options;
  const tokens = tokensFromFile(nodeTokenFile(options.tokens.file), options.tokens.isDefault, log);
  if (!tokens.ok) throw usageError(tokens.failure.message);
  const gateway = await serveNode({
    ...address,
    anonymous,
    token,
    tokens: tokens.value,
    ...tls,
    allowed_hosts: options.allowed_hosts,
    // Where the token lies is for people on this machine.
    ...(isLoopback(address.host) ? { tokenSource: options.token_source } : {}),
    telemetry: telemetry === null ? null : telemetryOverHttp({ url: telemetry, token }),
    version: VERSION,
    started_by: process.env.USER ?? userName(),
    log,
  });
  if (gateway.ok) return gateway.value;
  if (isPortTaken(gateway.failure)) throw await portTaken(address);
  const code = gateway.failure.code === 'bad_request' ? EXIT.usage : EXIT.failure;
  throw new CommandError(gateway.failure.message, code);
}

/** The account's name; a user id without an account, as containers have, has none. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
