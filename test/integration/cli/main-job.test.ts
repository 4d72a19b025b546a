/** The main job, end to end: real Python processes under a real agent, gateway and store, looked at from outside. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRef, type NodePayload, type PySpyResult } from '../../../src/contract/index.ts';
import { checkedFetch } from '../../support/answers.ts';
import { DEMO_FOLDER, demoSpecs, runCli, type Site, startCli, startSite } from '../../support/cli.ts';
import { until } from '../../support/until.ts';

let site: Site;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-mesh-'));
  const file = path.join(folder, 'mesh.json');
  writeFileSync(file, JSON.stringify({ procs: demoSpecs() }));
  site = await startSite(['up', '--file', file, '--name', 'demo-host', '--quiet']);
});

afterAll(async () => {
  const ended = await site.stop();
  rmSync(folder, { recursive: true });
  expect(ended.code).toBe(0);
});

async function procReference(name: string): Promise<string> {
  return (await until(() => site.proc(name), `the proc ${name}`)).identity;
}

async function dump(reference: string): Promise<PySpyResult> {
  const answer = await site.ask(`/v1/pyspy/${encodeRef(reference)}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as PySpyResult;
}

/** Dumps until a frame of that name is seen: an alternating process is not always in its computation. */
function dumpWith(reference: string, frame: string): Promise<PySpyResult> {
  return until(async () => {
    const result = await dump(reference);
    return 'Ok' in result && result.Ok.stack_traces.some((trace) => trace.frames.some(({ name }) => name === frame))
      ? result
      : null;
  }, `a stack with ${frame}`);
}

async function profile(reference: string, duration_s: number): Promise<string> {
  const answer = await site.ask(`/v1/pyspy_profile_svg/${encodeRef(reference)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ duration_s, rate_hz: 100, native: false, threads: false, nonblocking: false }),
  });
  const text = await answer.text();
  expect([answer.status, answer.headers.get('content-type')], text).toEqual([200, 'image/svg+xml']);
  return text;
}

/** Fails when the text is not well-formed XML with an svg element at its root, which is what a browser asks of it. */
function expectDrawable(svg: string): void {
  const script =
    'import sys, xml.dom.minidom as m; print(m.parseString(sys.stdin.buffer.read()).documentElement.tagName)';
  expect(execFileSync('python3', ['-c', script], { input: svg, encoding: 'utf8' }).trim()).toBe('svg');
}

async function storeDump(reference: string): Promise<string> {
  const answer = await site.ask(`/v1/pyspy_dump/${encodeRef(reference)}`, { method: 'POST', body: 'null' });
  const body = (await answer.json()) as { dump_id: string };
  expect(answer.status, JSON.stringify(body)).toBe(200);
  return body.dump_id;
}

describe('a walk', () => {
  it('from root through every child resolves everything, and each payload fits /v1/schema (SC-3, NI-1, NI-2)', async () => {
    await procReference('busy');
    await until(
      async () => (await site.node('host:host_agent.service@ipc://demo-host')).children.length >= 8,
      'the two children of the proc parent',
    );
    const schema = await (await site.ask('/v1/schema')).json();
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema as object);
    const seen = new Map<string, NodePayload>();
    const visit = async (reference: string, parent: string | null): Promise<void> => {
      const node = await site.node(reference);
      expect(validate(node), JSON.stringify(validate.errors)).toBe(true);
      expect(node.identity).toBe(reference);
      expect(node.parent).toBe(parent);
      seen.set(reference, node);
      for (const child of node.children) await visit(child, reference);
    };
    await visit('root', null);
    const variants = [...seen.values()].map((node) => Object.keys(node.properties)[0]);
    expect(new Set(variants)).toEqual(new Set(['Root', 'Host', 'Proc', 'Actor']));
  });

  it('by "meshscope diagnose" passes in all its checks', async () => {
    const { code, stdout } = await runCli(['diagnose', '--json'], site.env);
    const report = JSON.parse(stdout);
    expect(report.self_test.filter((point: { problem: unknown }) => point.problem !== null)).toEqual([]);
    const [, points = ''] = (await (await site.ask('/SKILL.md')).text()).split('## Self-test');
    expect(report.self_test).toHaveLength(points.match(/^\d+\. /gm)?.length ?? 0);
    expect(report.self_test).not.toHaveLength(0);
    expect(report.summary).toMatchObject({ failed: 0, healthy: true });
    expect(code).toBe(0);
  });
});

describe('stacks', () => {
  it.each([
    ['busy', '_cpu_burn_loop'],
    ['blocked', 'do_blocking_work'],
    ['alternating', 'do_cpu_work'],
  ])('of the %s proc show %s', async (name, frame) => {
    const result = await dumpWith(await procReference(name), frame);
    expect('Ok' in result && result.Ok.capture_mode).toBe('native');
  });

  it('of a process that was found by its parent show what it does', async () => {
    const child = await until(async () => {
      const host = await site.node('host:host_agent.service@ipc://demo-host');
      return host.children.find((reference) => /^parent-\d+</.test(reference));
    }, 'a child of the proc parent');
    const node = await site.node(child);
    expect(node.properties).toMatchObject({
      Proc: { process: { origin: 'child', parent_proc: await procReference('parent') } },
    });
    expect(await until(async () => 'Ok' in (await dump(child)), 'a stack of the child')).toBe(true);
  });

  it('come as a flame graph that can be drawn', async () => {
    const svg = await profile(await procReference('busy'), 1);
    expectDrawable(svg);
    expect(svg).toContain('_cpu_burn_loop');
  });

  it('are stored under a dump_id whose rows a query returns (MIT-67)', async () => {
    const reference = await procReference('busy');
    const dump_id = await storeDump(reference);
    const [row] = await site.query(`select proc_ref, capture_mode from pyspy_dumps where dump_id = '${dump_id}'`);
    expect(row).toEqual({ proc_ref: reference, capture_mode: 'native' });
    const frames = await site.query(
      `select name from pyspy_frames where dump_id = '${dump_id}' order by thread_id, frame_depth`,
    );
    expect(frames.map((frame) => frame.name)).toContain('process_batch');
  });

  it('by name on the command line', async () => {
    const { code, stdout } = await runCli(['stack', 'blo'], site.env);
    expect(stdout).toContain('do_blocking_work');
    expect(code).toBe(0);
  });
});

describe('a failure', () => {
  it('is visible with its traceback, in the node, the tree and the store', async () => {
    const failed = await until(async () => {
      const proc = await site.proc('failing');
      const actor = proc?.children.find((reference) => reference.startsWith('failing<'));
      const node = actor === undefined ? null : await site.node(actor);
      return node !== null && 'Actor' in node.properties && node.properties.Actor.failure_info !== null ? node : null;
    }, 'the failure');
    const { actor_status, failure_info } = (
      failed.properties as { Actor: { actor_status: string; failure_info: object } }
    ).Actor;
    expect(actor_status).toBe('failed: process exited with code 1');
    expect(failure_info).toMatchObject({ error_message: expect.stringContaining('Traceback (most recent call last)') });
    const why = await runCli(['why', 'failing'], site.env);
    expect([why.code, why.stdout]).toEqual([1, expect.stringContaining('Traceback (most recent call last)')]);
    const { stdout } = await runCli(['tree'], site.env);
    expect(stdout).toMatch(/failing\s+failed: process exited with code 1/);
    const rows = await until(async () => {
      const found = await site.query(
        "select reason from actor_status_events e join actors a on a.id = e.actor_id where new_status = 'Failed'",
      );
      return found.length > 0 && found;
    }, 'the status row');
    expect(rows).toEqual([{ reason: 'process exited with code 1' }]);
  });
});

describe('a process that is already running', () => {
  it('is found by --watch, dumped, profiled and stored, and not touched', async () => {
    const script = path.join(folder, `train_${process.pid}.py`);
    writeFileSync(
      script,
      `import sys\nsys.path.insert(0, ${JSON.stringify(DEMO_FOLDER)})\nimport busy\nbusy.work_forever()\n`,
    );
    const job = spawn('python3', [script], { stdio: 'ignore' });
    const watch = ['--name', 'watcher', '--watch', script];
    const agent = startCli(['agent', '--gateway', site.url, '--data', site.data, ...watch]);
    try {
      const name = `train_${process.pid}-${job.pid}`;
      const reference = await until(
        async () =>
          (await site.node('host:host_agent.service@ipc://watcher').catch(() => null))?.children.find((child) =>
            child.startsWith(name),
          ),
        'the watched proc',
      );
      await dumpWith(reference, '_cpu_burn_loop');
      expectDrawable(await profile(reference, 1));
      const dump_id = await storeDump(reference);
      const rows = await site.query(`select proc_ref from pyspy_dumps where dump_id = '${dump_id}'`);
      expect(rows).toEqual([{ proc_ref: reference }]);
      expect((await site.node(reference)).properties).toMatchObject({
        Proc: { process: { origin: 'watched', pid: job.pid } },
      });
      agent.signal('SIGTERM');
      await agent.ended;
      expect(job.exitCode).toBeNull();
      expect((await site.ask(`/v1/${encodeRef(reference)}`)).status).toBe(404);
    } finally {
      agent.signal('SIGTERM');
      await agent.ended;
      job.kill('SIGKILL');
      await once(job, 'exit');
    }
  });
});

describe('the data folder', () => {
  it('is for its owner alone, and so is the token', () => {
    expect(statSync(site.data).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(site.data, 'token')).mode & 0o777).toBe(0o600);
  });
});

describe('reading without a token', () => {
  it('is allowed for the topology on loopback, and not for stacks and SQL', async () => {
    const reference = await procReference('busy');
    expect((await checkedFetch(`${site.url}/v1/root`)).status).toBe(200);
    expect((await checkedFetch(`${site.url}/v1/${encodeRef(reference)}`)).status).toBe(200);
    expect((await checkedFetch(`${site.url}/v1/pyspy/${encodeRef(reference)}`)).status).toBe(401);
    expect((await checkedFetch(`${site.url}/v1/query`, { method: 'POST' })).status).toBe(401);
  });
});
