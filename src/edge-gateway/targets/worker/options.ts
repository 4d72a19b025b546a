/** The variables and secrets of the gateway on Cloudflare Workers, each checked at once and named when wrong. */
import { failure, type Outcome, success } from '../../../base/index.ts';
import { readTokenDocument, type StoredToken } from '../../../contract/index.ts';
import { ANONYMOUS_LEVELS, type AnonymousLevel } from '../../access/access.ts';
import { LIMITS } from '../../limits.ts';

/** What `wrangler.toml` and `wrangler secret put` set; all are text. */
export interface WorkerVariables {
  /** Secret: the owner's token, 16 characters or more. */
  readonly MESHSCOPE_TOKEN?: string;
  /** Secret: the token document that `meshscope token` writes. */
  readonly MESHSCOPE_TOKENS?: string;
  readonly MESHSCOPE_ANONYMOUS?: string;
  readonly MESHSCOPE_ALLOW_HOST?: string;
  readonly MESHSCOPE_SHARDS?: string;
  readonly MESHSCOPE_TELEMETRY?: string;
  readonly MESHSCOPE_HEARTBEAT_MS?: string;
  readonly MESHSCOPE_SNAPSHOT_MS?: string;
  readonly MESHSCOPE_STARTED_BY?: string;
}

export interface WorkerOptions {
  readonly token: string;
  readonly tokens: readonly StoredToken[];
  readonly anonymous: AnonymousLevel;
  /** Null: any. */
  readonly allowed_hosts: readonly string[] | null;
  readonly shards: number;
  readonly telemetry_url: string | null;
  readonly heartbeat_ms: number;
  readonly snapshot_interval_ms: number;
  readonly started_by: string;
}

/** Fails with `service_unavailable`, which names the variable, its value unless it is secret, and what to do. */
export function readWorkerOptions(variables: WorkerVariables): Outcome<WorkerOptions> {
  const token = variables.MESHSCOPE_TOKEN ?? '';
  if (token.length < LIMITS.token_min_chars || token.length > LIMITS.token_max_chars || !/^[\x21-\x7e]+$/.test(token)) {
    const what =
      token === ''
        ? 'is not set'
        : `must be ${LIMITS.token_min_chars} to ${LIMITS.token_max_chars} printable ASCII characters without spaces`;
    return wrong('MESHSCOPE_TOKEN', `${what}: set it with 'wrangler secret put MESHSCOPE_TOKEN'`);
  }
  const tokens = readTokenDocument(variables.MESHSCOPE_TOKENS ?? '{"version":1,"tokens":[]}');
  if (!tokens.ok) return wrong('MESHSCOPE_TOKENS', tokens.failure.message);
  const level = variables.MESHSCOPE_ANONYMOUS || 'none';
  const anonymous = ANONYMOUS_LEVELS.find((each) => each === level);
  if (anonymous === undefined)
    return wrong('MESHSCOPE_ANONYMOUS', `'${level}' must be one of ${ANONYMOUS_LEVELS.join(', ')}`);
  const telemetry_url = variables.MESHSCOPE_TELEMETRY || null;
  if (telemetry_url !== null && (!/^https?:\/\//.test(telemetry_url) || !URL.canParse(telemetry_url))) {
    return wrong('MESHSCOPE_TELEMETRY', `'${telemetry_url}' must be an http(s) URL`);
  }
  const names = (variables.MESHSCOPE_ALLOW_HOST ?? '').split(',').map((name) => name.trim());
  const allowed_hosts = names.filter((name) => name !== '');
  const shards = wholeNumber(variables, 'MESHSCOPE_SHARDS', 1, LIMITS.shards_max, 1);
  if (!shards.ok) return shards;
  const heartbeat = wholeNumber(
    variables,
    'MESHSCOPE_HEARTBEAT_MS',
    LIMITS.heartbeat_min_ms,
    LIMITS.heartbeat_max_ms,
    LIMITS.sleepy_heartbeat_ms,
  );
  if (!heartbeat.ok) return heartbeat;
  const snapshot = wholeNumber(
    variables,
    'MESHSCOPE_SNAPSHOT_MS',
    0,
    LIMITS.snapshot_interval_max_ms,
    LIMITS.snapshot_interval_ms,
  );
  if (!snapshot.ok) return snapshot;
  return success({
    token,
    tokens: tokens.value.tokens,
    anonymous,
    allowed_hosts: allowed_hosts.length === 0 ? null : allowed_hosts,
    shards: shards.value,
    telemetry_url,
    heartbeat_ms: heartbeat.value,
    snapshot_interval_ms: snapshot.value,
    started_by: variables.MESHSCOPE_STARTED_BY || 'worker',
  });
}

function wholeNumber(
  variables: WorkerVariables,
  name: keyof WorkerVariables,
  min: number,
  max: number,
  otherwise: number,
): Outcome<number> {
  const text = variables[name] || String(otherwise);
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return success(number);
  return wrong(name, `'${text}' must be a whole number from ${min} to ${max}`);
}

function wrong(name: string, what: string): Outcome<never> {
  return failure('service_unavailable', `this gateway is not set up: ${name} ${what}`);
}
