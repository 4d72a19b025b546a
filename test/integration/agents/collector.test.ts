import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBatch } from '../../../src/contract/index.ts';
import { type Collector, startCollector } from '../../../src/node-agents/collector/collector.ts';
import { removeStale, SOCKET_PATH_MAX_BYTES } from '../../../src/node-agents/collector/socket-place.ts';
import { EventClient } from '../../../src/node-agents/index.ts';
import { LIMITS } from '../../../src/node-agents/limits.ts';
import { encodeRows } from '../../../src/node-agents/producer/batch-code.ts';
import { Spool } from '../../../src/node-agents/spool/spool.ts';
import { rowsOf } from '../../support/batches.ts';
import { until } from '../../support/until.ts';

let folder: string;
let spool: Spool;
let sent: EventBatch[];
let collector: Collector;
const open: Socket[] = [];
const clients: EventClient[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-collector-'));
  sent = [];
  spool = new Spool({
    send(batch) {
      sent.push(batch);
      queueMicrotask(() => spool.acknowledge(batch.producer, batch.seq));
      return true;
    },
  });
  spool.linkOpened();
  collector = await listen();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close(0);
  for (const socket of open.splice(0)) socket.destroy();
  await collector.close();
  await spool.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listen(ready: Promise<unknown> = Promise.resolve()): Promise<Collector> {
  const started = await startCollector({ spool, ready, socket_path: path.join(folder, 't.sock') });
  if (!started.ok) throw new Error(started.failure.message);
  return started.value;
}

interface Peer {
  readonly socket: Socket;
  readonly answers: Record<string, Record<string, unknown>>[];
  readonly send: (line: unknown) => void;
  isEnded: boolean;
}

async function connect(): Promise<Peer> {
  const socket = createConnection(collector.socket_path);
  open.push(socket);
  const answers: Peer['answers'] = [];
  const peer: Peer = {
    socket,
    answers,
    isEnded: false,
    send: (line) => socket.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`),
  };
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    answers.push(...lines.map((line) => JSON.parse(line)));
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    peer.isEnded = true;
  });
  await once(socket, 'connect');
  return peer;
}

const PRODUCER = randomUUID();
const encoded = await encodeRows({ snapshots: [['s', 1]] });
const PACKED = encoded.ok ? encoded.value : '';

function batch(seq: number, change: Record<string, unknown> = {}): Record<string, unknown> {
  return { producer: PRODUCER, seq, lost_rows: 0, tables: { snapshots: [[`s${seq}`, seq]] }, ...change };
}

describe('a proc at the collector', () => {
  it('has each batch acknowledged in its turn, as rows or as columns', async () => {
    const peer = await connect();
    const packed = await encodeRows({ snapshots: [['s2', 2]] });
    if (!packed.ok) throw new Error(packed.failure.message);
    peer.send(batch(1));
    peer.send(batch(2, { tables: undefined, packed: packed.value, source: 'train.py' }));
    peer.send(batch(3, { tables: {}, lost_rows: 5 }));
    await until(() => peer.answers.length === 3, 'three answers');
    expect(peer.answers).toEqual([1, 2, 3].map((seq) => ({ ack: { producer: PRODUCER, seq } })));
    expect(sent.map(rowsOf)).toEqual([{ snapshots: [['s1', 1]] }, { snapshots: [['s2', 2]] }, {}]);
    expect(sent.map(({ seq, source, lost_rows }) => [seq, source, lost_rows])).toEqual([
      [1, undefined, 0],
      [2, 'train.py', 0],
      [3, undefined, 5],
    ]);
  });

  it('may send again what it is not sure of: it is acknowledged, and kept once', async () => {
    const peer = await connect();
    for (const seq of [1, 2, 1, 2, 2]) peer.send(batch(seq));
    await until(() => peer.answers.length === 5, 'five answers');
    expect(sent.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(collector.counts).toMatchObject({ batches: 2, repeated_batches: 3 });
  });

  it('may end its side and still have its answers', async () => {
    const peer = await connect();
    peer.socket.end(`${JSON.stringify(batch(1))}\n${JSON.stringify(batch(2))}\n{"producer":`);
    await until(() => peer.isEnded, 'the end');
    expect(peer.answers.map(({ ack }) => ack?.seq)).toEqual([1, 2]);
  });

  it('is not answered before it is known what dead agents left', async () => {
    await collector.close();
    let ready = (): void => {};
    collector = await listen(
      new Promise<void>((resolve) => {
        ready = resolve;
      }),
    );
    const peer = await connect();
    peer.send(batch(1));
    const other = await connect();
    expect([peer.answers.length, other.answers.length, sent.length]).toEqual([0, 0, 0]);
    ready();
    await until(() => peer.answers.length === 1, 'an answer');
  });

  it.each([
    ['no JSON', 'so it goes', 'bad_request', 'not JSON: "so it goes"'],
    ['no object', 'null', 'bad_request', 'Expected Object'],
    ['a producer that is none', batch(2, { producer: 'me' }), 'bad_request', 'producer: '],
    ['number 0', batch(0), 'bad_request', 'seq: '],
    ['an unknown table', batch(2, { tables: { nothing: [[1]] } }), 'bad_request', 'tables.nothing: no such table'],
    ['too few values', batch(2, { tables: { snapshots: [['s']] } }), 'bad_request', '1 values for 2 columns'],
    [
      'a value that does not fit',
      batch(2, { tables: { snapshots: [['s', 1.5]] } }),
      'bad_request',
      'snapshot_ts: 1.5 is not i64',
    ],
    ['no rows', batch(2, { tables: { snapshots: [] } }), 'bad_request', 'the batch is empty'],
    ['neither form', batch(2, { tables: undefined }), 'bad_request', 'either tables or packed'],
    ['both forms', batch(2, { packed: 'AAAA' }), 'bad_request', 'either tables or packed'],
    [
      'what is not compressed',
      batch(2, { tables: undefined, packed: 'AAAA' }),
      'bad_request',
      'packed: not base64 of zstd',
    ],
    [
      'what is base64 but for a blank, which the store would not take',
      batch(2, { tables: undefined, packed: ` ${PACKED}` }),
      'bad_request',
      'packed: not base64',
    ],
    [
      'a line that is too long',
      'x'.repeat(LIMITS.collector_line_max_bytes + 1),
      'payload_too_large',
      'a line is longer than',
    ],
  ])('has its connection ended for %s, and nothing else', async (_, line, code, message) => {
    const [peer, other] = await Promise.all([connect(), connect()]);
    peer.send(batch(1));
    peer.send(line);
    peer.send(batch(9));
    await until(() => peer.isEnded, 'the end of the connection');
    expect(peer.answers).toEqual([
      { ack: { producer: PRODUCER, seq: 1 } },
      { error: { code, message: expect.stringContaining(message) } },
    ]);
    other.send(batch(2));
    await until(() => other.answers.length === 1, 'an answer of another');
    const later = await connect();
    later.send(batch(3));
    await until(() => later.answers.length === 1, 'an answer of a later one');
    expect(sent.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(collector.counts.refused_lines).toBe(1);
  });

  it('may send a line of exactly the longest length', async () => {
    const peer = await connect();
    const bare = JSON.stringify(batch(1, { tables: { snapshots: [['', 1]] } })).length;
    const text = 'x'.repeat(LIMITS.collector_line_max_bytes - bare);
    peer.send(batch(1, { tables: { snapshots: [[text, 1]] } }));
    await until(() => peer.answers.length === 1, 'an answer');
    expect(peer.answers).toEqual([{ ack: { producer: PRODUCER, seq: 1 } }]);
    expect(rowsOf(sent[0] as EventBatch).snapshots?.[0]?.[0]).toBe(text);
  });

  it('has to come later when there are as many connections as may be, and gets in when one has ended', async () => {
    const peers = await Promise.all(Array.from({ length: LIMITS.collector_connections_max }, () => connect()));
    peers.at(-1)?.send(batch(1));
    await until(() => peers.at(-1)?.answers.length === 1, 'an answer to the last');
    const surplus = await connect();
    await until(() => surplus.isEnded, 'the end of the surplus one');
    expect(surplus.answers).toEqual([
      { error: { code: 'service_unavailable', message: expect.stringContaining('64 connections') } },
    ]);
    peers[0]?.socket.destroy();
    await until(() => collector.counts.connections < LIMITS.collector_connections_max, 'room');
    const next = await connect();
    next.send(batch(2));
    await until(() => next.answers.length === 1, 'an answer to the next');
    expect(next.answers[0]).toHaveProperty('ack');
  });

  it('has to come later when too many bytes are on their way', async () => {
    const part = 'x'.repeat(LIMITS.collector_line_max_bytes);
    const count = LIMITS.collector_waiting_max_bytes / LIMITS.collector_line_max_bytes;
    const peers = await Promise.all(Array.from({ length: count }, () => connect()));
    await Promise.all(peers.map(({ socket }) => new Promise((resolve) => socket.write(part, resolve))));
    const surplus = await connect();
    surplus.socket.write(part);
    const all = [...peers, surplus];
    await until(() => all.some(({ isEnded }) => isEnded), 'the end of one');
    const [ended] = all.filter(({ isEnded }) => isEnded);
    expect(ended?.answers).toEqual([
      { error: { code: 'service_unavailable', message: expect.stringContaining('too many lines') } },
    ]);
  });
});

describe('the socket', () => {
  it('is for its owner alone, and gone when the collector is', async () => {
    expect(statSync(collector.socket_path).mode & 0o777).toBe(0o600);
    await collector.close();
    expect(existsSync(collector.socket_path)).toBe(false);
    const own = await startCollector({ spool, ready: Promise.resolve() });
    if (!own.ok) throw new Error(own.failure.message);
    const place = path.dirname(own.value.socket_path);
    expect(statSync(place).mode & 0o777).toBe(0o700);
    expect(Buffer.byteLength(own.value.socket_path)).toBeLessThanOrEqual(SOCKET_PATH_MAX_BYTES);
    await own.value.close();
    expect(existsSync(place)).toBe(false);
    collector = await listen();
  });

  it('that a dead agent left is replaced', async () => {
    const stale = path.join(folder, 'stale.sock');
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(stale)}, () => console.log('up'))`,
    ]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(existsSync(stale)).toBe(true);
    const started = await startCollector({ spool, ready: Promise.resolve(), socket_path: stale });
    expect(started.ok).toBe(true);
    if (started.ok) await started.value.close();
  });

  it('that a killed agent left among temporary files is removed with its folder, and nothing that lives or is new', async () => {
    const parent = path.join(folder, 'tmp');
    mkdirSync(parent);
    const names = ['dead', 'alive', 'empty-old', 'empty-new', 'with-more', 'dead-new'].map(
      (name) => `meshscope-agent-${name}`,
    );
    const [dead = '', alive = '', old = '', , more = '', fresh = ''] = names.map((name) => path.join(parent, name));
    for (const name of names) mkdirSync(path.join(parent, name));
    const child = spawn(process.execPath, [
      '-e',
      `let left = process.argv.length - 1;
       for (const at of process.argv.slice(1)) {
         require('net').createServer().listen(at, () => --left === 0 && console.log('up'));
       }`,
      ...[dead, more, fresh].map((each) => path.join(each, 'telemetry.sock')),
    ]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    writeFileSync(path.join(more, 'precious'), '');
    const living = await startCollector({
      spool,
      ready: Promise.resolve(),
      socket_path: path.join(alive, 'telemetry.sock'),
    });
    for (const each of [dead, alive, old, more]) utimesSync(each, 1, 1);
    await removeStale(parent);
    expect(readdirSync(parent).map((name) => name.replace('meshscope-agent-', ''))).toEqual([
      'alive',
      'dead-new',
      'empty-new',
      'with-more',
    ]);
    expect(readdirSync(more)).toEqual(['precious']);
    expect(existsSync(path.join(alive, 'telemetry.sock'))).toBe(true);
    if (living.ok) await living.value.close();
  });

  it('is refused with its reason where temporary files cannot be made, and nothing is left where its path is too long', async () => {
    const { TMPDIR } = process.env;
    try {
      process.env.TMPDIR = path.join(folder, 'not', 'there');
      expect(await startCollector({ spool, ready: Promise.resolve() })).toMatchObject({
        ok: false,
        failure: { code: 'service_unavailable', message: expect.stringContaining('ENOENT') },
      });
      const long = path.join(folder, 'x'.repeat(100));
      mkdirSync(long);
      process.env.TMPDIR = long;
      expect(await startCollector({ spool, ready: Promise.resolve() })).toMatchObject({
        ok: false,
        failure: { code: 'bad_request' },
      });
      expect(readdirSync(long)).toEqual([]);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
    }
  });

  it('goes to one of two that find that of a dead agent at the same time', async () => {
    const stale = path.join(folder, 'stale.sock');
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(stale)}, () => console.log('up'))`,
    ]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const both = await Promise.all(
      [1, 2].map(() => startCollector({ spool, ready: Promise.resolve(), socket_path: stale })),
    );
    expect(both.filter(({ ok }) => ok)).toHaveLength(1);
    expect(existsSync(stale)).toBe(true);
    for (const each of both) if (each.ok) await each.value.close();
  });

  it('of a living agent is left alone, as is a file that is no socket', async () => {
    const second = await startCollector({ spool, ready: Promise.resolve(), socket_path: collector.socket_path });
    expect(second).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    const file = path.join(folder, 'file');
    writeFileSync(file, 'precious');
    const third = await startCollector({ spool, ready: Promise.resolve(), socket_path: file });
    expect(third).toMatchObject({ ok: false, failure: { code: 'bad_request' } });
    expect(readFileSync(file, 'utf8')).toBe('precious');
    const peer = await connect();
    peer.send(batch(1));
    await until(() => peer.answers.length === 1, 'an answer of the first');
  });

  it('has a path of at most 107 bytes', async () => {
    const at = (length: number): string => path.join(folder, 'x'.repeat(length - folder.length - 1));
    const fits = await startCollector({ spool, ready: Promise.resolve(), socket_path: at(SOCKET_PATH_MAX_BYTES) });
    expect(fits.ok).toBe(true);
    if (fits.ok) await fits.value.close();
    const over = await startCollector({ spool, ready: Promise.resolve(), socket_path: at(SOCKET_PATH_MAX_BYTES + 1) });
    expect(over).toMatchObject({
      ok: false,
      failure: { code: 'bad_request', message: expect.stringContaining('108 bytes') },
    });
  });
});

function client(options: Partial<ConstructorParameters<typeof EventClient>[0]> = {}): EventClient {
  const made = new EventClient({ socket_path: collector.socket_path, source: 'a test', ...options });
  clients.push(made);
  return made;
}

describe('the client', () => {
  it('sends rows ahead of their acknowledgements, and knows when all are safe', async () => {
    const rows = LIMITS.batch_rows * 30;
    const told: number[] = [];
    const sender = client({ onAcked: (_, count) => told.push(count) });
    for (let row = 0; row < rows; row += 1) sender.emit('snapshots', [`s${row}`, row]);
    expect(await sender.flush(10_000)).toBe(true);
    expect([sender.ackedRows, sender.waitingRows, sender.lostRows]).toEqual([rows, 0, 0]);
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(rows);
    await until(() => spool.waiting.batches === 0, 'all sent');
    const values = sent.flatMap((each) => rowsOf(each).snapshots ?? []).map(([, row]) => row);
    expect(values).toEqual(Array.from({ length: rows }, (_, row) => row));
  });

  it('connects anew when the collector was away, and sends again what was not acknowledged', async () => {
    const troubles: string[] = [];
    await collector.close();
    const sender = client({ onTrouble: (message) => troubles.push(message) });
    sender.emit('snapshots', ['s', 1]);
    expect(await sender.flush(50)).toBe(false);
    await until(() => troubles.length > 0, 'a warning');
    collector = await listen();
    expect(await sender.flush(10_000)).toBe(true);
    await collector.close();
    collector = await listen();
    sender.emit('snapshots', ['s', 2]);
    expect(await sender.flush(10_000)).toBe(true);
    expect(sent.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(troubles[0]).toMatch(/ENOENT/);
  });

  it('drops and counts a batch that is refused for good, and goes on', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(`${JSON.stringify({ error: { code: 'bad_request', message: 'no' } })}\n`));
    });
    const socket_path = path.join(folder, 'strict.sock');
    server.listen(socket_path);
    await once(server, 'listening');
    const sender = client({ socket_path });
    sender.emit('snapshots', ['s', 1]);
    await until(() => sender.lostRows === 1, 'a loss');
    server.close();
    await once(server, 'close');
    collector = await (async () => {
      await collector.close();
      const started = await startCollector({ spool, ready: Promise.resolve(), socket_path });
      if (!started.ok) throw new Error(started.failure.message);
      return started.value;
    })();
    sender.emit('snapshots', ['s', 2]);
    expect(await sender.flush(10_000)).toBe(true);
    expect(sent.map(({ seq, lost_rows }) => [seq, lost_rows])).toEqual([[2, 1]]);
  });

  it('comes back less and less often while there is no room for it, and says why once', async () => {
    const server = createServer();
    const times_ms: number[] = [];
    server.on('connection', (socket) => {
      times_ms.push(performance.now());
      socket.on('error', () => {});
      const error = { code: 'service_unavailable', message: 'no room' };
      socket.once('data', () => socket.end(`${JSON.stringify({ error })}\n`));
    });
    const socket_path = path.join(folder, 'full.sock');
    server.listen(socket_path);
    await once(server, 'listening');
    const troubles: string[] = [];
    const sender = client({ socket_path, onTrouble: (message) => troubles.push(message) });
    sender.emit('snapshots', ['s', 1]);
    await until(() => times_ms.length === 5, 'five connections');
    const [first = 0, , , , last = 0] = times_ms;
    // 50, 100, 200 and 400 ms.
    expect(last - first).toBeGreaterThan(LIMITS.client_retry_first_ms * 14);
    expect([troubles, sender.lostRows]).toEqual([['no room'], 0]);
    await sender.close(0);
    server.close();
  });

  it('cannot be had without a path', () => {
    expect(() => client({ socket_path: '' })).toThrow('socket_path: empty');
  });

  it('keeps so many rows while nobody takes them, and never blocks', async () => {
    await collector.close();
    const sender = client();
    const window = LIMITS.client_window_batches * LIMITS.batch_rows_max;
    const rows = LIMITS.pending_rows_max * 2 + window;
    for (let row = 0; row < rows; row += 1) sender.emit('snapshots', ['s', row]);
    expect(sender.lostRows).toBe(rows - LIMITS.pending_rows_max);
    collector = await listen();
    expect(await sender.flush(20_000)).toBe(true);
    await until(() => spool.waiting.batches === 0, 'all sent');
    expect(sent.reduce((sum, { lost_rows }) => sum + lost_rows, 0)).toBe(sender.lostRows);
    expect(sender.ackedRows).toBe(LIMITS.pending_rows_max);
  });
});

it('takes the example for Python as it stands in the docs', async () => {
  const file = fileURLToPath(new URL('../../../examples/telemetry/train.py', import.meta.url));
  const docs = readFileSync(fileURLToPath(new URL('../../../docs/producers.md', import.meta.url)), 'utf8');
  expect(docs).toContain(readFileSync(file, 'utf8').trim());
  const env = { ...process.env, MESHSCOPE_TELEMETRY_SOCKET: collector.socket_path };
  await promisify(execFile)('python3', [file], { env });
  expect(sent.map(({ source }) => source)).toEqual(['train.py', 'train.py', 'train.py']);
  expect(sent.flatMap((each) => rowsOf(each).metric_gauges ?? []).map((row) => [row[0], row[5], row[7]])).toEqual([
    ['train.loss', '{"step": 0}', 1],
    ['train.loss', '{"step": 1}', 0.5],
    ['train.loss', '{"step": 2}', 1 / 3],
  ]);
});
