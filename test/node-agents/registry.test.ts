import { describe, expect, it } from 'vitest';
import { refKey } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/node-agents/limits.ts';
import { procRefs } from '../../src/node-agents/procs/identity.ts';
import { type ProcRecord, type ProcState, stateForExit } from '../../src/node-agents/procs/proc-record.ts';
import { ProcRegistry } from '../../src/node-agents/procs/registry.ts';

const RUNNING: ProcState = { kind: 'running' };

function record(number: number, state: ProcState = RUNNING): ProcRecord {
  return {
    refs: procRefs('host', `p${number}`, 'p', BigInt(number)),
    name: `p${number}`,
    origin: 'started',
    identity: { pid: number, start_ticks: 1 },
    command: ['p'],
    parent_pid: 1,
    parent: null,
    rank: null,
    local_rank: null,
    started_at_ms: 0,
    instance_ids: { proc_agent: 'a', command: 'b' },
    output: null,
    state,
  };
}

function exited(code: number, ended_at_ms: number): ProcState {
  return stateForExit({ code, signal: null }, ended_at_ms, false);
}

function startRegistry() {
  const told: string[] = [];
  const registry = new ProcRegistry({
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
    const proc = record(1);
    registry.add(proc);
    registry.move(proc, { kind: 'stopping' });
    registry.move(proc, exited(1, 5));
    registry.move(proc, RUNNING);
    registry.move(proc, exited(0, 6));
    expect(told).toEqual(['+p1', 'p1 stopping', 'p1 failed']);
    expect(registry.findLive({ pid: 1, start_ticks: 1 })).toBeUndefined();
    expect(registry.find(refKey(proc.refs.proc))).toBe(proc);
  });

  it('finds the live proc of a pid that was given out again', () => {
    const { registry } = startRegistry();
    const first = record(1);
    const identity = { pid: 1, start_ticks: 9 };
    const second = { ...record(2), identity };
    registry.add(first);
    expect(registry.findLive(identity)).toBeUndefined();
    registry.add(second);
    // That the first has ended may be noticed only now.
    registry.move(first, exited(0, 5));
    expect(registry.findLive(identity)).toBe(second);
    expect(registry.findLive({ pid: 1, start_ticks: 1 })).toBeUndefined();
  });

  it('does not tell of changes of a proc that it dropped, whose output may come to its end late', () => {
    const { registry, told } = startRegistry();
    const first = record(0);
    registry.add(first);
    registry.move(first, exited(0, 0));
    for (let number = 1; number <= LIMITS.ended_procs_max; number += 1) {
      const proc = record(number);
      registry.add(proc);
      registry.move(proc, exited(0, number));
    }
    expect(told.at(-1)).toBe('-p0');
    registry.touch(first);
    expect(told.at(-1)).toBe('-p0');
  });

  it('keeps so many ended procs: clean stops go first, oldest first, then the latest failures', () => {
    const { registry, told } = startRegistry();
    const end = (number: number, code: number, at: number): void => {
      const proc = record(number);
      registry.add(proc);
      registry.move(proc, exited(code, at));
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
    for (let number = 1; number <= LIMITS.procs_max; number += 1) expect(registry.add(record(number))).toBe(true);
    expect(registry.add(record(9_000))).toBe(false);
    expect(told.at(-1)).toBe('refused 1');
    const [first] = registry.records();
    if (first !== undefined) registry.move(first, exited(0, 5));
    expect(registry.add(record(9_001))).toBe(true);
    expect(registry.records()).toHaveLength(LIMITS.procs_max);
  });
});
