/** The options of a gateway, which `gateway` and `up` share, and the block that says where everything is. */
import path from 'node:path';
import { type Invocation, text } from './command.ts';
import { tokenFile, tokenSource } from './data-dir.ts';
import { usageError } from './exit.ts';
import { type Address, isLoopback, LISTEN_OPTIONS } from './listen.ts';

export const GATEWAY_PORT_DEFAULT = 1729;

export const ANONYMOUS_LEVELS = ['none', 'topology', 'all'] as const;
export type AnonymousLevel = (typeof ANONYMOUS_LEVELS)[number];

export const GATEWAY_OPTIONS = { ...LISTEN_OPTIONS, data: { type: 'string' }, anonymous: { type: 'string' } } as const;

export const GATEWAY_HELP = `  --port N           port to listen on, default ${GATEWAY_PORT_DEFAULT}; 0 picks a free one and prints it
  --host ADDR        address to listen on, default 127.0.0.1
  --insecure         allow an address that other machines can reach, without TLS
  --anonymous LEVEL  who may read without a token: none, topology (hosts, procs, actors) or all (stacks, profiles,
                     configuration and SQL too; loopback only). Default topology on loopback, none elsewhere
  --data DIR         folder of the token and the store (MESHSCOPE_DATA, default .meshscope)
`;

export function readAnonymous(invocation: Invocation, address: Address): AnonymousLevel {
  const given = text(invocation, 'anonymous');
  if (given === undefined) return isLoopback(address.host) ? 'topology' : 'none';
  const level = ANONYMOUS_LEVELS.find((candidate) => candidate === given);
  if (level === undefined) throw usageError(`--anonymous ${given}: must be one of ${ANONYMOUS_LEVELS.join(', ')}`);
  if (level === 'all' && !isLoopback(address.host)) {
    throw usageError(
      `--anonymous all would show stacks and SQL to everybody who reaches ${address.host}: loopback only`,
    );
  }
  return level;
}

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
`;
}
