/** Where a host is: what follows from its name, or what its hello says. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { timestamp } from '../../base/index.ts';
import { CLOSE, type GatewayFrame, type NodePayload } from '../../contract/index.ts';
import type { Link, LinkReceiver } from '../../link/index.ts';
import type { Principal } from '../ports.ts';
import { MeshHub } from './hub.ts';

const ANYWHERE = 'tcp://10.0.0.7:26600';

class Peer implements Link {
  readonly frames: GatewayFrame[] = [];
  code: number | null = null;
  readonly #receiver: LinkReceiver;

  constructor(hub: MeshHub, location: string | undefined, principal: Principal = { name: 'anybody', hosts: null }) {
    this.#receiver = hub.accept(this, { principal, host: 'gpu-7' });
    const incarnation = randomUUID();
    const started_at = timestamp(Date.now());
    this.say({ type: 'hello', version: 1, host: 'gpu-7', incarnation, agent_version: '0', started_at, location });
  }

  send(text: string): void {
    this.frames.push(JSON.parse(text));
  }

  close(code: number): void {
    this.code = code;
  }

  say(frame: unknown): void {
    this.#receiver.receive(JSON.stringify(frame));
  }
}

function hubOf(): MeshHub {
  return new MeshHub({ identity: { started_at: timestamp(0), started_by: 'tester', version: '0' } });
}

function hostAt(location: string): NodePayload {
  const memory = { process_rss_bytes: null, process_vm_size_bytes: null };
  return {
    identity: `host:host_agent.service@${location}`,
    properties: { Host: { addr: 'tcp:10.0.0.7:26600', num_procs: 0, system_children: [], memory } },
    children: [],
    parent: 'root',
    as_of: timestamp(0),
  };
}

it('a host may publish references at the location that its hello names', () => {
  const hub = hubOf();
  const peer = new Peer(hub, ANYWHERE);
  peer.say({ type: 'sync', seq: 1, nodes: [hostAt(ANYWHERE)], more: false });
  expect(peer.code).toBeNull();
  expect(hub.read(hostAt(ANYWHERE).identity)).toMatchObject({ ok: true });
  hub.close();
});

it('and at no other, that of its name included', () => {
  const hub = hubOf();
  const peer = new Peer(hub, ANYWHERE);
  peer.say({ type: 'sync', seq: 1, nodes: [hostAt('ipc://gpu-7')], more: false });
  expect(peer.code).toBe(CLOSE.protocol);
  hub.close();
});

it.each([
  ['none', undefined],
  ['that of its name', 'ipc://gpu-7'],
])('with %s in its hello it is where its name says', (_, location) => {
  const hub = hubOf();
  const peer = new Peer(hub, location);
  peer.say({ type: 'sync', seq: 1, nodes: [hostAt('ipc://gpu-7')], more: false });
  expect([peer.code, hub.counts().hosts]).toEqual([null, 1]);
  hub.close();
});

it.each([
  ['what is no location', 'gpu-7', { name: 'anybody', hosts: null }, 'bad_location'],
  [
    'a location for which a token of certain hosts is not good',
    ANYWHERE,
    { name: 'b', hosts: ['gpu-7'] },
    'location_forbidden',
  ],
])('%s is refused for good', (_, location, principal, code) => {
  const hub = hubOf();
  const peer = new Peer(hub, location, principal);
  expect(peer.frames).toMatchObject([{ type: 'refuse', code, retry: false }]);
  expect(peer.code).toBe(CLOSE.protocol);
  hub.close();
});

it('a part of a gateway that does not keep hosts of that location says so, and not to dial again', () => {
  const hub = hubOf();
  hub.restored((key) => key === 'ipc://gpu-7');
  expect(new Peer(hub, ANYWHERE).frames).toMatchObject([{ type: 'refuse', code: 'location_forbidden', retry: false }]);
  expect(new Peer(hub, undefined).frames).toMatchObject([{ type: 'welcome' }]);
  hub.close();
});
