import { describe, expect, it } from 'vitest';
import type { Exit, Launched } from '../../src/node-agents/processes/launcher.ts';
import { CommandProc } from '../../src/node-agents/procs/command-proc.ts';
import { procRefs } from '../../src/node-agents/procs/identity.ts';
import { ProcGroup } from '../../src/node-agents/procs/process-rows.ts';
import { testProcHost } from '../support/proc-host.ts';

class FakeProcess implements Launched {
  readonly pid = 4_194_304;
  readonly done: string[] = [];
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #drain = Promise.withResolvers<void>();
  readonly exited = this.#exit.promise;
  readonly drained = this.#drain.promise;

  async run(): Promise<void> {
    this.done.push('run');
  }

  async terminate(grace_ms: number): Promise<void> {
    this.done.push(`TERM ${grace_ms}`);
    this.end({ code: null, signal: 'SIGTERM' });
    await this.exited;
  }

  kill(): void {
    this.done.push('KILL');
    this.end({ code: null, signal: 'SIGKILL' });
  }

  end(exit: Exit): void {
    this.#exit.resolve(exit);
  }

  drain(): void {
    this.#drain.resolve();
  }
}

function commandProc(start: FakeProcess | { readonly reason: string }) {
  const facts = {
    refs: procRefs('host', 'job', 'sh', 1n),
    name: 'job',
    origin: 'started',
    identity: null,
    command: ['sh'],
    parent_pid: 1,
    parent: null,
    rank: null,
    local_rank: null,
    started_at_ms: 0,
    output: null,
  } as const;
  const proc = new CommandProc(testProcHost(), facts, { group: new ProcGroup('host', 'job', 1), rank: 0 }, start);
  const states: string[] = [];
  proc.onChange(() => states.push(proc.state.kind));
  return { proc, states };
}

describe('a command', () => {
  it('is starting at its gate, runs, and fails by its exit; output that comes late is a change of what it shows', async () => {
    const process = new FakeProcess();
    const { proc, states } = commandProc(process);
    expect([proc.state.kind, proc.group]).toEqual(['starting', process.pid]);
    await proc.run();
    process.end({ code: 3, signal: null });
    await process.exited;
    expect(proc.state).toMatchObject({ kind: 'failed', reason: 'process exited with code 3', exit: { code: 3 } });
    process.drain();
    await process.drained;
    expect(states).toEqual(['running', 'failed', 'failed']);
  });

  it('is stopped on request, whatever its exit is then, and not asked twice', async () => {
    const process = new FakeProcess();
    const { proc, states } = commandProc(process);
    await proc.run();
    await proc.stop(500);
    await proc.stop(500);
    expect(process.done).toEqual(['run', 'TERM 500']);
    expect(states).toEqual(['running', 'stopping', 'stopped']);
    expect(proc.state).toMatchObject({ reason: 'stopped on request (killed by SIGTERM)' });
  });

  it('that is killed on request has not failed', async () => {
    const process = new FakeProcess();
    const { proc } = commandProc(process);
    await proc.run();
    proc.kill();
    await process.exited;
    expect(proc.state).toMatchObject({ kind: 'stopped', reason: 'stopped on request (killed by SIGKILL)' });
  });

  it('that could not be started has failed, and there is nothing to end', async () => {
    const { proc, states } = commandProc({ reason: 'no such program' });
    await proc.run();
    await proc.stop(500);
    proc.kill();
    expect(proc.group).toBeNull();
    expect(proc.state).toMatchObject({ kind: 'failed', reason: 'no such program' });
    expect(states).toEqual([]);
  });
});
