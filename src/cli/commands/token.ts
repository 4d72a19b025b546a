import { createHash, randomBytes } from 'node:crypto';
import { timestamp } from '../../base/index.ts';
import {
  HostName,
  isExpired,
  parseSafely,
  ROLES,
  type StoredToken,
  TOKEN_HOSTS_MAX,
  TOKEN_PREFIX,
  TOKENS_MAX,
  TokenName,
} from '../../contract/index.ts';
import { type Command, flag, type Invocation, text, texts } from '../command.ts';
import { dataDir, ensureDataDir } from '../data-dir.ts';
import { CommandError, EXIT, type ExitCode, usageError } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { formatTable } from '../render/format.ts';
import { readRoles } from '../tls-options.ts';
import { changeTokens, readTokens, type TokensPlace, tokensPlace } from '../token-store.ts';

const TOKEN_BYTES = 32;
const UNITS_S: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400, w: 604_800 };

export const command: Command = {
  arguments: ['ACTION', 'NAME?'],
  options: {
    role: { type: 'string', multiple: true },
    host: { type: 'string', multiple: true },
    expires: { type: 'string' },
    file: { type: 'string' },
    data: { type: 'string' },
    json: { type: 'boolean' },
  },
  help: `meshscope token: who may ask a gateway, and what for.

Usage: meshscope token create NAME --role ROLES [--host HOST] [--expires 30d] [OPTIONS]
       meshscope token list [--json] [OPTIONS]
       meshscope token revoke NAME [OPTIONS]

"create" prints the token once, on standard output; only its SHA-256 is kept. A running gateway takes a change up within
two seconds, a revoked or expired token ends the links that it opened.

  --role ROLES       ${ROLES.join(', ')}; repeated, or with commas between
                       read      topology and status
                       inspect   read, and stacks, profiles, configuration, SQL
                       operate   inspect, and writes
                       agent     to publish hosts, nothing else
                       store     to answer for the telemetry store, nothing else
  --host HOST        with role agent: publish only this host; may be repeated. Default any host
  --expires AGE      30m, 12h, 30d, 8w, up to ten years, or never. Default never
  --file FILE        the file of tokens (MESHSCOPE_TOKENS_FILE, default tokens.json in the data folder)
  --data DIR         the data folder (MESHSCOPE_DATA, default .meshscope)
  --json             list: print JSON

Examples
  meshscope token create grafana --role read --expires 90d
  export MESHSCOPE_TOKEN=$(meshscope token create gpu-7 --role agent --host gpu-7)
  meshscope token create ci --role inspect --file tokens.json && wrangler secret put MESHSCOPE_TOKENS < tokens.json
`,
  async run(invocation) {
    const [action, name] = invocation.positionals;
    const place = tokensPlace(invocation, 'file');
    if (action === 'list' && name === undefined) return list(invocation, place);
    if (action !== 'create' && action !== 'revoke') {
      throw usageError(`token ${[action, name].filter(Boolean).join(' ')}: must be create NAME, list or revoke NAME`);
    }
    if (name === undefined) throw usageError(`NAME is missing: meshscope token ${action} NAME`);
    return action === 'create' ? create(invocation, place, name) : revoke(place, name);
  },
};

async function create(invocation: Invocation, place: TokensPlace, given: string): Promise<ExitCode> {
  const name = parseSafely(TokenName, given);
  if (!name.ok) throw usageError(name.failure.message);
  const roles = readRoles('--role', texts(invocation, 'role'));
  if (roles.length === 0) throw usageError(`--role is missing: one or more of ${ROLES.join(', ')}`);
  const hosts = readHosts(texts(invocation, 'host'));
  if (hosts.length > 0 && !roles.includes('agent')) throw usageError('--host is for the role agent only');
  const created_ms = Date.now();
  const expires_at = readExpiry(text(invocation, 'expires'), created_ms);
  const token = TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
  const stored: StoredToken = {
    name: name.value,
    roles,
    ...(hosts.length === 0 ? {} : { hosts }),
    created_at: timestamp(created_ms),
    expires_at,
    sha256: createHash('sha256').update(token).digest('hex'),
  };
  if (place.isDefault) ensureDataDir(dataDir(text(invocation, 'data')));
  await changeTokens(place.file, (document) => {
    if (document.tokens.some((each) => each.name === stored.name)) {
      throw new CommandError(
        `there is a token "${stored.name}" already; "meshscope token revoke ${stored.name}" ends it`,
      );
    }
    if (document.tokens.length >= TOKENS_MAX)
      throw new CommandError(`${place.file} holds ${TOKENS_MAX} tokens, as many as it may`);
    return { ...document, tokens: [...document.tokens, stored] };
  });
  process.stdout.write(`${token}\n`);
  const until = expires_at === null ? 'never expires' : `expires at ${expires_at}`;
  process.stderr.write(
    `token "${stored.name}" (${roles.join(', ')}) ${until}. It is shown this once: give it to whoever is to use it, as ` +
      `MESHSCOPE_TOKEN. Gateways that read ${place.file} take it from now on.\n`,
  );
  return EXIT.ok;
}

async function revoke(place: TokensPlace, name: string): Promise<ExitCode> {
  await changeTokens(place.file, (document) => {
    const tokens = document.tokens.filter((each) => each.name !== name);
    if (tokens.length < document.tokens.length) return { ...document, tokens };
    const names = document.tokens.map((each) => each.name).join(', ') || 'none';
    throw new CommandError(`there is no token "${name}" in ${place.file}; there are: ${names}`);
  });
  process.stderr.write(`token "${name}" is revoked\n`);
  return EXIT.ok;
}

function list(invocation: Invocation, place: TokensPlace): ExitCode {
  const now_ms = Date.now();
  const tokens = readTokens(place.file).tokens.map(({ sha256: _, ...token }) => token);
  const isOver = (token: { readonly expires_at: string | null }) => isExpired(token, now_ms);
  if (flag(invocation, 'json')) {
    process.stdout.write(
      `${JSON.stringify(
        tokens.map((token) => ({ ...token, expired: isOver(token) })),
        null,
        2,
      )}\n`,
    );
    return EXIT.ok;
  }
  const rows = tokens.map((token) => [
    token.name,
    token.roles.join(','),
    token.hosts?.join(',') ?? '-',
    token.created_at,
    `${token.expires_at ?? 'never'}${isOver(token) ? ' (expired)' : ''}`,
  ]);
  process.stdout.write(formatTable([['name', 'roles', 'hosts', 'created', 'expires'], ...rows]));
  return EXIT.ok;
}

function readHosts(given: readonly string[]): string[] {
  if (given.length > TOKEN_HOSTS_MAX) throw usageError(`--host: at most ${TOKEN_HOSTS_MAX} hosts`);
  return given.map((each) => {
    const host = parseSafely(HostName, each);
    if (!host.ok) throw usageError(`--host ${each}: ${host.failure.message}`);
    return host.value;
  });
}

function readExpiry(given: string | undefined, from_ms: number): string | null {
  if (given === undefined || given === 'never') return null;
  const [, count = '', unit = ''] = /^([1-9]\d{0,8})([mhdw])$/.exec(given) ?? [];
  const age_s = Number(count) * (UNITS_S[unit] ?? 0);
  if (age_s === 0 || age_s > LIMITS.token_age_max_days * 86_400) {
    throw usageError(`--expires ${given}: must be like 30m, 12h, 30d or 8w, up to ten years, or never`);
  }
  return timestamp(from_ms + age_s * 1_000);
}
