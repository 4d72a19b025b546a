import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/node-agents/limits.ts';
import type { CountedBatch } from '../../src/node-agents/producer/batch-code.ts';
import { Batcher } from '../../src/node-agents/producer/batcher.ts';
import { countOf, rowsOf } from '../support/batches.ts';
import { until } from '../support/until.ts';

const PRODUCER = randomUUID();

function start() {
  const taken: CountedBatch[] = [];
  const refused: string[] = [];
  let free: (() => void) | null = null;
  let isFull = false;
  const batcher = new Batcher({
    producer: PRODUCER,
    source: 'a test',
    async deliver(counted) {
      taken.push(counted);
      if (!isFull) return;
      await new Promise<void>((resolve) => {
        free = resolve;
      });
    },
    onRefused: (message) => refused.push(message),
  });
  return {
    batcher,
    taken,
    refused,
    add(count: number, from = 0) {
      for (let row = from; row < from + count; row += 1) batcher.add('snapshots', [`s${row}`, row]);
    },
    fill() {
      isFull = true;
    },
    free() {
      isFull = false;
      free?.();
    },
  };
}

describe('rows of a producer', () => {
  it('become a batch at once when there are enough, and after a while when there are not', async () => {
    const { batcher, taken, add } = start();
    add(LIMITS.batch_rows);
    await until(() => taken.length === 1, 'a full batch');
    expect(taken[0]).toMatchObject({
      rows: LIMITS.batch_rows,
      batch: { producer: PRODUCER, source: 'a test', seq: 1 },
    });
    const added_ms = performance.now();
    add(LIMITS.batch_rows - 1);
    expect(batcher.waitingRows).toBe(LIMITS.batch_rows - 1);
    await until(() => taken.length === 2, 'a late batch');
    expect(performance.now() - added_ms).toBeGreaterThan(LIMITS.batch_delay_ms * 0.9);
    expect(taken.map(({ batch }) => countOf(batch))).toEqual([LIMITS.batch_rows, LIMITS.batch_rows - 1]);
    expect(rowsOf(taken[0]?.batch as CountedBatch['batch']).snapshots?.[17]).toEqual(['s17', 17]);
  });

  it('wait while nobody takes them, and the oldest go beyond the bound, told in the next batch', async () => {
    const { batcher, taken, add, fill, free } = start();
    fill();
    add(LIMITS.batch_rows);
    await until(() => taken.length === 1, 'the batch under way');
    const bound = LIMITS.pending_rows_max;
    add(bound);
    // The batch that is under way counts as well, until there is room for another.
    expect([batcher.lostRows, batcher.waitingRows]).toEqual([0, bound + LIMITS.batch_rows]);
    add(1, bound);
    expect([batcher.lostRows, batcher.waitingRows]).toEqual([1, bound + LIMITS.batch_rows]);
    free();
    await batcher.flush();
    expect(taken.map(({ batch }) => batch.lost_rows).slice(0, 3)).toEqual([0, 1, 0]);
    expect(rowsOf(taken[1]?.batch as CountedBatch['batch']).snapshots?.[0]?.[0]).toBe('s1');
    expect(taken.reduce((sum, { rows }) => sum + rows, 0)).toBe(LIMITS.batch_rows + bound);
    expect(Math.max(...taken.map(({ rows }) => rows))).toBe(LIMITS.batch_rows_max);
    expect(taken.map(({ batch }) => batch.seq)).toEqual(taken.map((_, index) => index + 1));
  });

  it('share a batch only as far as it fits into a frame, and one that never fits is lost and counted', async () => {
    const { batcher, taken, refused } = start();
    // Random text, which no compression makes smaller than three quarters of its base64.
    const noise = (chars: number): string => {
      let text = '';
      while (text.length < chars) text += randomUUID().replaceAll('-', '');
      return text.slice(0, chars);
    };
    for (const chars of [400_000, 400_000, 3_000_000, 10]) batcher.add('snapshots', [noise(chars), 1]);
    await batcher.flush();
    expect(taken.map(({ rows }) => rows)).toEqual([1, 1, 1]);
    expect(taken.map(({ batch }) => batch.lost_rows)).toEqual([0, 0, 1]);
    for (const { batch } of taken) expect(JSON.stringify(batch).length).toBeLessThan(1024 * 1024);
    expect(refused[0]).toMatch(/1 rows do not fit: a batch of \d+ bytes/);
  });

  it('cost only themselves when they do not fit their table', async () => {
    const { batcher, taken, refused, add } = start();
    add(2);
    batcher.add('snapshots', ['late', 'not a number']);
    batcher.add('no_such_table', [1]);
    add(1, 2);
    await batcher.flush();
    expect(taken.map(({ batch }) => rowsOf(batch).snapshots)).toEqual([
      [
        ['s0', 0],
        ['s1', 1],
        ['s2', 2],
      ],
    ]);
    expect([batcher.lostRows, taken[0]?.batch.lost_rows]).toEqual([2, 2]);
    expect(refused).toEqual([expect.stringContaining('2 rows do not fit: tables.')]);
  });

  it('that are lost are told of even when no others follow', async () => {
    const { batcher, taken } = start();
    batcher.countLost(3);
    await batcher.flush();
    expect(taken).toEqual([
      { rows: 0, batch: { producer: PRODUCER, source: 'a test', seq: 1, lost_rows: 3, tables: {} } },
    ]);
    await batcher.flush();
    expect(taken).toHaveLength(1);
  });
});
