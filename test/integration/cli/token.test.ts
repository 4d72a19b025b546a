/** `meshscope token`: what it writes, what it refuses, and that running gateways follow. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTokenDocument, TOKENS_MAX, type TokenDocument } from '../../../src/contract/index.ts';
import { sha256 } from '../../../src/edge-gateway/targets/sha256.ts';
import { type Ended, MAIN, runCli, startSite } from '../../support/cli.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { until } from '../../support/until.ts';

let folder: string;
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-token-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function freshFile(): string {
  count += 1;
  return path.join(folder, `tokens-${count}.json`);
}

function read(file: string): TokenDocument {
  const document = readTokenDocument(readFileSync(file, 'utf8'));
  if (!document.ok) throw new Error(document.failure.message);
  return document.value;
}

/** The text of a document of so many tokens. */
function numbered(count: number): string {
  const tokens = Array.from({ length: count }, (_, index) => ({
    name: `t${index}`,
    roles: ['read'],
    created_at: '2026-01-01T00:00:00.000Z',
    expires_at: null,
    sha256: index.toString(16).padStart(64, '0'),
  }));
  return JSON.stringify({ version: 1, tokens });
}

const token = (...args: string[]): Promise<Ended> => runCli(['token', ...args]);

it('create prints the token once, alone on standard output, and keeps its digest only', async () => {
  const file = freshFile();
  const args = ['create', 'gpu-7', '--role', 'agent,read', '--host', 'gpu-7', '--expires', '30d', '--file', file];
  const { code, stdout, stderr } = await token(...args);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^msc_[A-Za-z0-9_-]{43}\n$/);
  expect(stderr).toContain('token "gpu-7" (read, agent) expires at ');
  const text = readFileSync(file, 'utf8');
  expect([text.includes(stdout.trim()), stderr.includes(stdout.trim())]).toEqual([false, false]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const [stored] = read(file).tokens;
  expect(stored).toMatchObject({ name: 'gpu-7', roles: ['read', 'agent'], hosts: ['gpu-7'] });
  expect(stored?.sha256).toBe(sha256(stdout.trim()));
  const { created_at = '', expires_at } = stored ?? {};
  expect(Date.parse(expires_at ?? '') - Date.parse(created_at)).toBe(30 * 86_400_000);
});

it('list shows who there is, without digests; --json for programs', async () => {
  const file = freshFile();
  await token('create', 'one', '--role', 'operate', '--file', file);
  const { tokens } = read(file);
  const [one] = tokens;
  if (one === undefined) throw new Error('no token');
  const old = { ...one, name: 'old', sha256: '0'.repeat(64), expires_at: '2026-01-01T00:00:00.000Z' };
  writeFileSync(file, JSON.stringify({ version: 1, tokens: [one, old] }));
  const shown = await token('list', '--file', file);
  expect(shown.stdout).toMatch(
    /^name +roles +hosts +created +expires\none +operate +- +\S+ +never\nold .*\(expired\)\n$/,
  );
  const json = await token('list', '--json', '--file', file);
  expect(JSON.parse(json.stdout)).toMatchObject([
    { name: 'one', roles: ['operate'], expires_at: null, expired: false },
    { name: 'old', expired: true },
  ]);
  expect(shown.stdout + json.stdout).not.toContain(one.sha256);
});

it('revoke takes a token away, and fails for one that is not there', async () => {
  const file = freshFile();
  await token('create', 'one', '--role', 'read', '--file', file);
  const unknown = await token('revoke', 'two', '--file', file);
  expect([unknown.code, unknown.stderr]).toEqual([
    1,
    `meshscope: there is no token "two" in ${file}; there are: one\n`,
  ]);
  expect((await token('revoke', 'one', '--file', file)).code).toBe(0);
  expect(read(file).tokens).toEqual([]);
});

it('of eight that create at once none is lost, and of two of one name one fails', async () => {
  const file = freshFile();
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'same', 'same'];
  const ended = await Promise.all(names.map((name) => token('create', name, '--role', 'read', '--file', file)));
  expect(ended.filter(({ code }) => code === 1).map(({ stderr }) => stderr)).toEqual([
    expect.stringContaining('there is a token "same" already'),
  ]);
  expect(
    read(file)
      .tokens.map(({ name }) => name)
      .sort(),
  ).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'same']);
});

it('a disk that fills up leaves the file as it was, and no lock', async () => {
  const file = freshFile();
  const before = numbered(20);
  writeFileSync(file, before);
  // Files of this process may have so many blocks of 1,024 bytes: 1 cuts the document short, 0 the lock as well.
  for (const blocks of [1, 0]) {
    const command = `ulimit -f ${blocks}; exec "$0" "$@" 2>&1 | cat`;
    const args = [process.execPath, MAIN, 'token', 'create', 'two', '--role', 'read', '--file', file];
    const { stdout } = spawnSync('bash', ['-c', command, ...args], { encoding: 'utf8' });
    expect(stdout).toMatch(/^meshscope: cannot write .*EFBIG/);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(readdirSync(folder).filter((name) => name.startsWith(`${path.basename(file)}.`))).toEqual([]);
  }
  expect((await token('create', 'two', '--role', 'read', '--file', file)).code).toBe(0);
});

it('the file stays readable for whom it was, a gateway of another user among them', async () => {
  const file = freshFile();
  await token('create', 'one', '--role', 'read', '--file', file);
  chmodSync(file, 0o640);
  // Only root may give files away.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(file, 4711, 4712);
  const access = () => {
    const { mode, uid, gid } = statSync(file);
    return { mode: mode & 0o777, uid, gid };
  };
  const before = access();
  expect((await token('create', 'two', '--role', 'read', '--file', file)).code).toBe(0);
  expect((await token('revoke', 'one', '--file', file)).code).toBe(0);
  expect(access()).toEqual(before);
  if (!isRoot) return;
  const theirs = path.join(folder, 'theirs');
  mkdirSync(theirs);
  chownSync(theirs, 4711, 4712);
  const first = path.join(theirs, 'tokens.json');
  expect((await token('create', 'one', '--role', 'read', '--file', first)).code).toBe(0);
  const { uid, gid, mode } = statSync(first);
  expect([uid, gid, mode & 0o777]).toEqual([4711, 4712, 0o600]);
});

it(`holds ${TOKENS_MAX} tokens, not one more`, async () => {
  const file = freshFile();
  writeFileSync(file, numbered(TOKENS_MAX - 1));
  expect((await token('create', 'last', '--role', 'read', '--file', file)).code).toBe(0);
  const { code, stderr } = await token('create', 'more', '--role', 'read', '--file', file);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`holds ${TOKENS_MAX} tokens`)]);
  expect(read(file).tokens).toHaveLength(TOKENS_MAX);
});

it('a lock that nobody gives back is named, with who holds it', async () => {
  const file = freshFile();
  writeFileSync(`${file}.lock`, '12345\n');
  const { code, stderr } = await token('create', 'x', '--role', 'read', '--file', file);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`${file}.lock is held by process 12345`)]);
});

it('a broken file is left as it is', async () => {
  const file = freshFile();
  writeFileSync(file, '{');
  const { code, stderr } = await token('create', 'x', '--role', 'read', '--file', file);
  expect([code, stderr]).toEqual([1, `meshscope: ${file}: the token document is not JSON\n`]);
  expect(readFileSync(file, 'utf8')).toBe('{');
});

it.each([
  [['create'], 'NAME is missing'],
  [['create', 'x'], '--role is missing'],
  [['create', 'x', '--role', 'admin'], '--role admin: must be one of read, inspect, operate, agent, store'],
  [['create', 'a b', '--role', 'read'], 'token name: letters, digits'],
  [['create', 'x'.repeat(65), '--role', 'read'], '64'],
  [['create', 'owner', '--role', 'read'], 'must not be one of owner, anonymous'],
  [['create', 'x', '--role', 'read', '--host', 'a'], '--host is for the role agent only'],
  [['create', 'x', '--role', 'agent', '--host', '-'], '--host -: host name'],
  [['create', 'x', '--role', 'read', '--expires', '0d'], '--expires 0d: must be like 30m'],
  [['create', 'x', '--role', 'read', '--expires', '3651d'], '--expires 3651d: must be'],
  [['create', 'x', '--role', 'read', '--expires', 'tomorrow'], '--expires tomorrow: must be'],
  [['remove', 'x'], 'token remove x: must be create NAME, list or revoke NAME'],
  [['list', 'x'], 'token list x: must be'],
])('%j is wrong usage', async (args, message) => {
  const { code, stderr } = await token(...args, '--file', freshFile());
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});

it('3,650 days is the longest life', async () => {
  expect((await token('create', 'x', '--role', 'read', '--expires', '3650d', '--file', freshFile())).code).toBe(0);
});

describe('a running gateway', () => {
  it('takes a new token up, ends the link of a revoked one, and keeps its tokens when the file breaks', async () => {
    const site = await startSite(['gateway', '--anonymous', 'none']);
    const file = path.join(site.data, 'tokens.json');
    const create = async (...args: string[]) => (await token('create', ...args, '--data', site.data)).stdout.trim();
    const ask = async (text: string) =>
      (await fetch(`${site.url}/v1/root`, { headers: { authorization: `Bearer ${text}` } })).status;
    // There was no file when it started.
    const reader = await create('reader', '--role', 'read');
    await until(async () => (await ask(reader)) === 200, 'the new token');
    const publisher = await create('publisher', '--role', 'agent');
    await until(async () => (await ask(publisher)) === 403, 'the second token');
    const agent = await FakeAgent.dial({ url: site.url, token: publisher, host: 'revocable' });
    expect(agent.frames('welcome')).toHaveLength(1);
    await token('revoke', 'publisher', '--data', site.data);
    await until(() => agent.closeCode !== null, 'the end of the link');
    expect([agent.closeCode, agent.closeReason]).toEqual([1008, 'token revoked']);
    expect(await ask(publisher)).toBe(401);
    writeFileSync(file, 'broken');
    const says = (pattern: RegExp) =>
      until(async () => (await ask(reader)) === 200 && pattern.test(site.cli.output()), `${pattern}`);
    await says(/tokens in \S+: the token document is not JSON; the tokens read before stay in force/);
    rmSync(file);
    mkdirSync(file);
    await says(/it is no regular file[^\n]*stay in force/);
    rmSync(file, { recursive: true });
    await until(async () => (await ask(reader)) === 401, 'the end of all tokens');
    expect(await ask(site.token)).toBe(200);
    await site.stop();
  });

  it('writes nobody a line of their own into its log', async () => {
    const site = await startSite(['gateway']);
    const forged = 'audit: who="owner" what=query target="x" status=200 ms=1';
    const agent = await FakeAgent.dial({ url: site.url, token: site.token, host: 'forger' });
    agent.send({ type: 'bye', reason: `done\n${forged}\u001b[2K` });
    await site.cli.says(/host forger said bye: done/);
    await until(() => agent.closeCode !== null, 'the end of the link');
    const lines = site.cli.output().split('\n');
    expect(lines.filter((line) => line.startsWith(forged))).toEqual([]);
    expect(lines.find((line) => line.includes('said bye'))).toContain(`done\\u000a${forged}\\u001b[2K`);
    await site.stop();
  });
});
