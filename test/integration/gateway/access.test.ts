/** Which tokens a gateway may be given, and where from. What they open, on every runtime, is in test/conformance/. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/index.ts';
import {
  type Role,
  readTokenDocument,
  type StoredToken,
  TOKEN_DOCUMENT_MAX_CHARS,
  TOKEN_HOSTS_MAX,
  TOKEN_NAME_MAX_CHARS,
  TOKENS_MAX,
} from '../../../src/contract/index.ts';
import { createAccess } from '../../../src/edge-gateway/access/access.ts';
import { tokensFromFile } from '../../../src/edge-gateway/access/token-file.ts';
import { TokenSet } from '../../../src/edge-gateway/access/tokens.ts';
import { hostName } from '../../../src/edge-gateway/compose.ts';
import { LIMITS } from '../../../src/edge-gateway/limits.ts';
import { nodeTokenFile } from '../../../src/edge-gateway/targets/node/tokens.ts';
import { sha256 } from '../../../src/edge-gateway/targets/sha256.ts';
import { rawRequest, startGateway, TOKEN } from '../../support/gateway.ts';
import { bearer, TokensFile, tokenDocument, tokenText } from '../../support/tokens.ts';

it.each([
  ['', 'must have 16'],
  ['x'.repeat(15), 'must have 16'],
  ['x'.repeat(16), null],
  ['x'.repeat(LIMITS.token_max_chars), null],
  ['x'.repeat(LIMITS.token_max_chars + 1), 'must have 16'],
  ['0123456789abcdef\n', 'printable ASCII'],
  ['0123456789 abcdef', 'printable ASCII'],
])('the token %j: %s', (token, error) => {
  const create = () => createAccess({ token, sha256, anonymous: 'none' });
  if (error !== null) return expect(create).toThrow(error);
  const ask = (given: string) => create().admit('publish', new Headers({ authorization: `Bearer ${given}` }));
  expect(ask(token).ok).toBe(true);
  for (const wrong of [`${token}x`, token.slice(1), `y${token.slice(1)}`, token + token]) {
    expect(ask(wrong)).toMatchObject({ failure: { code: 'unauthorized' } });
  }
});

it("the owner's token stays the owner's when a document holds its digest too", () => {
  const [mine, ...others] = tokenDocument({
    mine: { roles: ['read'] },
    b: { roles: ['read'] },
    c: { roles: ['agent'] },
  }).tokens as StoredToken[];
  const tokens = [{ ...(mine as StoredToken), sha256: sha256(TOKEN) }, ...others];
  const access = createAccess({ token: TOKEN, sha256, anonymous: 'none', tokens: { tokens: () => tokens } });
  const admitted = access.admit('operate', new Headers({ authorization: `Bearer ${TOKEN}` }));
  expect(admitted).toMatchObject({ ok: true, value: { name: 'owner' } });
});

describe('the names in Host', () => {
  it.each([
    ['mesh.example.com', 'mesh.example.com'],
    ['Mesh.Example.COM', 'mesh.example.com'],
    ['münchen.example', 'xn--mnchen-3ya.example'],
    ['10.0.0.5', '10.0.0.5'],
    ['127.1', '127.0.0.1'],
    ['0', '0.0.0.0'],
    ['::1', '[::1]'],
    ['[FE80:0:0::1]', '[fe80::1]'],
    ['', null],
    ['mesh.example.com:8443', null],
    ['https://mesh.example.com', null],
    ['mesh.example.com/', null],
    ['me@mesh.example.com', null],
    ['a,b', null],
    ['a b', null],
    ['*.example.com', null],
  ])('%j is %j', (text, name) => {
    expect(hostName(text)).toBe(name);
  });

  it('are checked when a gateway starts, and taken in any form', async () => {
    await expect(startGateway({ allowed_hosts: ['mesh.example.com:8443'] })).rejects.toThrow(
      /'mesh.example.com:8443' must/,
    );
    const gateway = await startGateway({ allowed_hosts: ['Mesh.Example.com', 'fe80:0::1'] });
    const ask = async (host: string) => (await rawRequest(gateway.url, 'GET', '/healthz', { host })).status;
    const hosts = ['mesh.example.com', 'MESH.example.com:443', '[fe80::1]:1729', 'localhost', 'other.example.com'];
    expect(await Promise.all(hosts.map(ask))).toEqual([200, 200, 200, 200, 403]);
    await gateway.close();
  });
});

describe('the document of tokens', () => {
  const [stored] = tokenDocument({ x: { roles: ['read'] } }).tokens;
  const numbered = (count: number, change: object = {}) => ({
    version: 1,
    tokens: Array.from({ length: count }, (_, index) => ({
      ...stored,
      name: `t${index}`,
      sha256: index.toString(16).padStart(64, '0'),
      ...change,
    })),
  });
  const hosts = (count: number) => Array.from({ length: count }, (_, index) => `h${index}`);

  it.each<[string, unknown, string | null]>([
    ['no token', numbered(0), null],
    [`${TOKENS_MAX} tokens`, numbered(TOKENS_MAX), null],
    [`${TOKENS_MAX + 1} tokens`, numbered(TOKENS_MAX + 1), 'tokens: '],
    [`${TOKEN_HOSTS_MAX} hosts`, numbered(1, { hosts: hosts(TOKEN_HOSTS_MAX) }), null],
    [`${TOKEN_HOSTS_MAX + 1} hosts`, numbered(1, { hosts: hosts(TOKEN_HOSTS_MAX + 1) }), 'tokens.0.hosts: '],
    ['a name at the bound', numbered(1, { name: 'x'.repeat(TOKEN_NAME_MAX_CHARS) }), null],
    ['a name above it', numbered(1, { name: 'x'.repeat(TOKEN_NAME_MAX_CHARS + 1) }), 'tokens.0.name: '],
    ['a name of the gateway', numbered(1, { name: 'owner' }), 'tokens.0.name: token name: must not be one of owner'],
    ['a name twice', numbered(2, { name: 'x' }), 'tokens: two tokens have the same name'],
    ['a digest twice', numbered(2, { sha256: 'a'.repeat(64) }), 'tokens: two tokens have the same sha256'],
    ['a digest in upper case', numbered(1, { sha256: 'A'.repeat(64) }), 'tokens.0.sha256: must be 64'],
    ['no role', numbered(1, { roles: [] }), 'tokens.0.roles: '],
    ['an unknown role', numbered(1, { roles: ['admin'] }), 'tokens.0.roles.0: '],
    ['no host at all', numbered(1, { hosts: [] }), 'tokens.0.hosts: '],
    ['a misspelt field', numbered(1, { expires: null }), 'tokens.0.expires: '],
    ['a date that does not exist', numbered(1, { expires_at: '2026-13-01T00:00:00Z' }), 'tokens.0.expires_at: '],
    ['another version', { version: 2, tokens: [] }, 'version: '],
  ])('with %s', (_, document, error) => {
    const read = readTokenDocument(JSON.stringify(document));
    expect(read.ok).toBe(error === null);
    if (!read.ok) expect(read.failure.message).toContain(error);
  });

  it.each([
    [TOKEN_DOCUMENT_MAX_CHARS, true],
    [TOKEN_DOCUMENT_MAX_CHARS + 1, false],
  ])('of %i characters: %s', (chars, ok) => {
    expect(readTokenDocument('{"version":1,"tokens":[]}'.padEnd(chars))).toMatchObject({ ok });
  });
});

describe('looking a token up', () => {
  it('hashes as everybody does, and finds each of a thousand and no other', () => {
    expect(sha256('msc_é')).toBe(createHash('sha256').update('msc_é').digest('hex'));
    const names = Array.from({ length: TOKENS_MAX }, (_, index) => `t${index}`);
    const set = new TokenSet(
      tokenDocument(Object.fromEntries(names.map((name) => [name, { roles: ['read'] }]))).tokens,
      sha256,
    );
    expect(names.filter((name) => set.find(tokenText(name))?.name !== name)).toEqual([]);
    expect([set.find('msc_other'), set.find(''), set.byName('t7')?.name, set.byName('x')]).toEqual([
      null,
      null,
      't7',
      null,
    ]);
  });

  it('takes a difference in one bit of any word for a difference', () => {
    const [token] = tokenDocument({ x: { roles: ['read'] } }).tokens;
    if (token === undefined) throw new Error('no token');
    for (let nibble = 0; nibble < 64; nibble += 1) {
      const changed = (Number.parseInt(token.sha256[nibble] ?? '', 16) ^ 8).toString(16);
      const digest = token.sha256.slice(0, nibble) + changed + token.sha256.slice(nibble + 1);
      expect(new TokenSet([{ ...token, sha256: digest }], sha256).find(tokenText('x'))).toBeNull();
    }
  });
});

describe('tokens of a file', () => {
  const one = tokenDocument({ one: { roles: ['read'] } });
  const two = tokenDocument({ one: { roles: ['read'] }, two: { roles: ['agent'] } });
  let file: TokensFile;
  let now_ms = 0;
  let lines: string[] = [];

  beforeEach(() => {
    file = new TokensFile(one);
    lines = [];
  });

  afterEach(() => file.remove());

  function open(isOptional = false) {
    const say = (line: string) => void lines.push(line);
    const source = tokensFromFile(nodeTokenFile(file.name), isOptional, { info: say, warn: say }, () => now_ms);
    if (!source.ok) throw new Error(source.failure.message);
    return source.value;
  }

  it(`are the same list while nothing changes, and looked at again after ${LIMITS.token_file_look_ms} ms`, () => {
    const source = open();
    const first = source.tokens();
    file.write(two);
    now_ms += LIMITS.token_file_look_ms - 1;
    expect(source.tokens()).toBe(first);
    now_ms += 1;
    expect(source.tokens().map(({ name }) => name)).toEqual(['one', 'two']);
    now_ms += LIMITS.token_file_look_ms;
    expect(source.tokens()).toBe(source.tokens());
    expect(lines).toEqual([`tokens in ${file.name} have changed: there are 2 now`]);
  });

  it('stay when the file breaks, which is told once, and change when it is whole again', () => {
    const source = open();
    for (const content of ['{', '{', '{"version":3}']) {
      file.write(content);
      now_ms += LIMITS.token_file_look_ms;
      expect(source.tokens().map(({ name }) => name)).toEqual(['one']);
      now_ms += LIMITS.token_file_look_ms;
      source.tokens();
    }
    file.write(two);
    now_ms += LIMITS.token_file_look_ms;
    expect(source.tokens()).toHaveLength(2);
    expect(lines).toEqual([
      `tokens in ${file.name}: the token document is not JSON; the tokens read before stay in force`,
      expect.stringContaining('version: '),
      expect.stringContaining('there are 2 now'),
    ]);
  });

  it('end with the file, and begin with it', () => {
    const source = open();
    file.remove();
    now_ms += LIMITS.token_file_look_ms;
    expect(source.tokens()).toEqual([]);
    file = new TokensFile(one);
    const absent = tokensFromFile(nodeTokenFile(`${file.name}.none`), false, SILENT);
    expect(absent).toMatchObject({ ok: false, failure: { code: 'bad_request' } });
    expect(tokensFromFile(nodeTokenFile(`${file.name}.none`), true, SILENT)).toMatchObject({ ok: true });
  });

  it('are not read out of what is no file, or too long for one', () => {
    const source = open();
    const [before] = source.tokens();
    rmSync(file.name);
    mkdirSync(file.name);
    now_ms += LIMITS.token_file_look_ms;
    expect(source.tokens()).toEqual([before]);
    rmSync(file.name, { recursive: true });
    file.write(' '.repeat(LIMITS.token_file_max_bytes + 1));
    now_ms += LIMITS.token_file_look_ms;
    expect(source.tokens()).toEqual([before]);
    expect(lines.map((line) => line.slice(`tokens in ${file.name}: `.length))).toEqual([
      'it is no regular file; the tokens read before stay in force',
      `it is longer than ${LIMITS.token_file_max_bytes} bytes; the tokens read before stay in force`,
    ]);
    file.write(JSON.stringify(two).padEnd(TOKEN_DOCUMENT_MAX_CHARS));
    now_ms += LIMITS.token_file_look_ms;
    expect(source.tokens()).toHaveLength(2);
  });

  it('that are broken at the start are no tokens', () => {
    file.write('{');
    expect(() => open()).toThrow('the token document is not JSON');
    expect(() => open(true)).toThrow('the token document is not JSON');
  });
});

describe('whether a link may stay', () => {
  const agents = (roles: Role[], hosts?: string[], expires_at: string | null = null) =>
    tokenDocument({ a: { roles, expires_at, ...(hosts === undefined ? {} : { hosts }) } }).tokens;
  const past = '2026-01-02T00:00:00.000Z';
  const [before] = agents(['agent'], ['h1']);

  it.each<[string, readonly StoredToken[], boolean]>([
    ['the token is as it was', agents(['agent'], ['h1']), true],
    ['it has another end, still to come', agents(['agent'], ['h1'], '2999-01-01T00:00:00Z'), true],
    ['it is gone', [], false],
    ['it has expired', agents(['agent'], ['h1'], past), false],
    ['it has another role', agents(['read'], ['h1']), false],
    ['it has other hosts', agents(['agent'], ['h2']), false],
    ['it may publish more hosts', agents(['agent'], ['h0', 'h1']), true],
    ['it may publish any host', agents(['agent']), true],
    ['another took its name', [{ ...(before as StoredToken), sha256: 'f'.repeat(64) }], false],
  ])('when %s', (_, after, stays) => {
    let tokens = agents(['agent'], ['h1']);
    const access = createAccess({ token: TOKEN, sha256, anonymous: 'none', tokens: { tokens: () => tokens } });
    const admitted = access.admit('publish', new Headers(bearer('a')));
    if (!admitted.ok) throw new Error(admitted.failure.message);
    expect(access.mayStay(admitted.value)).toBe(true);
    tokens = [...after];
    expect(access.mayStay(admitted.value)).toBe(stays);
  });

  it("the owner's token and a certificate always may", () => {
    const access = createAccess({ token: TOKEN, sha256, anonymous: 'none' });
    const owner = access.admit('publish', new Headers({ authorization: `Bearer ${TOKEN}` }));
    const certificate = access.admit('inspect', new Headers(), 'ada');
    expect([owner, certificate].map((each) => each.ok && access.mayStay(each.value))).toEqual([true, true]);
  });
});
