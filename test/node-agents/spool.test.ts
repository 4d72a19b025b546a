import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { countRows, type EventBatch } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/node-agents/limits.ts';
import { Spool } from '../../src/node-agents/telemetry/spool.ts';

const PRODUCER = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';

let sent: EventBatch[];
let isLinked: boolean;
let spool: Spool;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  isLinked = true;
  spool = new Spool(PRODUCER, (batch) => {
    if (isLinked) sent.push(batch);
    return isLinked;
  });
});

afterEach(() => {
  spool.close();
  vi.useRealTimers();
});

function add(count: number): void {
  for (let row = 0; row < count; row += 1) spool.add('snapshots', [`s${row}`, row]);
}

describe('the spool', () => {
  it('closes a batch after its delay, or at once when it is full', () => {
    add(LIMITS.batch_rows_max - 1);
    expect(sent).toHaveLength(0);
    vi.advanceTimersByTime(LIMITS.batch_delay_ms);
    expect(sent.map(countRows)).toEqual([LIMITS.batch_rows_max - 1]);
    spool.acknowledge(PRODUCER, 1);
    add(LIMITS.batch_rows_max);
    expect(sent.map((batch) => batch.seq)).toEqual([1, 2]);
  });

  it('closes a batch that would not fit into a frame, but never an empty one', () => {
    const half = 'x'.repeat(LIMITS.batch_max_chars / 2 - 10);
    for (const text of [half, half, half, half.repeat(3)]) spool.add('snapshots', [text, 1]);
    vi.advanceTimersByTime(LIMITS.batch_delay_ms);
    for (let seq = 1; seq <= 3; seq += 1) spool.acknowledge(PRODUCER, seq);
    expect(sent.map(countRows)).toEqual([2, 1, 1]);
  });

  it('has one batch under way, and sends the next when it is acknowledged', () => {
    add(LIMITS.batch_rows_max * 2);
    expect(sent.map((batch) => batch.seq)).toEqual([1]);
    spool.acknowledge(PRODUCER, 7);
    spool.acknowledge('another', 1);
    expect(sent).toHaveLength(1);
    spool.acknowledge(PRODUCER, 1);
    expect(sent.map((batch) => batch.seq)).toEqual([1, 2]);
  });

  it('sends what was under way again, unchanged, when the link is new or the acknowledgement is late', () => {
    add(LIMITS.batch_rows_max);
    spool.linkOpened();
    vi.advanceTimersByTime(LIMITS.ack_timeout_ms);
    expect(sent).toHaveLength(3);
    expect(new Set(sent).size).toBe(1);
    spool.acknowledge(PRODUCER, 1);
    vi.advanceTimersByTime(LIMITS.ack_timeout_ms * 2);
    expect(sent).toHaveLength(3);
  });

  it('keeps so many rows while nobody takes them, and drops and counts the oldest beyond', () => {
    isLinked = false;
    add(LIMITS.batch_rows_max + LIMITS.spool_rows_max);
    expect([spool.lostRows, spool.waitingRows]).toEqual([0, LIMITS.batch_rows_max + LIMITS.spool_rows_max]);
    add(1);
    expect([spool.lostRows, spool.waitingRows]).toEqual([1, LIMITS.batch_rows_max + LIMITS.spool_rows_max]);
    isLinked = true;
    spool.linkOpened();
    spool.acknowledge(PRODUCER, 1);
    expect(sent.map((batch) => batch.lost_rows)).toEqual([0, 1]);
    expect(sent[1]?.tables.snapshots?.[0]?.[0]).toBe(`s${LIMITS.batch_rows_max + 1}`);
  });
});
