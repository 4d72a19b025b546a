import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  actorIn,
  encodeBase58,
  encodeRef,
  hostLocation,
  labelError,
  type ProcRef,
  parseActorRef,
  parseNodeRef,
  parseProcRef,
  parseUid,
  refKey,
  renderChannelAddress,
  renderRef,
  stripLabel,
} from '../../src/contract/index.ts';

interface Vector {
  readonly text: string;
  readonly node: { readonly canonical?: string; readonly kind?: string; readonly error?: string };
  readonly proc: { readonly canonical?: string; readonly error?: string };
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../fixtures/reference-vectors.json', import.meta.url), 'utf8'),
);
/** References as a running mesh answered them, with relay hops, socket paths and abstract sockets. */
const RECORDED = [
  'host:host_agent.service<voEC28i71ah>@ipc:///tmp/job/hosts_0',
  'service<voEC28i71ah>@ipc:///tmp/job/hosts_0',
  'local<GUHdHyCL9A3>@ipc:///tmp/job/hosts_0',
  'host:host_agent.service@ipc://@vpY9dlt65csFFjjDFdby7qtZ',
  'anon-2<wmhRX1Yaws7>@anon-2<wmhRX1Yaws7>.ipc:///tmp/job/hosts_0',
  'philosopher<kt1y7bUjFtS>.anon-2<wmhRX1Yaws7>@anon-2<wmhRX1Yaws7>.ipc:///tmp/job/hosts_0',
  'telemetry_hosts-0<gDKvRyYLH4J>@telemetry_hosts-0<gDKvRyYLH4J>.ipc:///tmp/job/hosts_0',
];

describe('the reference grammar', () => {
  it.each(vectors)('reads $text as a node as documented', ({ text, node }) => {
    const read = parseNodeRef(text);
    if (node.error !== undefined) return expect(read).toEqual({ ok: false, error: node.error });
    expect(read.ok && { canonical: renderRef(read.value), kind: read.value.kind }).toEqual(node);
  });

  it.each(vectors)('reads $text as a proc as documented', ({ text, proc }) => {
    const read = parseProcRef(text);
    if (proc.error !== undefined) return expect(read).toEqual({ ok: false, error: proc.error });
    expect(read.ok && { canonical: renderRef(read.value) }).toEqual(proc);
  });

  it.each(RECORDED)('prints %s again as it was (NI-1)', (text) => {
    const read = parseNodeRef(text);
    expect(read.ok && renderRef(read.value)).toBe(text);
  });

  it('takes labels of instances for decoration, and those of singletons for identity', () => {
    const key = (text: string) => {
      const read = parseNodeRef(text);
      return read.ok ? refKey(read.value) : read.error;
    };
    expect(key('w<ZG3F>@inproc://0')).toBe(key('<ZG3F>@inproc://0'));
    expect(key('a<2hTv9>.w<ZG3F>@w<ZG3F>.inproc://0')).toBe(key('b<2hTv9>.x<ZG3F>@<ZG3F>.inproc://0'));
    expect(key('service@inproc://0')).not.toBe(key('local@inproc://0'));
    expect(key('w<ZG3F>@inproc://0')).not.toBe(key('w<ZG3F>@inproc://1'));
    expect(key('host:a.b@inproc://0')).not.toBe(key('a.b@inproc://0'));
  });

  it('normalizes IPv6 literals and keeps host names as they are', () => {
    const print = (text: string) => {
      const read = parseProcRef(text);
      return read.ok ? renderRef(read.value) : read.error;
    };
    expect(print('local@tcp://[0:0:0:0:0:0:0:1]:80')).toBe('local@tcp://[::1]:80');
    expect(print('local@tls://gpu-7.example.com:443')).toBe('local@tls://gpu-7.example.com:443');
    expect(print('local@tcp://host:fd3')).toContain('invalid port: fd3');
    expect(print('local@tcp://a:1@tcp://b:2')).toContain('invalid');
    expect(print('local@tcp://1.2.3.4:65535')).toBe('local@tcp://1.2.3.4:65535');
    expect(print('local@tcp://1.2.3.4:65536')).toContain('invalid port: 65536');
  });

  it('reads the longest label and refuses one that is longer', () => {
    expect(labelError('a'.repeat(63))).toBeNull();
    expect(labelError('a'.repeat(64))).toBe('label exceeds 63 characters');
    expect(labelError('')).toBe('label must not be empty');
  });

  it.each([
    ['My_Service!', 'my_service'],
    ['Hello-World', 'hello-world'],
    ['123abc', 'abc'],
    ['123', 'nil'],
    ['', 'nil'],
    [`${'a'.repeat(62)}--b`, 'a'.repeat(62)],
  ])('makes the label of %j %j', (text, label) => {
    expect(stripLabel(text)).toBe(label);
    expect(labelError(stripLabel(text))).toBeNull();
  });

  it('writes numbers in base 58 over their whole range', () => {
    expect([0n, 1n, 57n, 58n, 0xabc123n, 0xffff_ffff_ffff_ffffn].map(encodeBase58)).toEqual([
      '1',
      '2',
      'Z',
      '21',
      'ZG3F',
      'JPwcyDCgEup',
    ]);
    expect(parseUid('<JPwcyDCgEup>').ok).toBe(true);
    expect(parseUid('<JPwcyDCgEuq>').ok).toBe(false);
  });

  it('names a host so that a person recognizes it', () => {
    const proc: ProcRef = {
      kind: 'proc',
      proc: { kind: 'instance', number: 0xabc123n, label: 'trainer-3' },
      location: hostLocation('gpu-7.example.com'),
    };
    expect(renderRef(proc)).toBe('trainer-3<ZG3F>@ipc://gpu-7.example.com');
    expect(renderChannelAddress(proc.location.url)).toBe('unix:gpu-7.example.com');
    const actor = renderRef(actorIn(proc, { kind: 'singleton', label: 'proc_agent' }));
    expect(parseActorRef(actor).ok && actor).toBe('proc_agent.trainer-3<ZG3F>@ipc://gpu-7.example.com');
  });

  it('escapes everything but the unreserved characters, so that links are the same everywhere', () => {
    expect(encodeRef("a<b>@c://d!'()*~._-")).toBe('a%3Cb%3E%40c%3A%2F%2Fd%21%27%28%29%2A~._-');
  });
});
