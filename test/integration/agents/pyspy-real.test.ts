/** The real py-spy on real processes. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import { type PySpyOk, type PySpyProfileOpts, PySpyResult } from '../../../src/contract/index.ts';
import { createPySpy, type PySpy } from '../../../src/node-agents/inspect/pyspy/index.ts';
import {
  identify,
  type ProcessIdentity,
  readProcess,
  readStatus,
  scanProcesses,
} from '../../../src/node-agents/procfs/index.ts';
import { pyspyBinary } from '../../support/pyspy-binary.ts';
import { startDemo, startPython, type Workload } from '../../support/python-process.ts';

const WARNING = '--native-all unsupported by this py-spy; fell back to --native';
const PROFILE: PySpyProfileOpts = { duration_s: 1, rate_hz: 100, native: false, threads: false, nonblocking: false };
const binary = pyspyBinary();

let pySpy: PySpy;
beforeAll(() => {
  pySpy = createPySpy({ pyspy_bin: () => binary });
});
afterAll(() => pySpy.close());

const workloads: Workload[] = [];
afterEach(async () => {
  await Promise.all(workloads.splice(0).map((workload) => workload.end()));
});

async function running(starting: Promise<Workload>): Promise<ProcessIdentity> {
  const workload = await starting;
  workloads.push(workload);
  return identify(workload.pid) ?? Promise.reject(new Error('the workload has ended'));
}

function okOf(result: PySpyResult): PySpyOk {
  if ('Ok' in result) return result.Ok;
  throw new Error(`expected Ok, got ${JSON.stringify(result)}`);
}

function failedOf(result: PySpyResult) {
  if ('Failed' in result) return result.Failed;
  throw new Error(`expected Failed, got ${JSON.stringify(result)}`);
}

/** Names of the frames of all threads, innermost first. */
const namesOf = (ok: PySpyOk) => ok.stack_traces.flatMap((trace) => trace.frames.map((frame) => frame.name));

/** Looks again until the stacks show all of these functions: a process may not have reached them yet, or be between two. */
async function dumpShowing(target: ProcessIdentity, functions: readonly string[]): Promise<PySpyOk> {
  for (;;) {
    const ok = okOf(await pySpy.dump(target));
    const names = namesOf(ok);
    if (functions.every((name) => names.includes(name))) return ok;
  }
}

describe('a dump shows what a process does (MIT-17)', () => {
  it.each([
    ['busy', ['_cpu_burn_loop', 'do_cpu_work', 'process_batch', 'work_forever']],
    ['blocked', ['do_blocking_work', 'process_batch', 'work_forever']],
    ['alternating', ['_cpu_burn_loop', 'do_cpu_work', 'process_batch', 'work_forever']],
  ])('that is %s', async (name, evidence) => {
    const target = await running(startDemo(name));
    const ok = await dumpShowing(target, evidence);
    expect(ok).toMatchObject({ pid: target.pid, binary, capture_mode: 'native', warnings: [WARNING] });
    const names = namesOf(ok);
    const [inner = '', ...outer] = evidence;
    for (const frame of outer) expect(names.indexOf(frame)).toBeGreaterThan(names.indexOf(inner));
  });

  it('that waits in its event loop', async () => {
    const code =
      'import asyncio\nasync def wait_forever():\n  await asyncio.Event().wait()\nasyncio.run(wait_forever())';
    const waiting = await running(startPython(code));
    expect(namesOf(await dumpShowing(waiting, ['run_forever'])).length).toBeGreaterThan(0);
  });

  it("in the contract's fields, order and nothing else, as value and as text", async () => {
    const target = await running(startDemo('busy'));
    const result = await pySpy.dump(target);
    expect(v.parse(PySpyResult, result)).toEqual(result);
    expect(Object.keys(okOf(result))).toEqual(['pid', 'binary', 'capture_mode', 'stack_traces', 'warnings']);
    const text = await pySpy.dumpJson(target);
    const fromText = okOf(v.parse(PySpyResult, JSON.parse(text)));
    expect(Object.keys(fromText)).toEqual(['pid', 'binary', 'capture_mode', 'stack_traces', 'warnings']);
    expect(JSON.stringify({ Ok: fromText })).toBe(text);
    expect(text).not.toContain('is_shim_entry');
    expect(text).not.toContain('process_info');
  });

  it('with the values of its variables when they are asked for, and without a trace of them else', async () => {
    const code = `import time
def hold(secret):
  many = list(range(1000))
  time.sleep(1000)
hold('marker-' + 'of-the-test')`;
    const target = await running(startPython(code));
    const plain = JSON.stringify(await dumpShowing(target, ['hold']));
    // The file of the code is its text, which says it in two pieces.
    expect(plain).not.toContain('marker-of-the-test');
    const opts = { threads: false, native: true, native_all: true, nonblocking: false, locals: true };
    const ok = okOf(await pySpy.dump(target, undefined, opts));
    const frame = ok.stack_traces.flatMap(({ frames }) => frames).find(({ name }) => name === 'hold');
    expect(frame?.locals).toEqual([
      { name: 'secret', addr: expect.any(Number), arg: true, repr: expect.stringContaining('marker-of-the-test') },
      { name: 'many', addr: expect.any(Number), arg: false, repr: expect.stringMatching(/^\[0, 1, .*\.\.\./) },
    ]);
    expect(ok.warnings).toEqual([WARNING]);
  });

  it('with stacks too large for this thread to parse', async () => {
    const code = `import threading, time
def deep(n):
  if n > 0: return deep(n - 1)
  time.sleep(1000)
sys.setrecursionlimit(10000)
for _ in range(20): threading.Thread(target=deep, args=(250,), daemon=True).start()
time.sleep(1000)`;
    const target = await running(startPython(code));
    const isAsleep = (result: PySpyResult): boolean =>
      'Ok' in result && namesOf(result.Ok).filter((name) => name === 'deep').length >= 20 * 250;
    // Of a process whose threads are just starting a dump may fail, or have less.
    let result = await pySpy.dump(target);
    while (!isAsleep(result)) result = await pySpy.dump(target);
    const ok = okOf(result);
    expect(JSON.stringify(ok).length).toBeGreaterThan(256 * 1024);
    expect(ok.stack_traces).toHaveLength(21);
  });
});

describe('a dump that cannot be had', () => {
  it('of a process that has ended says so', async () => {
    const workload = await startPython('import time; time.sleep(1000)');
    const target = identify(workload.pid) ?? { pid: 0, start_ticks: 0 };
    await workload.end();
    expect(failedOf(await pySpy.dump(target))).toEqual({
      pid: target.pid,
      binary,
      exit_code: null,
      stderr: `process ${target.pid} has ended`,
    });
    expect(await pySpy.profile(target, PROFILE)).toMatchObject({ kind: 'exit_failure', exit_code: null });
  });

  it('of a zombie says so', async () => {
    const code = 'import time\npid = os.fork()\nif pid == 0: os._exit(0)\nprint(pid, flush=True)\ntime.sleep(1000)';
    const parent = await running(startPython(code));
    let zombie: ProcessIdentity | undefined;
    while (zombie === undefined) {
      for await (const stat of scanProcesses()) if (stat.ppid === parent.pid && stat.state === 'Z') zombie = stat;
    }
    expect(failedOf(await pySpy.dump(zombie)).stderr).toMatch(/zombie.*process \d+, has not collected it/);
  });

  it("of a process that is not Python gives py-spy's own words, without a backtrace", async () => {
    const child = spawn('sleep', ['1000']);
    await once(child, 'spawn');
    const failed = failedOf(await pySpy.dump(identify(child.pid ?? 0) ?? { pid: 0, start_ticks: 0 }));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(failed).toMatchObject({ exit_code: 1, stderr: expect.stringMatching(/^Error: /) });
    expect(failed.stderr).not.toContain('backtrace');
  });

  it('of a process that is stopped says how to continue it', async () => {
    const target = await running(startDemo('busy'));
    process.kill(target.pid, 'SIGSTOP');
    while (readProcess(target.pid)?.state !== 'T') await new Promise((resolve) => setImmediate(resolve));
    const { exit_code, stderr } = failedOf(await pySpy.dump(target));
    expect(exit_code).toBe(1);
    expect(stderr).toContain(`is stopped`);
    expect(stderr).toContain(`kill -CONT ${target.pid}`);
    process.kill(target.pid, 'SIGCONT');
    expect(await pySpy.dump(target)).toHaveProperty('Ok');
  });

  it('of a process that a debugger holds names the debugger', async () => {
    const PTRACE_SEIZE = 0x4206;
    const code = `import ctypes, time
pid = os.fork()
if pid == 0: time.sleep(1000)
print("seized" if ctypes.CDLL(None).ptrace(${PTRACE_SEIZE}, pid, None, None) == 0 else "refused", flush=True)
time.sleep(1000)`;
    const tracer = await running(startPython(code));
    let target: ProcessIdentity | undefined;
    while (target === undefined) {
      for await (const stat of scanProcesses()) {
        if (stat.ppid === tracer.pid && readStatus(stat.pid)?.tracer_pid === tracer.pid) target = stat;
      }
    }
    const { exit_code, stderr } = failedOf(await pySpy.dump(target));
    process.kill(target.pid, 'SIGKILL');
    expect(exit_code).toBe(1);
    expect(stderr).toMatch(new RegExp(`traced by python\\S* \\(pid ${tracer.pid}\\) already`));
  });

  it('for lack of permission says which, and what to do', async () => {
    // Not even its own user may look into a process that made itself undumpable.
    const code =
      'import ctypes, time\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\nprint("ready", flush=True)\ntime.sleep(1000)';
    const target = await running(startPython(code));
    const folder = mkdtempSync(join(tmpdir(), 'meshscope-unprivileged-'));
    try {
      const copy = join(folder, 'py-spy');
      copyFileSync(binary, copy);
      chmodSync(folder, 0o755);
      chmodSync(copy, 0o755);
      const fixture = fileURLToPath(new URL('../../fixtures/dump-unprivileged.ts', import.meta.url));
      const { stdout } = await promisify(execFile)(process.execPath, [fixture, `${target.pid}`, copy]);
      const failed = failedOf(v.parse(PySpyResult, JSON.parse(stdout)));
      expect(failed.exit_code).toBe(1);
      expect(failed.stderr).toMatch(/^Permission Denied/);
      const reason = process.getuid?.() === 0 ? 'runs as uid 65534 and process' : 'is not dumpable';
      expect(failed.stderr).toContain('ptrace is not permitted');
      expect(failed.stderr).toContain(reason);
      expect(failed.stderr).toMatch(/To allow it: .*(SYS_PTRACE|cap_sys_ptrace)/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('many dumps', () => {
  it('of one process and of several, at once, all succeed', async () => {
    const targets = await Promise.all(['busy', 'alternating', 'busy'].map((name) => running(startDemo(name))));
    const dumps = targets.flatMap((target) => Array.from({ length: 6 }, () => pySpy.dump(target)));
    for (const result of await Promise.all(dumps)) okOf(result);
  });

  it('next to a profile of the same process all succeed, and so does the profile', async () => {
    const target = await running(startDemo('busy'));
    let isOver = false;
    const profile = pySpy.profile(target, PROFILE).finally(() => {
      isOver = true;
    });
    let dumps = 0;
    while (!isOver) {
      okOf(await pySpy.dump(target));
      dumps += 1;
    }
    expect(dumps).toBeGreaterThan(1);
    expect(await profile).toMatchObject({ kind: 'ok' });
  });

  it('stopped half-way leave the process running', async () => {
    const target = await running(startDemo('busy'));
    for (let round = 0; round < 10; round += 1) {
      const abort = new AbortController();
      const dump = pySpy.dump(target, abort.signal);
      await sleep(round * 5);
      abort.abort();
      await dump;
    }
    await dumpShowing(target, ['_cpu_burn_loop']);
    expect(readProcess(target.pid)?.state).not.toMatch(/[Tt]/);
  });
});

describe('a profile', () => {
  it('of a busy process is a flame graph with its functions (MIT-74)', async () => {
    const target = await running(startDemo('busy'));
    const outcome = await pySpy.profile(target, PROFILE);
    if (outcome.kind !== 'ok') throw new Error(JSON.stringify(outcome));
    expect(outcome.svg.slice(0, 100)).toMatch(/<svg|<\?xml/);
    expect(outcome.svg).toContain('_cpu_burn_loop');
  });

  it('of an idle process has no samples, and shows no picture', async () => {
    const target = await running(startPython('import threading\nthreading.Event().wait()'));
    await dumpShowing(target, ['wait']);
    expect(await pySpy.profile(target, PROFILE)).toEqual({ kind: 'no_samples', duration_s: 1 });
  });

  it('of a process that ends meanwhile is what there was of it', async () => {
    const target = await running(
      startPython('import time\nend = time.time() + 1.5\nwhile time.time() < end: sum(range(1000))'),
    );
    const outcome = await pySpy.profile(target, { ...PROFILE, duration_s: 30 });
    expect(outcome).toMatchObject({ kind: 'ok' });
  });

  it('does not keep this thread from anything else', async () => {
    const target = await running(startDemo('busy'));
    let turns = 0;
    const ticker = setInterval(() => {
      turns += 1;
    }, 10);
    await pySpy.profile(target, PROFILE);
    clearInterval(ticker);
    expect(turns).toBeGreaterThan(10);
  });
});
