/** Stored dumps at the command line: real processes, real py-spy, read back through SQL alone. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/cli/limits.ts';
import { encodeRef } from '../../../src/contract/index.ts';
import { runCli, type Site, startSite } from '../../support/cli.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { until } from '../../support/until.ts';

/** Two threads: `still` never moves; the other changes functions when its file of orders does. */
const SCRIPT = `
import os, sys, threading, time
order = sys.argv[1]
def wait_for(text):
    while open(order).read() != text: time.sleep(0.02)
def first_step(secret):
    wait_for('second')
def second_step():
    wait_for('never')
def moving():
    first_step('marker-' + 'in-a-local')
    second_step()
def still():
    threading.Event().wait()
threading.Thread(target=still, name='still', daemon=True).start()
threading.Thread(target=moving, name='moving', daemon=True).start()
time.sleep(100000)
`;

let site: Site;
let folder: string;
let order: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-dumps-'));
  const [script, file] = [path.join(folder, 'steps.py'), path.join(folder, 'mesh.json')];
  order = path.join(folder, 'order');
  writeFileSync(script, SCRIPT);
  writeFileSync(order, 'first');
  const command = ['python3', script, order];
  const procs = [
    { name: 'stepper', command },
    { name: 'stepper-other', command: [...command.slice(0, 2), order] },
    { name: 'plain', command: ['sleep', '100000'] },
    { name: 'over', command: ['false'] },
  ];
  writeFileSync(file, JSON.stringify({ procs }));
  site = await startSite(['up', '--file', file, '--name', 'dump-host', '--quiet']);
  for (const name of ['stepper', 'stepper-other']) {
    await until(async () => (await cli('stack', name)).stdout.includes('first_step'), `${name} at its first step`);
  }
});

afterAll(async () => {
  // Whatever became of the start, the folder goes.
  await site?.stop();
  rmSync(folder, { recursive: true });
});

const cli = (...args: string[]) => runCli(args, site.env);

/** Stores a dump; gives its id. */
async function stored(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli('dump', ...args, '--quiet');
  expect([code, stderr]).toEqual([0, '']);
  return stdout.trim();
}

/** A dump that shows both threads where they stay. */
async function settled(proc: string, step: string): Promise<string> {
  return until(async () => {
    const id = await stored(proc);
    const { stdout } = await cli('dump', 'show', id);
    return stdout.includes(step) && stdout.includes('still') ? id : null;
  }, `a dump of ${proc} with ${step}`);
}

/** Lines of the functions alone: what sleeps and wakes moves by a line or a library call between two looks. */
const functionsOf = (text: string) => [...text.matchAll(/(\w+) \([^)]*steps\.py/g)].map(([, name]) => name);

describe('meshscope dump PROC', () => {
  it('stores the stacks and shows them, with the id', async () => {
    const { code, stdout } = await cli('dump', 'stepper');
    expect(code).toBe(0);
    const [, id = ''] = /^dump ([0-9a-f-]{36}) of stepper<\w+>@/.exec(stdout) ?? [];
    expect(stdout).toMatch(/^stored \d{4}-.*, \d+s ago$/m);
    expect(stdout).toMatch(/^pid \d+, \d+ threads \(native\)$/m);
    expect(stdout).toContain('warning: --native-all unsupported by this py-spy');
    expect(await site.query(`select proc_ref from pyspy_dumps where dump_id = '${id}'`)).toHaveLength(1);
  });

  it('with --quiet is its id alone, with --json what the gateway answered', async () => {
    expect(await stored('stepper')).toMatch(/^[0-9a-f-]{36}$/);
    const { stdout } = await cli('dump', 'stepper', '--json');
    expect(JSON.parse(stdout)).toEqual({ dump_id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  });

  it('of what is no Python process fails with what py-spy said, and nothing is stored', async () => {
    const count = async () =>
      (await site.query(`select count(*) n from pyspy_dumps where starts_with(proc_ref, 'plain')`))[0];
    const { code, stdout, stderr } = await cli('dump', 'plain');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/py-spy .*process \d+/);
    expect(stderr).toMatch(/no Python was found in process \d+ \(\w+\)\n$/);
    expect(await count()).toEqual({ n: 0 });
  });

  it('of what has ended says so, as a live stack does, and what tells more', async () => {
    await until(async () => (await cli('why', 'over')).code === 1, 'the end of the proc');
    for (const action of ['dump', 'stack']) {
      const { code, stdout, stderr } = await cli(action, 'over');
      expect([code, stdout, stderr]).toEqual([
        1,
        '',
        'meshscope: no process to look at: it has ended: process exited with code 1; "meshscope why over" tells more\n',
      ]);
    }
  });

  it.each([
    [['dump', 'show'], 'ID is missing'],
    [['dump', 'diff', 'x'], 'ID is missing'],
    [['dump', 'show', 'x', 'y'], 'one argument too many'],
    [['dump', 'stepper', 'x'], 'one argument too many'],
    [['dump', 'show', 'x', '--locals'], '--locals goes with'],
    [['dump', 'diff', 'x', 'y', '--quiet'], '--quiet goes with'],
    [['dumps', '--limit', '0'], '--limit 0'],
    [['dumps', '--limit', '1001'], '--limit 1001'],
  ])('%j is wrong usage', async (args, text) => {
    const { code, stderr } = await cli(...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
  });
});

describe('meshscope dump show ID', () => {
  it('is the live stack again, below whose and of when it is', async () => {
    const id = await settled('stepper', 'first_step');
    const live = await until(async () => {
      const { stdout } = await cli('stack', 'stepper');
      return functionsOf(stdout).includes('wait_for') ? stdout : null;
    }, 'a live stack in the same place');
    const shown = (await cli('dump', 'show', id)).stdout;
    const body = shown.slice(shown.indexOf('\n\n') + 2);
    const threads = (text: string) => text.match(/^Thread \S+/gm);
    expect(body.split('\n')[0]).toBe(live.split('\n')[0]);
    expect(threads(body)?.sort()).toEqual(threads(live)?.sort());
    expect(functionsOf(body).sort()).toEqual(functionsOf(live).sort());
    expect(body.trimEnd().split('\n').at(-1)).toBe(live.trimEnd().split('\n').at(-1));
  });

  it('with --json has the shape of a live result', async () => {
    const id = await stored('stepper');
    const shown = JSON.parse((await cli('dump', 'show', id, '--json')).stdout);
    const live = JSON.parse((await cli('stack', 'stepper', '--json')).stdout);
    expect(Object.keys(shown.Ok)).toEqual(Object.keys(live.Ok));
    expect(Object.keys(shown.Ok.stack_traces[0])).toEqual(Object.keys(live.Ok.stack_traces[0]));
    expect(Object.keys(shown.Ok.stack_traces[0].frames[0])).toEqual(Object.keys(live.Ok.stack_traces[0].frames[0]));
    expect([shown.Ok.pid, shown.Ok.warnings]).toEqual([live.Ok.pid, live.Ok.warnings]);
  });

  it('reads dumps in pages, with nothing lost or doubled at their edges', async () => {
    for (const extra of [0, 1]) {
      const id = crypto.randomUUID();
      const total = LIMITS.dump_page_rows + extra;
      await ingest({
        pyspy_dumps: [[id, Date.now() * 1000, 7, 'py-spy', 'deep<ZG3F>@ipc://gone', 'python_only', '[]']],
        pyspy_stack_traces: [[id, 7, 1, 'deep', null, true, true]],
      });
      for (let start = 0; start < total; start += 4_000) {
        const depths = Array.from({ length: Math.min(4_000, total - start) }, (_, index) => start + index);
        await ingest({
          pyspy_frames: depths.map((depth) => [id, 1, depth, `f${depth}`, 'f.py', null, null, 1, false]),
        });
      }
      const { stdout } = await cli('dump', 'show', id, '--json');
      const names = JSON.parse(stdout).Ok.stack_traces[0].frames.map((frame: { name: string }) => frame.name);
      expect(names).toEqual(Array.from({ length: total }, (_, depth) => `f${depth}`));
    }
  });

  it('takes a beginning that one dump has, tells which there are, and how to list where there is none', async () => {
    const id = await stored('stepper');
    expect((await cli('dump', 'show', id.slice(0, 18))).stdout).toContain(`dump ${id} of`);
    const [one, two] = ['11111111-1111-4111-8111-111111111111', '11111111-2222-4222-8222-222222222222'];
    const row = (dump_id: string) => [
      dump_id,
      Date.now() * 1000,
      7,
      'py-spy',
      'old<ZG3F>@ipc://gone',
      'python_only',
      '[]',
    ];
    await ingest({
      pyspy_dumps: [row(one), row(two)],
      pyspy_stack_traces: [[one, 7, '18446744073709551615', null, null, true, false]],
    });
    const both = await cli('dump', 'show', '11111111');
    expect([both.code, both.stderr]).toEqual([5, expect.stringContaining(`could be any of: ${one}, ${two}`)]);
    expect((await cli('dump', 'show', one)).stdout).toContain('Thread 0xffffffffffffffff [active]');
    // An id that a number does not hold stays what it is.
    expect((await cli('dump', 'show', one, '--json')).stdout).toContain('"thread_id":18446744073709551615');
    for (const missing of ['ffffffff-0000', "x' or '1'='1", '', '%']) {
      const { code, stderr } = await cli('dump', 'show', missing);
      expect([code, stderr]).toEqual([5, expect.stringContaining('"meshscope dumps" lists them')]);
    }
    // A proc that is on no host any more is found by the name that its dumps have.
    const old = await cli('dumps', 'old');
    expect(old.stdout.trim().split('\n')).toHaveLength(3);
    expect(old.stdout).toContain('11111111-1');
  });
});

describe('meshscope dumps', () => {
  it('lists the newest first, up to the limit, of one proc or of all', async () => {
    const first = await stored('stepper');
    const second = await stored('stepper-other');
    const third = await stored('stepper');
    const all = JSON.parse((await cli('dumps', '--json', '--limit', '3')).stdout) as {
      dump_id: string;
      threads: number;
    }[];
    expect(all.map(({ dump_id }) => dump_id)).toEqual([third, second, first]);
    expect(all[0]?.threads).toBeGreaterThanOrEqual(3);
    const table = (await cli('dumps', 'stepper', '--limit', '2')).stdout.trim().split('\n');
    expect(table[0]).toMatch(/^ID +AGE +PROC +PID +THREADS +MODE +WARNINGS$/);
    expect(table.slice(1).map((line) => line.split(/\s+/)[0])).toEqual([third, first].map((id) => id.slice(0, 8)));
    expect(table[1]).toMatch(/^\w{8} +\d+s +stepper +\d+ +\d+ +native +--native-all unsupported/);
  });

  it('of a beginning that several procs have, or of none, says so', async () => {
    await stored('stepper-other');
    await stored('stepper');
    const several = await cli('dumps', 'step');
    expect([several.code, several.stderr]).toEqual([5, expect.stringContaining('stepper, stepper-other')]);
    const none = await cli('dumps', 'nobody');
    expect([none.code, none.stderr]).toEqual([5, expect.stringContaining('no stored dump of a proc "nobody"')]);
  });
});

describe('locals', () => {
  const asked = (method: string, route: string, reference: string, query: string) =>
    site.ask(`/v1/${route}/${encodeRef(reference)}${query}`, { method });

  it('are in no answer and in no table unless they were asked for', async () => {
    const id = await settled('stepper-other', 'first_step');
    const { stdout: live } = await cli('stack', 'stepper-other', '--json');
    const { stdout: shown } = await cli('dump', 'show', id);
    expect(live + shown).not.toContain('marker-in-a-local');
    const count = `select count(*) n from pyspy_local_variables where dump_id = '${id}'`;
    expect(await site.query(count)).toEqual([{ n: 0 }]);

    expect((await cli('stack', 'stepper-other', '--locals')).stdout).toContain(
      'secret (argument) = "marker-in-a-local"',
    );
    const taken = await cli('dump', 'stepper-other', '--locals');
    expect(taken.stdout).toContain('secret (argument) = "marker-in-a-local"');
    const rows = await site.query(
      `select l.name, l.arg, f.name as function from pyspy_local_variables l
         join pyspy_frames f using (dump_id, thread_id, frame_depth) where l.repr like '%marker-in-a-local%'`,
    );
    expect(rows).toEqual([{ name: 'secret', arg: true, function: 'first_step' }]);
  });

  it('leave their own mark in the audit line', async () => {
    await cli('stack', 'stepper-other', '--locals');
    await site.cli.says(/audit: who="owner" what=dump locals=true target="stepper-other</);
    expect(site.cli.output()).toMatch(/audit: who="owner" what=dump target="stepper/);
  });

  it('of an unknown word are refused, naming the parameter, before anything is asked of the host', async () => {
    const reference = (await site.proc('stepper'))?.identity ?? '';
    for (const [method, route] of [
      ['GET', 'pyspy'],
      ['POST', 'pyspy_dump'],
    ] as const) {
      for (const value of ['yes', '1', '', 'TRUE']) {
        const answer = await asked(method, route, reference, `?locals=${value}`);
        const { error } = (await answer.json()) as { error: { code: string; message: string } };
        expect([answer.status, error.code]).toEqual([400, 'bad_request']);
        expect(error.message).toBe(`locals: must be true or false, got ${value}`);
      }
    }
    const plain = (await (await asked('GET', 'pyspy', reference, '?locals=false&other=1')).json()) as object;
    expect(JSON.stringify(plain)).not.toContain('marker-in-a-local');
  });
});

describe('meshscope dump diff ID ID', () => {
  it('tells of one process which threads moved and which did not, by their ids', async () => {
    const before = await settled('stepper', 'first_step');
    writeFileSync(order, 'second');
    const after = await settled('stepper', 'second_step');
    const { code, stdout } = await cli('dump', 'diff', before.slice(0, 13), after);
    expect(code).toBe(0);
    const [summary = '', by = ''] = stdout.split('\n');
    expect(summary).toMatch(/^\d moved, \d same, 0 gone, 0 new; the second is \d+s later$/);
    expect(by).toMatch(/^pid \d+; threads matched by id$/);
    expect(stdout).toMatch(/^moved {2}Thread moving \[.*\]\n {2}# \d was {2}.*\n {6}is {3}/m);
    expect(stdout).toMatch(/^same {3}Thread still \[idle\]$/m);

    const json = JSON.parse((await cli('dump', 'diff', before, after, '--json')).stdout);
    expect(json).toMatchObject({ matched_by: 'thread_id', before: { dump_id: before }, after: { dump_id: after } });
    const moving = json.threads.find((thread: { thread_name: string }) => thread.thread_name === 'moving');
    expect(moving).toMatchObject({
      fate: 'moved',
      before: { active: expect.any(Boolean), owns_gil: expect.any(Boolean) },
    });

    const itself = JSON.parse((await cli('dump', 'diff', after, after, '--json')).stdout);
    expect(itself.summary).toMatchObject({ moved: 0, gone: 0, new: 0 });
    const reverse = (await cli('dump', 'diff', after, before)).stdout;
    expect(reverse).toMatch(/the second is \d+s earlier/);
  });

  it('matches threads of different processes by name', async () => {
    const [one, other] = [await stored('stepper'), await stored('stepper-other')];
    const { stdout } = await cli('dump', 'diff', one, other);
    expect(stdout).toMatch(/different processes: threads matched by name/);
    expect(stdout).toContain('Thread still');
    expect(stdout).toMatch(/, 0 gone, 0 new;/);
  });
});

let seq = 0;

/** Rows into the site's store, as a producer would send them. */
async function ingest(tables: Record<string, unknown[][]>): Promise<void> {
  seq += 1;
  const agent = await FakeAgent.dial({ url: site.url, token: site.token, host: `producer-${seq}` });
  agent.sync([agent.hostNode([])]);
  const producer = crypto.randomUUID();
  agent.send({ type: 'events', batch: { producer, seq: 1, lost_rows: 0, tables } });
  await until(() => agent.frames('ack').some((ack) => ack.producer === producer), 'the acknowledgement');
  agent.send({ type: 'bye', reason: 'done' });
}
