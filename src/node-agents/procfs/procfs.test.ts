/** Reading procfs: the parsers on text as kernels write it, and the readers on real processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  bootId,
  bootTimeMs,
  clockTicksPerSecond,
  executableName,
  hasEnvironmentMarker,
  identify,
  isAlive,
  isRunning,
  isSameProcess,
  listPids,
  pageSizeBytes,
  readCommandLine,
  readMemory,
  readProcess,
  readRanks,
  readStatus,
  scanProcesses,
  startTimeMs,
} from './index.ts';
import { PROCFS_LIMITS } from './limits.ts';
import { auxiliaryValue } from './machine.ts';
import { parseStatm } from './process-memory.ts';
import { parseStat } from './process-stat.ts';
import { parseStatus } from './process-status.ts';

const NO_PID = 2 ** 30;
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'meshscope-procfs-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A process that has said that it runs, so that its `exec` is over. */
async function start(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ChildProcess & { pid: number }> {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return Object.assign(child, { pid: child.pid ?? 0 });
}

const READY = 'echo ready; read line';

function statLine(pid: number, comm: string, state = 'S', start_ticks = 4567): string {
  const fields = [state, 1, pid, pid, 0, -1, ...Array.from({ length: 11 }, () => 0), 3, 0, start_ticks, 1000, 10];
  return `${pid} (${comm}) ${fields.join(' ')}\n`;
}

function fakeProcess(root: string, pid: number, files: Record<string, string | Buffer>): void {
  mkdirSync(join(root, `${pid}`), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, `${pid}`, name), content);
}

describe('stat', () => {
  it.each(['python3', 'a) b (c', ') S 1 2 3', '(', '', 'two\nlines', 'Web Content'])(
    'is read right for the name %j',
    (comm) => {
      expect(parseStat(statLine(42, comm))).toEqual({
        pid: 42,
        comm,
        state: 'S',
        ppid: 1,
        pgrp: 42,
        session: 42,
        threads: 3,
        start_ticks: 4567,
      });
    },
  );

  it.each(['', '42', '42 (x)', '42 (x) S', 'x (y) S 1 2 3', statLine(42, 'x').replace('4567', '-')])(
    'is null for %j, which is no stat line',
    (line) => expect(parseStat(line)).toBeNull(),
  );

  it('of this process says what Node says', () => {
    expect(readProcess(process.pid)).toMatchObject({ pid: process.pid, ppid: process.ppid, state: 'R' });
  });

  it.each([NO_PID, 0, -1, 1.5, Number.NaN])('is null for %d, which is no process', (pid) => {
    expect(readProcess(pid)).toBeNull();
    expect(readCommandLine(pid)).toBeNull();
    expect(executableName(pid)).toBeNull();
    expect(readStatus(pid)).toBeNull();
    expect(readRanks(pid)).toEqual({ rank: null, local_rank: null });
    expect(readMemory(pid)).toEqual({ process_rss_bytes: null, process_vm_size_bytes: null });
  });
});

describe('identity (PS-1)', () => {
  it('is lost when the process ends', async () => {
    const child = await start('/bin/sh', ['-c', READY]);
    const identity = identify(child.pid);
    if (identity === null) throw new Error('the child has no identity');
    expect(isSameProcess(identity)).toBe(true);
    expect(isRunning(identity)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isSameProcess(identity)).toBe(false);
  });

  it('is not taken over by a process that got the pid later', () => {
    const root = temporaryFolder();
    fakeProcess(root, 42, { stat: statLine(42, 'old', 'S', 100) });
    const identity = identify(42, root) ?? { pid: 0, start_ticks: 0 };
    fakeProcess(root, 42, { stat: statLine(42, 'old', 'S', 101) });
    expect(isSameProcess(identity, root)).toBe(false);
    expect(isRunning(identity, root)).toBe(false);
  });

  it('stays that of a zombie, which does not run', () => {
    const root = temporaryFolder();
    fakeProcess(root, 42, { stat: statLine(42, 'x', 'Z') });
    const identity = { pid: 42, start_ticks: 4567 };
    expect(isSameProcess(identity, root)).toBe(true);
    expect(isRunning(identity, root)).toBe(false);
    expect(isAlive({ ...(readProcess(42, root) ?? fail()), state: 'S' })).toBe(true);
  });

  it('gives a start time near the one observed', async () => {
    const before = Date.now();
    const child = await start('/bin/sh', ['-c', READY]);
    const started = startTimeMs(identify(child.pid)?.start_ticks ?? 0) ?? 0;
    expect(started).toBeGreaterThan(before - 1_000);
    expect(started).toBeLessThan(Date.now() + 1_000);
  });
});

describe('command line', () => {
  it('is the arguments as they were given, empty ones too', async () => {
    const child = await start('/bin/sh', ['-c', READY, 'name', '', 'two words', 'ü']);
    expect(readCommandLine(child.pid)).toEqual(['/bin/sh', '-c', READY, 'name', '', 'two words', 'ü']);
    expect(executableName(child.pid)).toMatch(/sh$/);
  });

  it('is empty for a kernel thread, and read up to its bound for a very long one', () => {
    const root = temporaryFolder();
    const max = PROCFS_LIMITS.command_line_max_bytes;
    fakeProcess(root, 1, { cmdline: '' });
    fakeProcess(root, 2, { cmdline: `${'a'.repeat(max - 1)}\0` });
    fakeProcess(root, 3, { cmdline: `${'a'.repeat(max)}b\0` });
    expect(readCommandLine(1, root)).toEqual([]);
    expect(readCommandLine(2, root)).toEqual(['a'.repeat(max - 1)]);
    expect(readCommandLine(3, root)).toEqual(['a'.repeat(max)]);
  });
});

describe('environment', () => {
  it('gives the ranks of a real process and finds its marker', async () => {
    const child = await start('/bin/sh', ['-c', READY], { RANK: '7', LOCAL_RANK: '3', WORLD_RANK: '9', MARK: 'm-1' });
    expect(readRanks(child.pid)).toEqual({ rank: 7, local_rank: 3 });
    expect(hasEnvironmentMarker(child.pid, 'MARK', 'm-1')).toBe(true);
    expect(hasEnvironmentMarker(child.pid, 'MARK', 'm-')).toBe(false);
    expect(hasEnvironmentMarker(child.pid, 'MARK', 'm-10')).toBe(false);
    expect(hasEnvironmentMarker(child.pid, 'ARK', 'm-1')).toBe(false);
  });

  it.each([
    ['RANK=1\0', 1, null],
    ['X=1\0RANK=2\0LOCAL_RANK=0\0', 2, 0],
    ['LOCAL_RANK=4\0', null, 4],
    ['MY_RANK=1\0X=RANK=2\0', null, null],
    ['RANK=\0', null, null],
    ['RANK=abc\0LOCAL_RANK=-1\0', null, null],
    ['RANK=1.5\0', null, null],
    ['RANK=9999999999\0', null, null],
    ['RANK=3', 3, null],
    ['', null, null],
  ])('%j gives rank %s and local rank %s', (environ, rank, local_rank) => {
    const root = temporaryFolder();
    fakeProcess(root, 42, { environ });
    expect(readRanks(42, root)).toEqual({ rank, local_rank });
  });

  it('is searched up to its bound and not beyond', () => {
    const root = temporaryFolder();
    const entry = '\0RANK=1';
    const filler = 'x'.repeat(PROCFS_LIMITS.environment_max_bytes - entry.length);
    fakeProcess(root, 1, { environ: filler + entry });
    fakeProcess(root, 2, { environ: `${filler}xxxxxxx${entry}` });
    expect(readRanks(1, root).rank).toBe(1);
    expect(readRanks(2, root).rank).toBeNull();
  });
});

describe('memory (PD-2: never made up)', () => {
  it.each([
    ['100 20 3 4 0 5 0', 4096, 20 * 4096, 100 * 4096],
    ['100 20', 16384, 20 * 16384, 100 * 16384],
    ['x 20 3', 4096, 20 * 4096, null],
    ['100 x 3', 4096, null, 100 * 4096],
    ['100', 4096, null, 100 * 4096],
    ['100 0 0', 4096, 0, 100 * 4096],
    ['0 0 0 0 0 0 0', 4096, null, null],
    ['-1 -1', 4096, null, null],
    ['99999999999999999 1', 4096, 4096, null],
    ['', 4096, null, null],
    ['100 20', null, null, null],
    ['100 20', 0, null, null],
  ])('%j with pages of %s bytes gives rss %s and vm %s', (line, page_size_bytes, rss, vm) => {
    expect(parseStatm(line, page_size_bytes)).toEqual({ process_rss_bytes: rss, process_vm_size_bytes: vm });
  });

  it('of this process agrees with what Node reports of it', () => {
    const { process_rss_bytes, process_vm_size_bytes } = readMemory('self');
    expect(process_rss_bytes ?? 0).toBeGreaterThan(process.memoryUsage.rss() * 0.5);
    expect(process_rss_bytes ?? 0).toBeLessThan(process.memoryUsage.rss() * 2);
    expect(process_vm_size_bytes ?? 0).toBeGreaterThan(process_rss_bytes ?? 0);
  });

  it('of a real zombie is null', async () => {
    // The child waits until its parent, the shell, has become a `sleep`, which never collects it.
    const child = `sh -c 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done'`;
    const parent = await start('/bin/sh', ['-c', `${child} & echo ready; exec sleep 1000`]);
    let zombie: number | undefined;
    while (zombie === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      zombie = listPids().find((pid) => {
        const stat = readProcess(pid);
        return stat?.ppid === parent.pid && stat.state === 'Z';
      });
    }
    expect(readMemory(zombie)).toEqual({ process_rss_bytes: null, process_vm_size_bytes: null });
    expect(isRunning(identify(zombie) ?? fail())).toBe(false);
    expect(readCommandLine(zombie)).toEqual([]);
  });
});

describe('machine', () => {
  it('has a page size, clock ticks, a boot id and a boot time', () => {
    expect(Math.log2(pageSizeBytes() ?? 0) % 1).toBe(0);
    expect(clockTicksPerSecond()).toBe(100);
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
    const btime_s = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
    expect(Math.abs((bootTimeMs() ?? 0) - btime_s * 1000)).toBeLessThan(2_000);
    expect(bootTimeMs()).toBe(bootTimeMs());
  });

  it('reads auxiliary vectors of either word size, and null for what is not in them', () => {
    const words64 = Buffer.alloc(32);
    words64.writeBigUInt64LE(6n, 0);
    words64.writeBigUInt64LE(65_536n, 8);
    const words32 = Buffer.alloc(16);
    words32.writeUInt32LE(6, 0);
    words32.writeUInt32LE(4096, 4);
    expect(auxiliaryValue(words64, 6, 8)).toBe(65_536);
    expect(auxiliaryValue(words32, 6, 4)).toBe(4096);
    expect(auxiliaryValue(words64, 17, 8)).toBeNull();
    expect(auxiliaryValue(Buffer.alloc(7), 6, 8)).toBeNull();
  });
});

describe('status', () => {
  it('of this process has its owner', () => {
    expect(readStatus('self')?.uids).toContain(process.getuid?.());
    expect(readStatus(process.pid)?.tracer_pid).toBe(0);
  });

  it('takes what is missing for unknown', () => {
    expect(parseStatus('Name:\tx\nCapEff:\tzz\nUid:\t\n')).toEqual({
      state: null,
      uids: [],
      gids: [],
      tracer_pid: null,
      effective_capabilities: null,
      permitted_capabilities: null,
      ambient_capabilities: null,
      seccomp_mode: null,
    });
  });
});

describe('scan', () => {
  it('finds this process and its children', async () => {
    const child = await start('/bin/sh', ['-c', READY]);
    const found = new Map<number, number>();
    for await (const stat of scanProcesses()) found.set(stat.pid, stat.ppid);
    expect(found.has(process.pid)).toBe(true);
    expect(found.get(child.pid)).toBe(process.pid);
  });

  it('of thousands of processes gives the event loop a turn after each slice', async () => {
    const root = temporaryFolder();
    const slice = PROCFS_LIMITS.scan_slice_processes;
    for (let pid = 1; pid <= 3 * slice + 1; pid += 1) fakeProcess(root, pid, { stat: statLine(pid, 'x') });
    let turns = 0;
    let isOver = false;
    const count = () => {
      if (isOver) return;
      turns += 1;
      setImmediate(count);
    };
    setImmediate(count);
    let processes = 0;
    for await (const _ of scanProcesses(root)) processes += 1;
    isOver = true;
    expect(processes).toBe(3 * slice + 1);
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('of a folder that is no procfs is empty', () => {
    expect(listPids(join(temporaryFolder(), 'none'))).toEqual([]);
  });
});

function fail(): never {
  throw new Error('expected a value');
}
