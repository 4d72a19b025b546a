/** The options of a gateway, which `gateway` and `up` share, and the block that says where everything is. */
import path from 'node:path';
import { ANONYMOUS_LEVELS, type AnonymousLevel, hostName, NO_HOST_NAME } from '../edge-gateway/index.ts';
import { URL_DEFAULT } from './client.ts';
import { type Invocation, text, texts } from './command.ts';
import { DATA_DIR_DEFAULT, tokenFile, tokenSource } from './data-dir.ts';
import { usageError } from './exit.ts';
import { type Address, isLoopback, LISTEN_OPTIONS } from './listen.ts';
import { SERVE_TLS_OPTIONS } from './tls-options.ts';

export const GATEWAY_PORT_DEFAULT = 1729;

export const GATEWAY_OPTIONS = {
  ...LISTEN_OPTIONS,
  data: { type: 'string' },
  anonymous: { type: 'string' },
  'allow-host': { type: 'string', multiple: true },
  tokens: { type: 'string' },
  ...SERVE_TLS_OPTIONS,
} as const;

export const GATEWAY_HELP = `  --port N           port to listen on, default ${GATEWAY_PORT_DEFAULT}; 0 picks a free one and prints it
  --host ADDR        address to listen on, default 127.0.0.1
  --insecure         allow an address that other machines can reach, without TLS
  --allow-host NAME  a name under which a proxy in front serves this gateway; may be repeated
  --anonymous LEVEL  who may read without a token: none, topology (hosts, procs, actors) or all (stacks, profiles,
                     configuration and SQL too; loopback only). Default topology on loopback, none elsewhere and with --allow-host
  --tokens FILE      further tokens, read again when it changes; see "meshscope token --help" (MESHSCOPE_TOKENS_FILE,
                     default tokens.json in the data folder, when there is one)
  --tls-cert FILE    serve https with this certificate, PEM, with
  --tls-key FILE     its key; then other machines may reach it without --insecure
  --tls-ca FILE      require client certificates that this CA signed
  --tls-client-roles ROLES
                     what such a certificate may do where no token is sent: read, inspect or operate, default inspect
  --data DIR         folder of the token and the store (MESHSCOPE_DATA, default .meshscope)
`;

export function readAnonymous(invocation: Invocation, address: Address): AnonymousLevel {
  const given = text(invocation, 'anonymous');
  const isProxied = texts(invocation, 'allow-host').length > 0;
  if (given === undefined) return isLoopback(address.host) && !isProxied ? 'topology' : 'none';
  const level = ANONYMOUS_LEVELS.find((candidate) => candidate === given);
  if (level === undefined) throw usageError(`--anonymous ${given}: must be one of ${ANONYMOUS_LEVELS.join(', ')}`);
  if (level === 'all' && (!isLoopback(address.host) || isProxied)) {
    throw usageError(`--anonymous all would show stacks and SQL to everybody who reaches this address: loopback only`);
  }
  return level;
}

/** The names under which a proxy serves the gateway. */
export function readAllowedHosts(invocation: Invocation): readonly string[] {
  const names = texts(invocation, 'allow-host');
  const wrong = names.find((name) => hostName(name) === null);
  if (wrong !== undefined) throw usageError(`--allow-host ${wrong}: ${NO_HOST_NAME}`);
  return names;
}

const TLS_LINE = `  - TLS:           curl needs --cacert, other commands MESHSCOPE_TLS_CA, where the CA is your own\n`;

/** The first line and the labels are those of the mesh admin API's own start-up output, which harnesses read. */
export function describeAccess(url: string, dataFolder: string): string {
  const file = tokenFile(dataFolder);
  const relative = path.relative(process.cwd(), file);
  const shown = relative.startsWith('..') ? file : relative;
  const isFile = tokenSource(dataFolder) === file;
  return `Mesh admin server listening on ${url}
  - Root node:     curl ${url}/v1/root
  - Mesh tree:     curl ${url}/v1/tree
  - API docs:      curl ${url}/SKILL.md
  - SQL:           curl -H "Authorization: Bearer ${isFile ? `$(cat ${shown})` : '$MESHSCOPE_TOKEN'}" --json '{"sql":"show tables"}' ${url}/v1/query
  - Token:         ${isFile ? shown : 'MESHSCOPE_TOKEN'}
${url.startsWith('https:') ? TLS_LINE : ''}`;
}

/** Commands to try, as they must be typed here: in a clone through npx, and with the place where it is not the default. */
export function describeTries(url: string, dataFolder: string, isDemo: boolean): string {
  const meshscope = process.argv[1]?.endsWith('.ts') === true ? 'npx meshscope' : 'meshscope';
  const place = [
    ...(url === URL_DEFAULT ? [] : [`MESHSCOPE_URL=${url}`]),
    ...(dataFolder === path.resolve(DATA_DIR_DEFAULT) ? [] : [`MESHSCOPE_DATA=${dataFolder}`]),
  ];
  const set = place.length === 0 ? '' : `  - First:         export ${place.join(' ')}\n`;
  const tries = isDemo ? ['tree', 'stack blocked', 'profile busy -o busy.svg', 'why failing'] : ['tree', 'stack NAME'];
  return `${set}  - Try:           ${tries.map((words) => `${meshscope} ${words}`).join(';  ')}\n`;
}
