/** What is served validates: payloads against the served schemas, the schemas and the OpenAPI document in themselves. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRef } from '../../src/contract/index.ts';
import { createJudge } from '../support/json-schema.ts';
import { Peers, type Start } from './start.ts';

type Json = Record<string, unknown>;
const STRUCTURE: { node: Json; admin: Json; error: Json; components: Json } = JSON.parse(
  readFileSync(new URL('../fixtures/schema-structure.json', import.meta.url), 'utf8'),
);

/** What a structural comparison leaves out: free text, and identifiers that only the served document has. */
function structure(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(structure);
  if (typeof json !== 'object' || json === null) return json;
  const kept = Object.entries(json).filter(
    ([key, value]) => !(key === '$id' || (key === 'description' && typeof value === 'string')),
  );
  return Object.fromEntries(
    kept.map(([key, value]) => [
      key,
      key === 'required' && Array.isArray(value) ? [...value].sort() : structure(value),
    ]),
  );
}

export function payloadCases(start: Start): void {
  let peers: Peers;

  beforeAll(async () => {
    peers = new Peers(await start());
    const agent = await peers.dial({
      onCall: ({ call, request }, self) => self.answer(call, self.actor(request.reference)),
    });
    const broken = `broken<ZG3F>@${agent.location}`;
    const [host, ...rest] = agent.mesh();
    if (host === undefined) throw new Error('no host node');
    const error = { identity: broken, properties: { Error: { code: 'not_found', message: 'x' } }, children: [] };
    agent.sync([
      { ...host, children: [...host.children, broken] },
      ...rest,
      { ...error, parent: agent.hostRef, as_of: host.as_of },
    ]);
    await peers.untilCount('hosts', 1);
  });

  afterAll(() => peers.end());

  async function getJson(path: string): Promise<Json> {
    return JSON.parse((await peers.ask('GET', path)).body);
  }

  describe('schemas', () => {
    it.each([
      ['/v1/schema', 'node', 'node_payload'],
      ['/v1/schema/admin', 'admin', 'admin_info'],
      ['/v1/schema/error', 'error', 'error'],
    ] as const)('%s describes the structure that clients know, with a versioned $id (SC-4)', async (path, name, id) => {
      const served = await getJson(path);
      expect(served.$id).toMatch(new RegExp(`/schemas/v1/${id}$`));
      expect(structure(served)).toEqual(structure(STRUCTURE[name]));
    });

    it('every payload validates: root, host, proc, actor and error (SC-3)', async () => {
      const validate = createJudge().compile(await getJson('/v1/schema'));
      const seen = new Set<string>();
      const references = ['root'];
      for (const reference of references) {
        const payload = await getJson(`/v1/${encodeRef(reference)}`);
        expect(validate(payload), `${reference}: ${JSON.stringify(validate.errors)}`).toBe(true);
        seen.add(Object.keys(payload.properties as Json)[0] ?? '');
        references.push(...(payload.children as string[]));
      }
      expect([...seen].sort()).toEqual(['Actor', 'Error', 'Host', 'Proc', 'Root']);
    });

    it('what is not a node does not validate', async () => {
      const validate = createJudge().compile(await getJson('/v1/schema'));
      const root = await getJson('/v1/root');
      const { Root } = root.properties as Json;
      for (const properties of [{}, { Root, Error: { code: '', message: '' } }, { Nothing: Root }, { Root: {} }]) {
        expect(validate({ ...root, properties })).toBe(false);
      }
    });
  });

  describe('the OpenAPI document', () => {
    it('has the components that clients know', async () => {
      const { openapi, components } = (await getJson('/v1/openapi.json')) as {
        openapi: string;
        components: { schemas: Record<string, Json> };
      };
      expect(openapi).toBe('3.1.0');
      for (const [name, schema] of Object.entries(STRUCTURE.components)) {
        expect([name, structure(components.schemas[name])]).toEqual([name, structure(schema)]);
      }
    });

    it('every reference in it resolves, and every component compiles', async () => {
      const document = await getJson('/v1/openapi.json');
      const { schemas } = document.components as { schemas: Record<string, Json> };
      const names = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
        ([, name]) => name,
      );
      expect(names.filter((name) => schemas[name ?? ''] === undefined)).toEqual([]);
      const validator = createJudge();
      validator.addSchema({ $id: 'mesh://openapi', components: document.components });
      for (const name of Object.keys(schemas)) {
        expect(() => validator.compile({ $ref: `mesh://openapi#/components/schemas/${name}` })).not.toThrow();
      }
    });
  });

  describe('the guide', () => {
    it('carries the base under which it was asked for, and names every path', async () => {
      const { body, headers } = await peers.ask('GET', '/SKILL.md', { 'x-forwarded-proto': 'http' });
      expect(headers['content-type']).toBe('text/markdown; charset=utf-8');
      expect(body).not.toContain('{base}');
      const { paths } = (await getJson('/v1/openapi.json')) as { paths: Json };
      for (const path of Object.keys(paths)) expect(body).toContain(`${peers.gateway.url}${path}`);
      for (const text of ['NodePayload', `GET ${peers.gateway.url}/SKILL.md`, '{url_encode(reference)}'])
        expect(body).toContain(text);
    });

    it('tells the truth in its self-test', async () => {
      const [schema, errors] = [await getJson('/v1/schema'), await getJson('/v1/schema/error')];
      const root = await getJson('/v1/root');
      const child = await getJson(`/v1/${encodeRef((root.children as string[])[0] ?? '')}`);
      const missing = await getJson('/v1/nonexistent_ref_xxxx');
      const validate = createJudge().compile(schema);
      expect([schema.$id, errors.$id]).toEqual([expect.stringContaining('v1'), expect.any(String)]);
      expect([validate(root), validate(child), child.parent]).toEqual([true, true, 'root']);
      expect((missing.error as Json).code).toBe('not_found');
      expect(JSON.stringify([schema, errors, root, child, missing])).not.toMatch(
        /PortId|PortRef|MailboxSender|ChannelTransport/,
      );
    });
  });
}
