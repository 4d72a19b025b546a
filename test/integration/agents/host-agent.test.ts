import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ActorProperties,
  FRAME_MAX_BYTES,
  type NodePayload,
  type ProcProperties,
} from '../../../src/contract/index.ts';
import { type HostAgent, type HostAgentOptions, nameSpecs, startHostAgent } from '../../../src/node-agents/index.ts';
import { LIMITS } from '../../../src/node-agents/limits.ts';
import { Discovery } from '../../../src/node-agents/processes/discovery.ts';
import { identify, type ProcessIdentity, readProcess } from '../../../src/node-agents/procfs/index.ts';
import { AdoptedProcs } from '../../../src/node-agents/procs/adopted-procs.ts';
import { ProcRegistry } from '../../../src/node-agents/procs/registry.ts';
import { rowsOf } from '../../support/batches.ts';
import { testProcHost } from '../../support/proc-host.ts';
import { findByCommand, isThere } from '../../support/processes.ts';
import { pyspyBinary } from '../../support/pyspy-binary.ts';
import { type ScriptedGateway, startScriptedGateway, TOKEN } from '../../support/scripted-gateway.ts';
import { until } from '../../support/until.ts';

let gateway: ScriptedGateway;
let agents: HostAgent[];
let folder: string;
let logged: string[];

beforeEach(async () => {
  gateway = await startScriptedGateway();
  agents = [];
  logged = [];
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-agent-'));
});

afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.stop('the test is over')));
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

async function startAgent(options: Partial<HostAgentOptions> = {}): Promise<HostAgent> {
  const agent = await startHostAgent({
    gateway_url: gateway.url,
    token: TOKEN,
    host_name: 'test-host',
    version: '0.0.0',
    base_dir: folder,
    terminate_grace_ms: 500,
    env: { ...process.env, PYSPY_BIN: pyspyBinary() },
    log: (level, message) => logged.push(`${level}: ${message}`),
    ...options,
  });
  if (!agent.ok) throw new Error(agent.failure.message);
  agents.push(agent.value);
  return agent.value;
}

/** Starts a process that is no child of this one, in which the agent runs: somebody else's, as a job's are. */
async function startStranger(script: string): Promise<number> {
  const parent = spawn('sh', ['-c', 'sh -c "$1" >/dev/null 2>&1 & echo $!', 'stranger', script]);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(String(line));
  // A shell that becomes the program has its name only then.
  const [, program] = /^exec (\S+)/.exec(script) ?? [];
  const comm = () => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  if (program !== undefined) await until(() => comm() === program, `the shell to become ${program}`);
  return pid;
}

function run(script: string, more: { name?: string; procs?: number; env?: Record<string, string> } = {}) {
  const spec = { name: 'job', procs: 1, cwd: undefined, env: {}, command: ['sh', '-c', script], ...more };
  const named = nameSpecs([spec]);
  if (!named.ok) throw new Error(named.failure.message);
  return { specs: named.value };
}

function proc(name: string): (ProcProperties & { readonly reference: string }) | undefined {
  for (const node of gateway.nodes.values()) {
    if ('Proc' in node.properties && node.properties.Proc.proc_name === name) {
      return { ...node.properties.Proc, reference: node.identity };
    }
  }
  return undefined;
}

function commandOf(name: string): ActorProperties | undefined {
  const found = proc(name);
  const node = [...gateway.nodes.values()].find(
    (candidate) => candidate.parent === found?.reference && !candidate.identity.startsWith('proc_agent'),
  );
  return node !== undefined && 'Actor' in node.properties ? node.properties.Actor : undefined;
}

function running(name: string): Promise<number> {
  return gateway.until(() => commandOf(name)?.actor_status.startsWith('processing') && proc(name)?.process?.pid);
}

describe('a host', () => {
  it('shows itself, its service proc and its agent, each under the one above it (NI-2, LC-2, LC-3)', async () => {
    await startAgent();
    const host = await gateway.until(() => gateway.nodes.get('host:host_agent.service@ipc://test-host'));
    expect(host).toMatchObject({ parent: 'root', children: ['service@ipc://test-host'] });
    expect(host.properties).toMatchObject({ Host: { addr: 'unix:test-host', num_procs: 1, system_children: [] } });
    expect(gateway.nodes.get('service@ipc://test-host')).toMatchObject({
      parent: host.identity,
      children: ['host_agent.service@ipc://test-host'],
      properties: { Proc: { proc_name: 'service', system_children: ['host_agent.service@ipc://test-host'] } },
    });
    expect(gateway.nodes.get('host_agent.service@ipc://test-host')).toMatchObject({
      parent: 'service@ipc://test-host',
      properties: { Actor: { actor_status: 'idle', is_system: true } },
    });
  });

  it.each([
    [{ host_name: 'not a name' }, 'host name "not a name"'],
    [{ gateway_url: 'gateway:1729' }, 'gateway "gateway:1729" is not a URL'],
    [{ token: 'tök en' }, 'token: must be ASCII'],
    [{ pids: [4_194_305] }, 'pid 4194305: there is no such process'],
  ])('is not started with %j', async (options, message) => {
    const started = await startHostAgent({
      gateway_url: gateway.url,
      token: TOKEN,
      host_name: 'x',
      version: '0',
      log: () => {},
      ...options,
    });
    expect(started.ok ? null : started.failure.message).toContain(message);
  });
});

describe('a command', () => {
  it('is a proc with a system actor and one actor that follows the process', async () => {
    await startAgent(run('echo working; exec sleep 1000'));
    const pid = await running('job');
    const shown = await gateway.until(() => proc('job'));
    expect(isThere(pid)).toBe(true);
    expect(shown).toMatchObject({ num_actors: 2, stopped_children: [], is_poisoned: false, failed_actor_count: 0 });
    expect(shown.system_children).toEqual([`proc_agent.${shown.reference}`]);
    expect(shown.process).toMatchObject({ pid, origin: 'started', rank: null, exit_code: null, ended_at: null });
    expect(shown.debug.memory.process_rss_bytes).toBeGreaterThan(0);
    const actor = commandOf('job');
    expect(actor).toMatchObject({
      is_system: false,
      failure_info: null,
      execution: { active_count: 1, complete: true },
    });
  });

  it('shows its output in the flight recorder when its actor is asked', async () => {
    await startAgent(run('echo one; echo two >&2; exec sleep 1000'));
    await running('job');
    const reference = await gateway.until(() => commandReference('job'));
    const node = await until(async () => {
      const asked = (await gateway.call({ method: 'introspect', reference })) as NodePayload;
      const actor = 'Actor' in asked.properties ? asked.properties.Actor : undefined;
      const events = JSON.parse(actor?.flight_recorder ?? '[]');
      return events.length === 2 && events;
    }, 'both lines in the flight recorder');
    expect(node.map((event: { target: string; level: string }) => [event.target, event.level])).toEqual(
      expect.arrayContaining([
        ['stdout', 'INFO'],
        ['stderr', 'WARN'],
      ]),
    );
  });

  it('that exits with code 0 is stopped, not failed (FI-6)', async () => {
    await startAgent(run('exit 0'));
    const actor = await gateway.until(() => ended('job'));
    expect(actor).toMatchObject({ actor_status: 'stopped: process exited cleanly (code 0)', failure_info: null });
    expect(proc('job')).toMatchObject({
      is_poisoned: false,
      failed_actor_count: 0,
      stopped_children: [expect.any(String)],
    });
  });

  it('that exits otherwise is failed, with code and last lines of stderr (FI-3, FI-5)', async () => {
    await startAgent(run('echo "loading"; echo "no such checkpoint" >&2; exit 3'));
    const actor = await gateway.until(() => ended('job'));
    expect(actor.actor_status).toBe('failed: process exited with code 3');
    expect(actor.failure_info).toMatchObject({ is_propagated: false, root_cause_actor: commandReference('job') });
    expect(actor.failure_info?.error_message).toMatch(/^failed: process exited with code 3\n.*\nno such checkpoint$/s);
    expect(proc('job')).toMatchObject({
      is_poisoned: true,
      failed_actor_count: 1,
      process: { exit_code: 3, signal: null },
    });
  });

  it('that is killed is failed, with the signal and its last output', async () => {
    const trace = path.join(folder, 'trace');
    await startAgent(run(`echo "at step 41" >&2; echo written > ${trace}; exec sleep 1000`));
    const pid = await running('job');
    await until(() => fileHas(trace, 'written'), 'the output');
    process.kill(pid, 'SIGKILL');
    const actor = await gateway.until(() => ended('job'));
    expect(actor.actor_status).toBe('failed: process killed by SIGKILL');
    expect(actor.failure_info?.error_message).toContain('at step 41');
    expect(proc('job')?.process).toMatchObject({ exit_code: null, signal: 'SIGKILL' });
  });

  it('that cannot be started is a failed proc that says why', async () => {
    const specs = [
      { name: 'typo', procs: 1, cwd: undefined, env: {}, command: ['no-such-program-here'] },
      { name: 'lost', procs: 1, cwd: 'no-such-folder', env: {}, command: ['true'] },
    ];
    await startAgent({ specs });
    expect((await gateway.until(() => ended('typo'))).actor_status).toContain('cannot run "no-such-program-here"');
    expect((await gateway.until(() => ended('lost'))).actor_status).toContain('no such folder');
  });

  it.each([
    ['an argument with a zero byte', { command: ['echo', 'a\0b'] }],
    ['more arguments than the kernel takes', { command: ['echo', ...Array<string>(40).fill('x'.repeat(120_000))] }],
    ['a variable with a zero byte', { command: ['true'], env: { A: 'a\0b' } }],
  ])('with %s is a failed proc, and the agent lives on', async (_, spec) => {
    await startAgent({ specs: [{ name: 'job', procs: 1, cwd: undefined, env: {}, ...spec }] });
    expect((await gateway.until(() => ended('job'))).actor_status).toMatch(/^failed: cannot start a process: /);
  });

  it('gets RANK, LOCAL_RANK and WORLD_SIZE when it has copies, and never the token', async () => {
    const script = 'echo "$RANK $LOCAL_RANK $WORLD_SIZE [$MESHSCOPE_TOKEN]" >&2; exit 1';
    const env = { ...process.env, MESHSCOPE_TOKEN: 'secret' };
    await startAgent({ ...run(script, { procs: 3 }), env });
    for (const rank of [0, 1, 2]) {
      const actor = await gateway.until(() => ended(`job-${rank}`));
      expect(actor.failure_info?.error_message).toContain(`${rank} ${rank} 3 []`);
      expect(proc(`job-${rank}`)?.process).toMatchObject({ rank, local_rank: rank });
    }
  });

  it('is asked to end, and ended after the grace when it does not (TERM, then KILL)', async () => {
    const trace = path.join(folder, 'trace');
    const script = `trap 'echo term >> ${trace}' TERM; echo ready >> ${trace}; while :; do sleep 0.05; done`;
    const agent = await startAgent({ ...run(script), terminate_grace_ms: 300 });
    const pid = await running('job');
    await until(() => fileHas(trace, 'ready'), 'the trap being set');
    await agent.stop('test');
    expect(isThere(pid)).toBe(false);
    expect(fileHas(trace, 'term')).toBe(true);
  });
});

describe('the end of an agent', () => {
  it('leaves the whole grace to the program that a shell runs, though the shell dies of TERM at once', async () => {
    const trace = path.join(folder, 'trace');
    const program = `trap 'sleep 0.5; echo saved >> ${trace}; exit' TERM; echo ready >> ${trace}; while :; do sleep 0.05; done`;
    writeFileSync(path.join(folder, 'train.sh'), program);
    const agent = await startAgent({ ...run('sh train.sh; true'), terminate_grace_ms: 20_000 });
    await until(() => fileHas(trace, 'ready'), 'the program');
    const started_ms = performance.now();
    await agent.stop('test');
    expect(fileHas(trace, 'saved')).toBe(true);
    expect(performance.now() - started_ms).toBeLessThan(10_000);
  });

  it('ends at once when it is hurried, the program that a shell runs included', async () => {
    const trace = path.join(folder, 'trace');
    writeFileSync(path.join(folder, 'deaf.sh'), `trap '' TERM; echo $$ > ${trace}; while :; do sleep 0.05; done`);
    const agent = await startAgent({ ...run('sh deaf.sh; true'), terminate_grace_ms: 60_000 });
    const pid = await until(() => fileHas(trace, '\n') && Number(readFileSync(trace, 'utf8')), 'the program');
    const stopped = agent.stop('test');
    agent.killCommands();
    await stopped;
    expect(isThere(pid)).toBe(false);
  });

  it('takes along what left its group and cleared its environment', async () => {
    const trace = path.join(folder, 'trace');
    const agent = await startAgent(run(`setsid env -i sh -c 'echo $$ > ${trace}; exec sleep 1000' & wait`));
    const pid = await until(() => fileHas(trace, '\n') && Number(readFileSync(trace, 'utf8')), 'the daemon');
    await agent.stop('test');
    await until(() => !isThere(pid), 'the end of the daemon');
  });

  it('while copies are still being started runs none of them any more', async () => {
    const trace = path.join(folder, 'trace');
    const agent = await startAgent(run(`echo started >> ${trace}; exec sleep 1000`, { procs: 200 }));
    await until(() => fileHas(trace, 'started'), 'the first copy');
    await agent.stop('test');
    const count = readFileSync(trace, 'utf8').split('\n').length - 1;
    expect(count).toBeLessThan(200);
    const shown = [...gateway.nodes.values()].filter((node) => 'Proc' in node.properties).length - 1;
    expect(count).toBeLessThanOrEqual(shown);
  });

  it('is guarded again when the guardian was killed', async () => {
    const agent = await startAgent(run('exec sleep 1000'));
    const pid = await running('job');
    const guardian = () => findByCommand('meshscope-guardian').filter((found) => parentOf(found) === process.pid);
    const [first = 0] = await until(() => guardian().length === 1 && guardian(), 'a guardian');
    process.kill(first, 'SIGKILL');
    await until(() => guardian().some((found) => found !== first), 'another guardian');
    expect(logged.some((line) => line.includes('the guardian process ended unexpectedly'))).toBe(true);
    await agent.stop('test');
    expect([isThere(pid), guardian()]).toEqual([false, []]);
  });
});

describe('processes that the agent did not start', () => {
  it('are shown as children with parent, rank and redacted command line, and nothing else of their environment', async () => {
    const child = path.join(folder, 'worker.sh');
    writeFileSync(child, 'exec sleep 1000\n');
    const script = `RANK=5 LOCAL_RANK=1 SECRET_VALUE=hunter2 sh ${child} --token hunter2 & wait`;
    await startAgent(run(script));
    await running('job');
    const found = await gateway.until(() =>
      [...gateway.nodes.values()].find(
        (node) => 'Proc' in node.properties && node.properties.Proc.process?.origin === 'child',
      ),
    );
    expect(found.properties).toMatchObject({
      Proc: { process: { parent_proc: proc('job')?.reference, rank: 5, local_rank: 1 } },
    });
    expect(JSON.stringify([...gateway.nodes.values()])).not.toContain('hunter2');
  });

  it('are found by their command line, looked at, and left alone', async () => {
    const marker = `watched-${process.pid}-${Date.now()}`;
    const target = await startStranger(`: ${marker}; while :; do sleep 0.2; done`);
    try {
      const agent = await startAgent({ watch: [new RegExp(marker)] });
      const found = await gateway.until(() =>
        [...gateway.nodes.values()].find(
          (node) => 'Proc' in node.properties && node.properties.Proc.process?.pid === target,
        ),
      );
      expect(found.properties).toMatchObject({ Proc: { process: { origin: 'watched' }, is_poisoned: false } });
      await agent.stop('test');
      expect(isThere(target)).toBe(true);
    } finally {
      process.kill(target, 'SIGKILL');
    }
  });

  it('are not watched for having the pid of one that was: pid and start time together are what is meant', async () => {
    const target = await startStranger('exec sleep 1000');
    try {
      const told: string[] = [];
      const registry = new ProcRegistry(LIMITS);
      registry.listen({ added: ({ name }) => told.push(name) });
      const adopted = new AdoptedProcs(testProcHost(), registry);
      const identity = identify(target) ?? { pid: target, start_ticks: 0 };
      const former = { ...identity, start_ticks: identity.start_ticks - 1 };
      const look = (processes: ProcessIdentity[]) =>
        new Discovery(adopted, { run: 'none', watch: [], processes, limits: LIMITS }).scan();
      await look([former]);
      expect(told).toEqual([]);
      await look([identity]);
      expect(told).toEqual([`sleep-${target}`]);
    } finally {
      process.kill(target, 'SIGKILL');
    }
  });

  it('are stopped when they are gone, since how they ended is not known', async () => {
    const target = await startStranger('exec sleep 1000');
    await startAgent({ pids: [target] });
    const name = `sleep-${target}`;
    await gateway.until(() => proc(name));
    process.kill(target, 'SIGKILL');
    const actor = await gateway.until(() => ended(name));
    expect(actor.actor_status).toContain('stopped: process ended');
    expect(proc(name)?.process).toMatchObject({ exit_code: null, signal: null });
  });
});

describe('calls', () => {
  it('answer stacks of the proc that is named, by the pid that the registry has (PS-1)', async () => {
    writeFileSync(path.join(folder, 'spin.py'), 'def spin_here():\n    while True:\n        pass\nspin_here()\n');
    const spec = { name: 'spin', procs: 1, cwd: undefined, env: {}, command: ['python3', 'spin.py'] };
    await startAgent({ specs: [spec] });
    const pid = await running('spin');
    const reference = proc('spin')?.reference ?? '';
    const result = await until(async () => {
      const answer = (await gateway.call({ method: 'pyspy_dump', reference })) as Record<string, { pid: number }>;
      return JSON.stringify(answer).includes('spin_here') && answer;
    }, 'a stack with the function that spins');
    expect(result.Ok?.pid).toBe(pid);
  });

  it('say what is wrong with a reference, and keep serving', async () => {
    await startAgent();
    await gateway.until(() => gateway.nodes.size > 0);
    expect(await gateway.call({ method: 'pyspy_dump', reference: 'nobody<2>@ipc://test-host' })).toMatchObject({
      fault: { code: 'not_found' },
    });
    expect(await gateway.call({ method: 'introspect', reference: 'x y' })).toMatchObject({
      fault: { code: 'bad_request' },
    });
    const config = (await gateway.call({ method: 'config_dump', reference: 'service@ipc://test-host' })) as {
      entries: { name: string }[];
    };
    const names = config.entries.map((entry) => entry.name);
    expect(names).toContain('meshscope::agent::terminate_grace');
    expect(names).toEqual([...names].sort());
  });

  it('are held to the limits that the agent is given, which its configuration shows', async () => {
    await startAgent({ ...run('sleep 1000', { procs: 2 }), limits: { procs_max: 1 } });
    await gateway.until(() => proc('job-0'));
    await until(() => logged.some((line) => line.includes('this host shows 1 procs')), 'the refusal of the second');
    expect(proc('job-1')).toBeUndefined();
    const config = (await gateway.call({ method: 'config_dump', reference: 'service@ipc://test-host' })) as {
      entries: { name: string }[];
    };
    expect(config.entries.find(({ name }) => name === 'meshscope::agent::procs_max')).toMatchObject({
      value: '1',
      default_value: String(LIMITS.procs_max),
      source: 'Runtime',
      changed_from_default: true,
    });
  });

  it('about a proc that has ended say how it ended', async () => {
    await startAgent(run('exit 7'));
    await gateway.until(() => ended('job'));
    const reference = proc('job')?.reference ?? '';
    expect(await gateway.call({ method: 'pyspy_dump', reference })).toMatchObject({
      Failed: { stderr: expect.stringContaining('exited with code 7') },
    });
  });
});

describe('the link', () => {
  it('holds however much there is to show: no frame exceeds the bound', async () => {
    const script = `i=0; while [ $i -lt 70 ]; do printf '%04090d' 0 | tr 0 '\\001' >&2; echo >&2; i=$((i+1)); done; exit 3`;
    const [spec] = run(script).specs;
    const files = Array.from({ length: 20_000 }, (_, number) => `data/shard-${number}.tar`);
    await startAgent({ specs: spec === undefined ? [] : [{ ...spec, command: [...spec.command, ...files] }] });
    const actor = await gateway.until(() => ended('job'));
    expect(actor.failure_info?.error_message).toContain('\x01');
    expect(actor.process?.command.at(-1)).toMatch(/^… \(\d+ more\)$/);
    const asked = (await gateway.call({
      method: 'introspect',
      reference: commandReference('job') ?? '',
    })) as NodePayload;
    expect(Buffer.byteLength(JSON.stringify(asked))).toBeGreaterThan(LIMITS.recorder_max_bytes / 2);
    for (const { frame } of gateway.frames) {
      expect(Buffer.byteLength(JSON.stringify(frame))).toBeLessThan(FRAME_MAX_BYTES);
    }
    expect(gateway.connections).toBe(1);
  });

  it('is dialled again when it breaks, with the whole state', async () => {
    await startAgent(run('exec sleep 1000'));
    const pid = await running('job');
    gateway.nodes.clear();
    gateway.drop();
    await gateway.until(() => gateway.connections >= 2 && proc('job')?.process?.pid === pid);
    const [hello, sync] = gateway.frames.filter(({ connection }) => connection === 2);
    expect([hello?.frame.type, sync?.frame.type]).toEqual(['hello', 'sync']);
    expect(sync?.frame).toMatchObject({ seq: 1 });
  });

  it('numbers its frames without gaps, and sends everything anew when asked to', async () => {
    await startAgent(run('exec sleep 1000'));
    await running('job');
    gateway.send({ type: 'resync', reason: 'test' });
    await gateway.until(() => gateway.frames.filter(({ frame }) => frame.type === 'sync').length >= 2);
    const numbers = gateway.frames.flatMap(({ frame }) =>
      frame.type === 'sync' || frame.type === 'delta' ? [frame.seq] : [],
    );
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('sends an event batch again until it is acknowledged, and then no more', async () => {
    gateway.acknowledge = false;
    await startAgent(run('exec sleep 1000'));
    const first = await gateway.until(() => gateway.batches[0]);
    gateway.acknowledge = true;
    gateway.drop();
    const again = await gateway.until(() => gateway.batches.slice(1).find((batch) => batch.seq === first.seq));
    expect(again).toEqual(first);
    await gateway.until(() => statusesOf(gateway).includes('Processing'));
    gateway.drop();
    await gateway.until(() => gateway.connections >= 3 && gateway.frames.at(-1)?.connection === 3);
    expect(gateway.batches.filter((batch) => batch.seq === first.seq)).toHaveLength(2);
  });

  it('warns of a refusal with the reason that the gateway gives', async () => {
    await startAgent({ token: 'wrong' });
    await until(
      () => logged.some((line) => line.includes('refused') && line.includes('the token is wrong')),
      'a warning',
    );
  });

  it('survives a gateway that is away when the agent starts', async () => {
    await gateway.stop();
    await startAgent(run('exec sleep 1000'));
    await until(() => logged.some((line) => line.includes('no link to the gateway')), 'a warning');
    await gateway.listen();
    await running('job');
  });

  it('says goodbye when the agent stops, after its last events', async () => {
    const agent = await startAgent(run('exec sleep 1000'));
    await running('job');
    await agent.stop('enough');
    const last = gateway.frames.at(-1)?.frame;
    expect(last).toEqual({ type: 'bye', reason: 'enough' });
    expect(statusesOf(gateway)).toEqual(
      expect.arrayContaining(['Created', 'Idle', 'Processing', 'Stopping', 'Stopped']),
    );
  });
});

function statusesOf({ batches }: ScriptedGateway): unknown[] {
  return batches.flatMap((batch) => rowsOf(batch).actor_status_events ?? []).map((row) => row[3]);
}

function commandReference(name: string): string | undefined {
  const found = proc(name);
  return [...gateway.nodes.values()].find(
    (node) => node.parent === found?.reference && !node.identity.startsWith('proc_agent'),
  )?.identity;
}

function ended(name: string): ActorProperties | false {
  const actor = commandOf(name);
  return actor !== undefined && /^(stopped|failed):/.test(actor.actor_status) && actor;
}

function parentOf(pid: number): number {
  return readProcess(pid)?.ppid ?? 0;
}

function fileHas(file: string, text: string): boolean {
  try {
    return readFileSync(file, 'utf8').includes(text);
  } catch {
    return false;
  }
}
