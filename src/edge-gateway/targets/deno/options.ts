/** The options of the gateway on Deno: flags, or else environment variables, each checked at once and named when wrong. */
import { failure, type Outcome, success } from '../../../base/index.ts';
import { HEARTBEAT_MS } from '../../../contract/index.ts';
import { ANONYMOUS_LEVELS } from '../../access/access.ts';
import { hostName, isLoopback, NO_HOST_NAME, type ServeOptions } from '../../compose.ts';
import { LIMITS } from '../../limits.ts';

type Settings = Omit<ServeOptions, 'version' | 'started_by' | 'log' | 'telemetry' | 'tokens' | 'limits'>;
export type DenoOptions = Settings & { readonly telemetry_url: string | null; readonly tokens_file: string | null };

const VARIABLES = {
  port: 'MESHSCOPE_PORT',
  host: 'MESHSCOPE_HOST',
  anonymous: 'MESHSCOPE_ANONYMOUS',
  telemetry: 'MESHSCOPE_TELEMETRY',
  'allow-host': 'MESHSCOPE_ALLOW_HOST',
  tokens: 'MESHSCOPE_TOKENS_FILE',
  'heartbeat-ms': null,
  'snapshot-ms': null,
} as const;
type Name = keyof typeof VARIABLES;

export const DENO_HELP = `meshscope gateway on Deno: the HTTP API that agents dial and clients ask.

The owner's token, ${LIMITS.token_min_chars} to ${LIMITS.token_max_chars} characters, comes from MESHSCOPE_TOKEN; agents and clients may send it, or one of
the tokens in a file that 'meshscope token create' writes.

  --port N            port to listen on (MESHSCOPE_PORT, default 1729); 0 picks a free one and prints it
  --host ADDR         address to listen on (MESHSCOPE_HOST, default 127.0.0.1)
  --insecure          allow an address that other machines can reach, without TLS
  --allow-host NAMES  names under which a proxy in front serves it, with commas between (MESHSCOPE_ALLOW_HOST)
  --anonymous LEVEL   who may read without a token: none, topology or all (MESHSCOPE_ANONYMOUS). Default topology on
                      loopback, none elsewhere and with --allow-host; all on loopback only
  --telemetry URL     the telemetry service (MESHSCOPE_TELEMETRY); without it there is no SQL until one dials in
  --tokens FILE       more tokens (MESHSCOPE_TOKENS_FILE), read again when the file changes. 'deno task start' may read
                      .meshscope/tokens.json; for another, run its command with --allow-read=FILE added
  --heartbeat-ms N    silence before a heartbeat is sent on a link, ${LIMITS.heartbeat_min_ms} to ${LIMITS.heartbeat_max_ms}, default ${HEARTBEAT_MS}
  --snapshot-ms N     how often the topology goes to the store, 0 to ${LIMITS.snapshot_interval_max_ms}, default ${LIMITS.snapshot_interval_ms}; 0 is never`;

/** @param environment gives a variable's value. Fails with `bad_request`, naming the flag or variable and its value. */
export function readDenoOptions(
  args: readonly string[],
  environment: (name: string) => string | undefined,
): Outcome<DenoOptions> {
  const given = readFlags(args);
  if (!given.ok) return given;
  const { flags, isInsecure } = given.value;
  const value = (name: Name): Given | null => {
    const flag = flags.get(name);
    if (flag !== undefined) return { text: flag, from: `--${name}` };
    const variable = VARIABLES[name];
    const text = variable === null ? '' : (environment(variable) ?? '');
    return text === '' ? null : { text, from: variable ?? '' };
  };
  const token = environment('MESHSCOPE_TOKEN') ?? '';
  if (token === '') return failure('bad_request', 'MESHSCOPE_TOKEN is not set: agents and clients need a token');
  if (token.length < LIMITS.token_min_chars || token.length > LIMITS.token_max_chars || !/^[\x21-\x7e]+$/.test(token)) {
    const message = `MESHSCOPE_TOKEN must be ${LIMITS.token_min_chars} to ${LIMITS.token_max_chars} printable ASCII characters without spaces`;
    return failure('bad_request', message);
  }
  const host = value('host')?.text ?? '127.0.0.1';
  const isLocal = isLoopback(host);
  if (!isLocal && !isInsecure) {
    const message = `--host ${host} can be reached from other machines without TLS: serve behind a proxy, or say --insecure`;
    return failure('bad_request', message);
  }
  const allow = value('allow-host');
  const allowed_hosts = (allow?.text ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const wrongName = allowed_hosts.find((name) => hostName(name) === null);
  if (wrongName !== undefined) return failure('bad_request', `${allow?.from} ${wrongName}: ${NO_HOST_NAME}`);
  const isPrivate = isLocal && allowed_hosts.length === 0;
  const level = value('anonymous') ?? { text: isPrivate ? 'topology' : 'none', from: '' };
  const anonymous = ANONYMOUS_LEVELS.find((each) => each === level.text);
  if (anonymous === undefined) return wrong(level, `must be one of ${ANONYMOUS_LEVELS.join(', ')}`);
  if (anonymous === 'all' && !isPrivate) return wrong(level, 'is for loopback only, without --allow-host');
  const telemetry = value('telemetry');
  if (telemetry !== null && !/^https?:\/\//.test(telemetry.text)) return wrong(telemetry, 'must be an http(s) URL');
  if (telemetry !== null && !URL.canParse(telemetry.text)) return wrong(telemetry, 'is not a URL');
  if (telemetry !== null && /^[^/]*\/\/[^/?#]*@/.test(telemetry.text))
    return failure('bad_request', `${telemetry.from}: the URL must not hold a user name or password`);
  const port = wholeNumber(value('port'), 0, 65_535);
  const heartbeat = wholeNumber(value('heartbeat-ms'), LIMITS.heartbeat_min_ms, LIMITS.heartbeat_max_ms);
  const snapshot = wholeNumber(value('snapshot-ms'), 0, LIMITS.snapshot_interval_max_ms);
  if (!port.ok) return port;
  if (!heartbeat.ok) return heartbeat;
  if (!snapshot.ok) return snapshot;
  return success({
    host,
    port: port.value ?? 1_729,
    token,
    ...(isLocal ? { tokenSource: 'MESHSCOPE_TOKEN' } : {}),
    allowed_hosts,
    anonymous,
    telemetry_url: telemetry?.text ?? null,
    tokens_file: value('tokens')?.text ?? null,
    ...(heartbeat.value === null ? {} : { heartbeat_ms: heartbeat.value }),
    ...(snapshot.value === null ? {} : { snapshot_interval_ms: snapshot.value }),
  });
}

interface Given {
  readonly text: string;
  /** The flag or variable that it stands in. */
  readonly from: string;
}

function readFlags(args: readonly string[]): Outcome<{ flags: ReadonlyMap<string, string>; isInsecure: boolean }> {
  const flags = new Map<string, string>();
  let isInsecure = false;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, name = '', joined] = /^--([a-z-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === 'insecure' && joined === undefined) isInsecure = true;
    else if (!Object.hasOwn(VARIABLES, name)) return failure('bad_request', `unknown argument '${arg}'`);
    else {
      const text = joined ?? rest.shift();
      if (text === undefined || text === '') return failure('bad_request', `--${name} needs a value`);
      flags.set(name, text);
    }
  }
  return success({ flags, isInsecure });
}

function wholeNumber(given: Given | null, min: number, max: number): Outcome<number | null> {
  if (given === null) return success(null);
  const number = Number(given.text);
  if (/^\d+$/.test(given.text) && number >= min && number <= max) return success(number);
  return wrong(given, `must be a whole number from ${min} to ${max}`);
}

function wrong({ text, from }: Given, what: string): Outcome<never> {
  return failure('bad_request', `${from} ${text}: ${what}`);
}
