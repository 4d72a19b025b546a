/** TLS from the command line: what a gateway serves with, and what whoever dials one trusts and shows. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROLES, type Role } from '../contract/index.ts';
import type { NodeTls } from '../edge-gateway/targets/node/tls.ts';
import { type Invocation, text } from './command.ts';
import { usageError } from './exit.ts';
import { LIMITS } from './limits.ts';

/** The options of everything that serves or dials with TLS; the environment gives their values to those who dial. */
export const TLS_OPTIONS = {
  'tls-ca': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
} as const;

export const DIAL_TLS_HELP = `  --tls-ca FILE      for https: the CA that signed the gateway's certificate (MESHSCOPE_TLS_CA), PEM; default those of Node
  --tls-cert FILE    certificate to show to the gateway (MESHSCOPE_TLS_CERT), with
  --tls-key FILE     its key (MESHSCOPE_TLS_KEY)
`;

export const SERVE_TLS_OPTIONS = { ...TLS_OPTIONS, 'tls-client-roles': { type: 'string' } } as const;

/** PEM texts. */
export interface DialTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What to dial a gateway with; null when nothing of it was given. */
export function readDialTls(invocation: Invocation): DialTls | null {
  const pem = (name: string, variable: string) => {
    const flagged = text(invocation, name);
    const file = flagged ?? process.env[variable] ?? '';
    return file === '' ? undefined : readPem(flagged === undefined ? variable : `--${name}`, file);
  };
  const ca = pem('tls-ca', 'MESHSCOPE_TLS_CA');
  const cert = pem('tls-cert', 'MESHSCOPE_TLS_CERT');
  const key = pem('tls-key', 'MESHSCOPE_TLS_KEY');
  if ((cert === undefined) !== (key === undefined)) throw usageError('--tls-cert and --tls-key belong together');
  if (ca === undefined && cert === undefined) return null;
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined || key === undefined ? {} : { cert, key }) };
}

export interface ServeTls {
  readonly tls: NodeTls;
  readonly certificate_roles: readonly Role[];
}

/** What a gateway serves with; null when it is to speak plain HTTP. */
export function readServeTls(invocation: Invocation): ServeTls | null {
  const file = (name: string) => text(invocation, name);
  const [cert, key, ca] = [file('tls-cert'), file('tls-key'), file('tls-ca')];
  if ((cert === undefined) !== (key === undefined)) throw usageError('--tls-cert and --tls-key belong together');
  if (cert === undefined || key === undefined) {
    if (ca !== undefined) throw usageError('--tls-ca needs --tls-cert and --tls-key');
    if (file('tls-client-roles') !== undefined) throw usageError('--tls-client-roles needs --tls-ca');
    return null;
  }
  if (ca === undefined && file('tls-client-roles') !== undefined) throw usageError('--tls-client-roles needs --tls-ca');
  return {
    tls: {
      cert: readPem('--tls-cert', cert),
      key: readPem('--tls-key', key),
      ...(ca === undefined ? {} : { ca: readPem('--tls-ca', ca) }),
    },
    certificate_roles: readClientRoles(file('tls-client-roles') ?? 'inspect'),
  };
}

/**
 * The environment with which an agent dials the gateway that this same command serves: what the environment says already,
 * else the gateway's own certificate, which must then be valid for its address, and for clients too where a CA is given.
 */
export function dialOwnTls(invocation: Invocation): Record<string, string> {
  const file = (name: string) => path.resolve(text(invocation, name) ?? '');
  const hasCa = text(invocation, 'tls-ca') !== undefined;
  const own = {
    MESHSCOPE_TLS_CA: file(hasCa ? 'tls-ca' : 'tls-cert'),
    ...(hasCa ? { MESHSCOPE_TLS_CERT: file('tls-cert'), MESHSCOPE_TLS_KEY: file('tls-key') } : {}),
  };
  return Object.fromEntries(Object.entries(own).filter(([name]) => (process.env[name] ?? '') === ''));
}

function readClientRoles(given: string): Role[] {
  const roles = readRoles('--tls-client-roles', [given]);
  if (roles.some((role) => role === 'agent' || role === 'store')) {
    throw usageError(`--tls-client-roles ${given}: agents and the store need a token`);
  }
  return roles;
}

/** Roles as an option gives them: repeated, or with commas between. */
export function readRoles(name: string, given: readonly string[]): Role[] {
  const words = given.flatMap((each) => each.split(','));
  const wrong = words.find((word) => !ROLES.some((role) => role === word));
  if (wrong !== undefined) throw usageError(`${name} ${wrong}: must be one of ${ROLES.join(', ')}`);
  return ROLES.filter((role) => words.includes(role));
}

function readPem(name: string, file: string): string {
  try {
    const pem = readFileSync(file, 'utf8');
    if (pem.length > LIMITS.pem_file_max_bytes) throw new Error(`it is longer than ${LIMITS.pem_file_max_bytes} bytes`);
    if (!pem.includes('-----BEGIN ')) throw new Error('it is no PEM file');
    return pem;
  } catch (error) {
    throw usageError(`${name}: cannot use ${file}: ${(error as Error).message}`);
  }
}
