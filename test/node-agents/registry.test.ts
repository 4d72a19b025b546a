import { describe, expect, it } from 'vitest';
import { type AgentLimits, LIMITS } from '../../src/node-agents/limits.ts';
import type { ProcessIdentity } from '../../src/node-agents/procfs/index.ts';
import { endFor } from '../../src/node-agents/procs/command-proc.ts';
import { procRefs } from '../../src/node-agents/procs/identity.ts';
import type { ProcState } from '../../src/node-agents/procs/lifecycle.ts';
import { ProcessProc } from '../../src/node-agents/procs/process-proc.ts';
import { ProcGroup } from '../../src/node-agents/procs/process-rows.ts';
import { ProcRegistry } from '../../src/node-agents/procs/registry.ts';
import { testProcHost } from '../support/proc-host.ts';

const RUNNING: ProcState = { kind: 'running' };

/** A proc that moves when a test says so. */
class TestProc extends ProcessProc {
  readonly group = null;
  async stop(): Promise<void> {}
  kill(): void {}

  move(state: ProcState): void {
    this.lifecycle.move(state);
  }

  touch(): void {
    this.lifecycle.touch();
  }
}

function testProc(number: number, identity: ProcessIdentity = { pid: number, start_ticks: 1 }): TestProc {
  const facts = {
    refs: procRefs('host', `p${number}`, 'p', BigInt(number)),
    name: `p${number}`,
    origin: 'started',
    identity,
    command: ['p'],
    parent_pid: 1,
    parent: null,
    rank: null,
    local_rank: null,
    started_at_ms: 0,
    output: null,
  } as const;
  return new TestProc(testProcHost(), facts, { group: new ProcGroup('host', facts.name, 1), rank: 0 }, RUNNING);
}

function exited(code: number, ended_at_ms: number): ProcState {
  return endFor({ code, signal: null }, ended_at_ms, false);
}

function startRegistry(limits: Partial<AgentLimits> = {}) {
  const told: string[] = [];
  const registry = new ProcRegistry({ ...LIMITS, ...limits });
  registry.listen({
    added: ({ name }) => told.push(`+${name}`),
    changed: ({ name, state }) => told.push(`${name} ${state.kind}`),
    removed: ({ name }) => told.push(`-${name}`),
    refused: (count) => told.push(`refused ${count}`),
  });
  return { registry, told };
}

describe('the registry', () => {
  it('tells of every change, and never leaves a terminal state (FI-2)', () => {
    const { registry, told } = startRegistry();
    const proc = testProc(1);
    registry.add(proc);
    proc.move({ kind: 'stopping' });
    proc.move(exited(1, 5));
    proc.move(RUNNING);
    proc.move(exited(0, 6));
    expect(told).toEqual(['+p1', 'p1 stopping', 'p1 failed']);
    expect(registry.findLive({ pid: 1, start_ticks: 1 })).toBeUndefined();
    expect(registry.find(proc.ref)).toBe(proc);
  });

  it('finds the live proc of a pid that was given out again', () => {
    const { registry } = startRegistry();
    const first = testProc(1);
    const identity = { pid: 1, start_ticks: 9 };
    const second = testProc(2, identity);
    registry.add(first);
    expect(registry.findLive(identity)).toBeUndefined();
    registry.add(second);
    // That the first has ended may be noticed only now.
    first.move(exited(0, 5));
    expect(registry.findLive(identity)).toBe(second);
    expect(registry.findLive({ pid: 1, start_ticks: 1 })).toBeUndefined();
  });

  it('does not tell of changes of a proc that it dropped, whose output may come to its end late', () => {
    const { registry, told } = startRegistry();
    const first = testProc(0);
    registry.add(first);
    first.move(exited(0, 0));
    for (let number = 1; number <= LIMITS.ended_procs_max; number += 1) {
      const proc = testProc(number);
      registry.add(proc);
      proc.move(exited(0, number));
    }
    expect(told.at(-1)).toBe('-p0');
    first.touch();
    expect(told.at(-1)).toBe('-p0');
  });

  it('keeps so many ended procs: clean stops go first, oldest first, then the latest failures', () => {
    const { registry, told } = startRegistry();
    const end = (number: number, code: number, at: number): void => {
      const proc = testProc(number);
      registry.add(proc);
      proc.move(exited(code, at));
    };
    for (let number = 1; number < LIMITS.ended_procs_max; number += 1) end(number, 1, number);
    end(500, 0, 500);
    expect(told.filter((line) => line.startsWith('-'))).toEqual([]);
    end(501, 1, 501);
    expect(told.filter((line) => line.startsWith('-'))).toEqual(['-p500']);
    end(502, 1, 502);
    expect(told.filter((line) => line.startsWith('-'))).toEqual(['-p500', '-p502']);
  });

  it('shows so many procs, makes room by ended ones, and counts what it cannot show', () => {
    const { registry, told } = startRegistry();
    const first = testProc(1);
    expect(registry.add(first)).toBe(true);
    for (let number = 2; number <= LIMITS.procs_max; number += 1) expect(registry.add(testProc(number))).toBe(true);
    expect(registry.add(testProc(9_000))).toBe(false);
    expect(told.at(-1)).toBe('refused 1');
    first.move(exited(0, 5));
    expect(registry.add(testProc(9_001))).toBe(true);
    expect(registry.procs()).toHaveLength(LIMITS.procs_max);
  });
});
