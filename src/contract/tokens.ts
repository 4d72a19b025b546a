/**
 * The token document: who may ask a gateway, written by `meshscope token`, read by gateways of every runtime, from a file or
 * a secret. It holds no token, only the SHA-256 of each, so whoever reads the document can show none.
 *
 * A token as it is sent is TOKEN_PREFIX and 32 random bytes in base64url.
 */

import * as v from 'valibot';
import { failure, type Outcome } from '../base/index.ts';
import { parseSafely } from './errors.ts';
import { HostName } from './link.ts';
import { Timestamp } from './timestamp.ts';

/** `operate` includes `inspect`, which includes `read`. `agent` publishes hosts, `store` is the telemetry service. */
export const ROLES = ['read', 'inspect', 'operate', 'agent', 'store'] as const;
export const Role = v.picklist(ROLES);
export type Role = v.InferOutput<typeof Role>;

export const TOKEN_PREFIX = 'msc_';
/** Tokens of one document. Beyond it the document is refused. */
export const TOKENS_MAX = 1_000;
/** Hosts that one token may name. Beyond it the document is refused. */
export const TOKEN_HOSTS_MAX = 64;
/** Characters of a token document. Beyond it the document is refused. */
export const TOKEN_DOCUMENT_MAX_CHARS = 1024 * 1024;
/** Characters of a token's name. Beyond it the document is refused. */
export const TOKEN_NAME_MAX_CHARS = 64;

/** Names by which gateways call whoever has no token of a document. */
const TAKEN_NAMES = ['owner', 'anonymous', 'unknown'];

export const TokenName = v.pipe(
  v.string(),
  v.maxLength(TOKEN_NAME_MAX_CHARS),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'token name: letters, digits, ".", "_" and "-", for example grafana'),
  v.check((name) => !TAKEN_NAMES.includes(name), `token name: must not be one of ${TAKEN_NAMES.join(', ')}`),
);

export const StoredToken = v.strictObject({
  name: TokenName,
  roles: v.pipe(v.array(Role), v.minLength(1), v.maxLength(ROLES.length)),
  /** The hosts that the role `agent` may publish; absent is any. */
  hosts: v.optional(v.pipe(v.array(HostName), v.minLength(1), v.maxLength(TOKEN_HOSTS_MAX))),
  created_at: Timestamp,
  /** Null: never. */
  expires_at: v.nullable(Timestamp),
  /** Of the token's text, lower-case hex. */
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')),
});
export type StoredToken = Readonly<v.InferOutput<typeof StoredToken>>;

export const TokenDocument = v.strictObject({
  version: v.literal(1),
  tokens: v.pipe(
    v.array(StoredToken),
    v.maxLength(TOKENS_MAX),
    v.check((tokens) => isUnique(tokens.map(({ name }) => name)), 'two tokens have the same name'),
    v.check((tokens) => isUnique(tokens.map(({ sha256 }) => sha256)), 'two tokens have the same sha256'),
  ),
});
export type TokenDocument = v.InferOutput<typeof TokenDocument>;

function isUnique(texts: readonly string[]): boolean {
  return new Set(texts).size === texts.length;
}

/** Reads a token document. Fails with `bad_request`, naming the field that is wrong. */
export function readTokenDocument(text: string): Outcome<TokenDocument> {
  if (text.length > TOKEN_DOCUMENT_MAX_CHARS) {
    return failure('bad_request', `a token document has at most ${TOKEN_DOCUMENT_MAX_CHARS} characters`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return failure('bad_request', 'the token document is not JSON');
  }
  return parseSafely(TokenDocument, json);
}

/** Whether a token is over at a time, milliseconds since the epoch. */
export function isExpired({ expires_at }: Pick<StoredToken, 'expires_at'>, now_ms: number): boolean {
  return expires_at !== null && Date.parse(expires_at) <= now_ms;
}
