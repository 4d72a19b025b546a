/** How py-spy is run, by means of small programs in its place: what is tried, how often, and how each run can end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PySpyProfileOpts, PySpyResult } from '../../../src/contract/index.ts';
import {
  createPySpy,
  PYSPY_LIMITS,
  type PySpy,
  type PySpyOptions,
} from '../../../src/node-agents/inspect/pyspy/index.ts';
import { identify, readProcess } from '../../../src/node-agents/procfs/index.ts';
import { FakePySpy, FIND_OUTPUT, REFUSE_NATIVE_ALL } from '../../support/fake-pyspy.ts';
import { until } from '../../support/until.ts';

const WARNING = '--native-all unsupported by this py-spy; fell back to --native';
const NONBLOCKING = { threads: false, native: true, native_all: true, nonblocking: true };
const PROFILE: PySpyProfileOpts = { duration_s: 1, rate_hz: 100, native: false, threads: false, nonblocking: false };
/** A process that surely runs: this one. */
const target = identify(process.pid) ?? { pid: 0, start_ticks: 0 };

const cleanups: (() => Promise<void> | void)[] = [];
let temporary: string;
const path = process.env.PATH;

beforeEach(() => {
  temporary = fake('').folder;
  vi.stubEnv('TMPDIR', temporary);
});

afterEach(async () => {
  const left = profileFolders();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  vi.unstubAllEnvs();
  expect(left, 'PP-3: the temporary folder is gone').toEqual([]);
});

const profileFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('meshscope-profile-'));

function fake(body: string): FakePySpy {
  const program = new FakePySpy(body);
  cleanups.push(() => program.remove());
  return program;
}

function pySpy(pyspy_bin: string, options: PySpyOptions = {}): PySpy {
  const runner = createPySpy({ pyspy_bin: () => pyspy_bin, ...options });
  cleanups.push(() => runner.close());
  return runner;
}

function failedOf(result: PySpyResult) {
  if ('Failed' in result) return result.Failed;
  throw new Error(`expected Failed, got ${JSON.stringify(result)}`);
}

/** `PATH` with nothing on it but one folder. */
const onlyOnPath = (folder: string) => vi.stubEnv('PATH', folder);

describe('dump', () => {
  it('of exit 0 with an empty array is Ok for the pid and binary that were given', async () => {
    const program = fake('echo "[]"');
    expect(await pySpy(program.path).dump(target)).toEqual({
      Ok: { pid: target.pid, binary: program.path, capture_mode: 'native_all', stack_traces: [], warnings: [] },
    });
    expect(program.runs).toEqual([`dump --pid ${target.pid} --json --native --native-all`]);
  });

  it('with locals says so to py-spy, behind everything else, and gives them', async () => {
    const local = { name: 'x', addr: 1, arg: true, repr: '7' };
    const frame = { name: 'f', filename: 'f.py', line: 1, is_entry: true, locals: [local] };
    const trace = { pid: 1, thread_id: 1, active: true, owns_gil: false, frames: [frame] };
    const program = fake(`echo '${JSON.stringify([trace])}'`);
    const runner = pySpy(program.path);
    const opts = { threads: false, native: true, native_all: true, nonblocking: false };
    const asked = await runner.dump(target, undefined, { ...opts, locals: true });
    expect(asked).toMatchObject({ Ok: { stack_traces: [{ frames: [{ locals: [local] }] }], warnings: [] } });
    // A program that gives them unasked does not get them through.
    const unasked = await runner.dump(target);
    expect(unasked).toMatchObject({
      Ok: {
        stack_traces: [{ frames: [{ locals: null }] }],
        warnings: [expect.stringContaining('none were asked for')],
      },
    });
    const plain = `dump --pid ${target.pid} --json --native --native-all`;
    expect(program.runs).toEqual([`${plain} --locals`, plain]);
  });

  it('of exit 0 with bad JSON is Failed', async () => {
    const failed = failedOf(await pySpy(fake('echo nonsense').path).dump(target));
    expect(failed).toMatchObject({ pid: target.pid, exit_code: null });
    expect(failed.stderr).toContain('failed to parse py-spy JSON output');
  });

  it('of exit 1 is Failed with the exact text', async () => {
    const program = fake('printf "one\\ntwo " >&2; exit 1');
    expect(await pySpy(program.path).dump(target)).toEqual({
      Failed: { pid: target.pid, binary: program.path, exit_code: 1, stderr: 'one\ntwo ' },
    });
  });

  it('with `true` and `false` as binaries fails to parse, and with the exit code', async () => {
    const silent = failedOf(await pySpy('true').dump(target));
    expect(silent).toMatchObject({ binary: 'true', exit_code: null });
    expect(silent.stderr).toContain('parse');
    expect(failedOf(await pySpy('false').dump(target))).toMatchObject({
      pid: target.pid,
      binary: 'false',
      exit_code: 1,
    });
  });

  it('of a program that a signal ends is Failed without an exit code', async () => {
    const failed = failedOf(await pySpy(fake('echo dying >&2; kill -SEGV $$').path).dump(target));
    expect(failed).toMatchObject({ exit_code: null, stderr: 'dying\n' });
  });

  it('without any binary is BinaryNotFound with what was searched (PS-2, PS-3)', async () => {
    onlyOnPath(temporary);
    expect(await pySpy('').dump(target)).toEqual({ BinaryNotFound: { searched: ['py-spy on PATH'] } });
    expect(await pySpy('/none/py-spy').dump(target)).toEqual({
      BinaryNotFound: { searched: ['PYSPY_BIN=/none/py-spy', 'py-spy on PATH'] },
    });
  });

  it('falls back to py-spy on PATH when the configured file is missing, and only then (PS-3)', async () => {
    const { folder } = fake('');
    const onPath = fake('echo "[]"');
    renameSync(onPath.path, join(onPath.folder, 'py-spy'));
    vi.stubEnv('PATH', `${onPath.folder}:${path}`);
    expect(await pySpy('/none/py-spy').dump(target)).toMatchObject({ Ok: { binary: 'py-spy' } });
    expect(onPath.runs).toHaveLength(1);
    mkdirSync(join(folder, 'a-folder'));
    const failed = failedOf(await pySpy(join(folder, 'a-folder')).dump(target));
    expect(failed).toMatchObject({ exit_code: null });
    expect(failed.stderr).toBe('failed to execute: permission denied (EACCES)');
    await pySpy('false').dump(target);
    expect(onPath.runs).toHaveLength(1);
  });

  it('of a binary name that cannot be one is Failed', async () => {
    expect(failedOf(await pySpy('a\0b').dump(target)).stderr).toContain('failed to execute');
  });

  it('gives the program no backtraces, and what the agent marks it with', async () => {
    vi.stubEnv('RUST_BACKTRACE', '1');
    const program = fake('echo "$RUST_BACKTRACE $MARK" >&2; exit 1');
    const failed = failedOf(await pySpy(program.path, { environment: { MARK: 'm-1' } }).dump(target));
    expect(failed.stderr).toBe('0 m-1\n');
  });
});

describe('dump at its bounds', () => {
  it('kills and reaps a program that hangs, with everything it started (PS-6)', async () => {
    const program = fake('sleep 1000 & echo $! > "$folder/grandchild"; echo $$ > "$folder/child"; wait');
    const started = performance.now();
    const failed = failedOf(await pySpy(program.path, { limits: { dump_timeout_ms: 300 } }).dump(target));
    expect(failed).toMatchObject({ exit_code: null });
    expect(failed.stderr).toMatch(/^py-spy subprocess timed out after 0s/);
    expect(performance.now() - started).toBeLessThan(PYSPY_LIMITS.dump_timeout_ms);
    expect(readProcess(Number(program.read('child')))).toBeNull();
    await until(
      () => (readProcess(Number(program.read('grandchild')))?.state ?? 'Z') === 'Z',
      'the end of the grandchild',
    );
  });

  it('does not wait for a stranger that holds the pipes open', async () => {
    const program = fake('setsid sleep 1000 & echo $! > "$folder/stranger"; echo "[]"');
    cleanups.push(() => {
      process.kill(Number(program.read('stranger')), 'SIGKILL');
    });
    expect(await pySpy(program.path).dump(target)).toHaveProperty('Ok');
  });

  it('is stopped by an abort, and at once when it comes too late', async () => {
    const program = fake('echo $$ > "$folder/child"; exec sleep 1000');
    const abort = new AbortController();
    const runner = pySpy(program.path);
    const dump = runner.dump(target, abort.signal);
    await until(() => (program.read('child') ?? '') !== '', 'the pid of the child');
    abort.abort();
    expect(failedOf(await dump).stderr).toContain('cancelled');
    expect(readProcess(Number(program.read('child')))).toBeNull();
    expect(failedOf(await runner.dump(target, abort.signal)).stderr).toContain('cancelled');
    expect(program.runs).toHaveLength(1);
  });

  it('is stopped by close, after which nothing runs any more', async () => {
    const program = fake('echo $$ > "$folder/child"; exec sleep 1000');
    const runner = pySpy(program.path);
    const dump = runner.dump(target);
    await until(() => (program.read('child') ?? '') !== '', 'the pid of the child');
    await runner.close();
    expect(readProcess(Number(program.read('child')))).toBeNull();
    expect(failedOf(await dump).stderr).toContain('cancelled');
    expect(failedOf(await runner.dump(target)).stderr).toContain('cancelled');
  });

  it('reads output up to the bound, and fails beyond it', async () => {
    const max = PYSPY_LIMITS.stdout_max_bytes;
    const atBound = fake(`echo "[]"; head -c ${max - 3} /dev/zero | tr '\\0' ' '`);
    expect(await pySpy(atBound.path).dump(target)).toMatchObject({ Ok: { stack_traces: [] } });
    const beyond = fake(`echo "[]"; head -c ${max - 2} /dev/zero | tr '\\0' ' '; sleep 1000`);
    expect(failedOf(await pySpy(beyond.path).dump(target)).stderr).toContain(`more than ${max} bytes`);
  });

  it('keeps the end of standard error when it is beyond the bound', async () => {
    const max = PYSPY_LIMITS.stderr_max_bytes;
    const program = fake(`head -c ${max} /dev/zero | tr '\\0' x >&2; printf 'the reason' >&2; exit 1`);
    const { stderr } = failedOf(await pySpy(program.path).dump(target));
    expect(stderr).toMatch(/^\[the first 10 bytes are left out\]\nx+the reason$/);
    expect(stderr.length).toBeLessThan(max + 100);
  });
});

describe('a binary without --native-all (PS-11)', () => {
  it('is run twice by the first request and once by later ones, with the warning on each', async () => {
    const program = fake(`${REFUSE_NATIVE_ALL}\necho "[]"`);
    const runner = pySpy(program.path);
    const ok = { Ok: { capture_mode: 'native', stack_traces: [], warnings: [WARNING] } };
    expect(await runner.dump(target)).toMatchObject(ok);
    const plain = `dump --pid ${target.pid} --json --native`;
    expect(program.runs).toEqual([`${plain} --native-all`, plain]);
    program.forgetRuns();
    expect(await runner.dump(target)).toMatchObject(ok);
    expect(await runner.dump(target)).toMatchObject(ok);
    expect(program.runs).toEqual([plain, plain]);
  });

  it('is tried with the flag again when its file has changed', async () => {
    const program = fake(`${REFUSE_NATIVE_ALL}\necho "[]"`);
    const runner = pySpy(program.path);
    await runner.dump(target);
    program.write('echo "[]"');
    utimesSync(program.path, 1_000, 1_000);
    expect(await runner.dump(target)).toMatchObject({ Ok: { capture_mode: 'native_all', warnings: [] } });
  });

  it('that fails in nonblocking mode too is run four times, the flag in the first only (PS-10)', async () => {
    const program = fake(`${REFUSE_NATIVE_ALL}\necho "some other error" >&2; exit 1`);
    const started = performance.now();
    const failed = failedOf(await pySpy(program.path).dump(target, undefined, NONBLOCKING));
    expect(failed).toMatchObject({ exit_code: 1, stderr: 'some other error\n' });
    expect(program.runs.map((run) => run.includes('--native-all'))).toEqual([true, false, false, false]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(2 * PYSPY_LIMITS.nonblocking_pause_ms - 5);
  });

  it('is told by exit code 2 together with the flag in the text, and by nothing less', async () => {
    for (const body of ['echo "bad --native-all" >&2; exit 1', 'echo "bad flag" >&2; exit 2']) {
      const program = fake(body);
      await pySpy(program.path).dump(target);
      expect(program.runs).toHaveLength(1);
    }
  });

  it('may succeed at a later nonblocking attempt', async () => {
    const program = fake('[ -e "$folder/second" ] && echo "[]" && exit 0; touch "$folder/second"; exit 1');
    expect(await pySpy(program.path).dump(target, undefined, NONBLOCKING)).toHaveProperty('Ok');
    expect(program.runs).toHaveLength(2);
  });
});

describe('another tracer', () => {
  const COLLIDES = 'echo "Failed to suspend process" >&2; exit 1';

  it('that holds the process for a moment is waited out', async () => {
    const program = fake(`[ -e "$folder/second" ] && echo "[]" && exit 0; touch "$folder/second"; ${COLLIDES}`);
    expect(await pySpy(program.path).dump(target)).toHaveProperty('Ok');
    expect(program.runs).toHaveLength(2);
  });

  it('that keeps it ends the attempts after the bound', async () => {
    const program = fake(COLLIDES);
    expect(failedOf(await pySpy(program.path).dump(target)).exit_code).toBe(1);
    expect(program.runs).toHaveLength(1 + PYSPY_LIMITS.collision_retries);
  });
});

describe('many at once', () => {
  /** Fails when two of it run together. */
  const ALONE = 'mkdir "$folder/lock" || exit 9; sleep 0.05; rmdir "$folder/lock"; echo "[]"';

  it('of one process take turns, and each gets an answer', async () => {
    const runner = pySpy(fake(ALONE).path);
    const results = await Promise.all(Array.from({ length: 8 }, () => runner.dump(target)));
    for (const result of results) expect(result).toHaveProperty('Ok');
  });

  it('beyond the bound are refused at once, with the numbers', async () => {
    const gate = fake('touch "$folder/started"; while [ ! -e "$folder/open" ]; do sleep 0.02; done; echo "[]"');
    const runner = pySpy(gate.path, { limits: { dumps_running_max: 1, dumps_waiting_max: 1 } });
    const running = runner.dump(target);
    const waiting = runner.dump(target);
    const { stderr } = failedOf(await runner.dump(target));
    expect(stderr).toBe('too many stack dumps at once on this host (1 running, 1 waiting); try again in a few seconds');
    await until(() => existsSync(join(gate.folder, 'started')), 'the start');
    gate.write('echo "[]"');
    writeFileSync(join(gate.folder, 'open'), '');
    expect(await running).toHaveProperty('Ok');
    expect(await waiting).toHaveProperty('Ok');
  });

  it('wait no longer than their deadline', async () => {
    const gate = fake('exec sleep 1000');
    const runner = pySpy(gate.path, { limits: { dump_timeout_ms: 300 } });
    const results = await Promise.all([runner.dump(target), runner.dump(target)]);
    for (const result of results) expect(failedOf(result).stderr).toContain('timed out');
    expect(gate.runs).toHaveLength(1);
  });

  it('profiles leave the turns of dumps alone (PP-5)', async () => {
    const program = fake('case $1 in record) touch "$folder/recording"; exec sleep 1000;; esac; echo "[]"');
    const runner = pySpy(program.path, {
      limits: { dumps_running_max: 1, profiles_running_max: 1, profiles_waiting_max: 0 },
    });
    const abort = new AbortController();
    const profile = runner.profile(target, PROFILE, abort.signal);
    await until(() => existsSync(join(program.folder, 'recording')), 'the start of the recording');
    expect(await runner.dump(target)).toHaveProperty('Ok');
    expect(await runner.profile(target, PROFILE)).toEqual({
      kind: 'exit_failure',
      exit_code: null,
      stderr: 'too many profiles at once on this host (1 running, 0 waiting); try again in a few seconds',
    });
    abort.abort();
    expect(await profile).toMatchObject({ kind: 'exit_failure', stderr: expect.stringContaining('cancelled') });
  });
});

describe('the process that is meant (PS-1)', () => {
  it('is never looked at when its pid belongs to another one', async () => {
    const program = fake('echo "[]"');
    const other = { ...target, start_ticks: target.start_ticks - 1 };
    expect(failedOf(await pySpy(program.path).dump(other)).stderr).toContain('its pid belongs to another process now');
    const profile = await pySpy(program.path).profile(other, PROFILE);
    expect(profile).toMatchObject({ kind: 'exit_failure', stderr: expect.stringContaining('another process') });
    expect(program.runs).toEqual([]);
  });

  it('is checked after the run too, since it may have ended meanwhile', async () => {
    const child = spawn('sleep', ['1000']);
    const ended = once(child, 'exit');
    const mortal = identify(child.pid ?? 0) ?? { pid: 0, start_ticks: 0 };
    const program = fake(`kill -KILL ${child.pid}; while kill -0 ${child.pid} 2>/dev/null; do :; done; echo "[]"`);
    expect(failedOf(await pySpy(program.path).dump(mortal)).stderr).toBe(`process ${child.pid} has ended`);
    await ended;
  });
});

describe('profile', () => {
  it('that takes too long is killed, and tells what was said before (PP-2)', async () => {
    const program = fake('echo "said before" >&2; exec sleep 1000');
    const outcome = await pySpy(program.path, { limits: { profile_margin_ms: 200 } }).profile(target, PROFILE);
    expect(outcome).toEqual({ kind: 'timed_out', timeout_s: 1, stderr: 'said before\n' });
  });

  it('is given its duration and 15 seconds', async () => {
    // The two numbers of the contract: 30 s are 45 s for the subprocess. What the gateway waits is its own.
    expect(30_000 + PYSPY_LIMITS.profile_margin_ms).toBe(45_000);
  });

  it('without a binary says what was searched', async () => {
    onlyOnPath(temporary);
    expect(await pySpy('/none').profile(target, PROFILE)).toEqual({
      kind: 'binary_not_found',
      searched: ['PYSPY_BIN=/none', 'py-spy on PATH'],
    });
  });

  it('tells apart a picture, an empty file, no file and one that cannot be read (PP-6)', async () => {
    const written = fake(`${FIND_OUTPUT}\nprintf '<svg/>' > "$output"`);
    expect(await pySpy(written.path).profile(target, PROFILE)).toEqual({ kind: 'ok', svg: '<svg/>' });
    const empty = fake(`${FIND_OUTPUT}\ntouch "$output"`);
    const missing = fake('exit 0');
    const unreadable = fake(`${FIND_OUTPUT}\nmkdir "$output"`);
    const { pid } = target;
    expect(await pySpy(empty.path).profile(target, PROFILE)).toEqual({ kind: 'output_empty', pid, binary: empty.path });
    expect(await pySpy(missing.path).profile(target, PROFILE)).toEqual({
      kind: 'output_missing',
      pid,
      binary: missing.path,
    });
    expect(await pySpy(unreadable.path).profile(target, PROFILE)).toMatchObject({ kind: 'output_read_failure' });
  });

  it('is taken up to its largest size and not beyond', async () => {
    const limit_bytes = PYSPY_LIMITS.svg_max_bytes;
    const of = (size: number) => fake(`${FIND_OUTPUT}\nhead -c ${size} /dev/zero > "$output"`).path;
    expect(await pySpy(of(limit_bytes)).profile(target, PROFILE)).toMatchObject({ kind: 'ok' });
    expect(await pySpy(of(limit_bytes + 1)).profile(target, PROFILE)).toEqual({
      kind: 'output_too_large',
      size_bytes: limit_bytes + 1,
      limit_bytes,
    });
  });

  it('that fails is a failure even with a file, and that of an idle process is no picture', async () => {
    const failing = fake(`${FIND_OUTPUT}\nprintf '<svg/>' > "$output"; printf why >&2; exit 3`);
    expect(await pySpy(failing.path).profile(target, PROFILE)).toEqual({
      kind: 'exit_failure',
      exit_code: 3,
      stderr: 'why',
    });
    const idle = fake(`${FIND_OUTPUT}\nprintf '<svg/>' > "$output"; echo "Error: No stack counts found" >&2; exit 1`);
    expect(await pySpy(idle.path).profile(target, PROFILE)).toEqual({ kind: 'no_samples', duration_s: 1 });
    expect(failing.runs).toHaveLength(1);
  });

  it('that cannot be started, or has nowhere to write, says so', async () => {
    expect(await pySpy(temporary).profile(target, PROFILE)).toEqual({
      kind: 'subprocess_spawn_failure',
      error: 'permission denied (EACCES)',
    });
    vi.stubEnv('TMPDIR', '/none');
    expect(await pySpy('true').profile(target, PROFILE)).toMatchObject({
      kind: 'temp_dir_failure',
      error: expect.stringContaining('ENOENT'),
    });
    vi.stubEnv('TMPDIR', temporary);
  });
});
