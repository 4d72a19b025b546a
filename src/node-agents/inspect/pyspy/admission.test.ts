import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Admission, TurnQueue } from './admission.ts';

const later = () => performance.now() + 60_000;

async function admitted(turn: Promise<Admission>): Promise<() => void> {
  const admission = await turn;
  if (admission.kind !== 'admitted') throw new Error(`expected to be admitted, was ${admission.kind}`);
  return admission.release;
}

/** Whether a turn has come by now, without waiting for it. */
async function hasCome(turn: Promise<Admission>): Promise<boolean> {
  const nothing = Symbol();
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([turn, Promise.resolve(nothing)])) !== nothing;
}

describe('TurnQueue', () => {
  it('lets the bound run, the bound wait, and refuses the next', async () => {
    const queue = new TurnQueue(2, 2);
    const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map((key) => queue.enter(key, later()));
    expect(await queue.enter('e', later())).toEqual({ kind: 'full', running: 2, waiting: 2 });
    if (!first || !second || !third || !fourth) throw new Error('unreachable');
    expect(await hasCome(third)).toBe(false);
    (await admitted(first))();
    const releaseThird = await admitted(third);
    expect(await hasCome(fourth)).toBe(false);
    (await admitted(second))();
    (await admitted(fourth))();
    releaseThird();
    expect((await queue.enter('e', later())).kind).toBe('admitted');
  });

  it('never runs two of one key, and lets others pass them', async () => {
    const queue = new TurnQueue(2, 8);
    const first = await admitted(queue.enter('a', later()));
    const second = queue.enter('a', later());
    const other = await admitted(queue.enter('b', later()));
    expect(await hasCome(second)).toBe(false);
    other();
    expect(await hasCome(second)).toBe(false);
    first();
    (await admitted(second))();
  });

  it('is first come, first served', async () => {
    const queue = new TurnQueue(1, 8);
    const release = await admitted(queue.enter('x', later()));
    const order: string[] = [];
    const turns = ['a', 'b', 'c', 'a'].map(async (key) => {
      const done = await admitted(queue.enter(key, later()));
      order.push(key);
      done();
    });
    release();
    await Promise.all(turns);
    expect(order).toEqual(['a', 'b', 'c', 'a']);
  });

  it('ends a wait at its deadline and at an abort, and makes room', async () => {
    const queue = new TurnQueue(1, 1);
    const release = await admitted(queue.enter('a', later()));
    expect(await queue.enter('b', performance.now() + 5)).toEqual({ kind: 'timed_out' });
    const abort = new AbortController();
    const waiting = queue.enter('b', later(), abort.signal);
    expect(await queue.enter('c', later())).toMatchObject({ kind: 'full' });
    abort.abort();
    expect(await waiting).toEqual({ kind: 'aborted' });
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    const last = queue.enter('d', later());
    release();
    (await admitted(last))();
    expect(await queue.enter('e', later(), abort.signal)).toEqual({ kind: 'aborted' });
  });
});
