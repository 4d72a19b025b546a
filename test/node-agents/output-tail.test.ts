import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/node-agents/limits.ts';
import { createOutputTail } from '../../src/node-agents/processes/output-tail.ts';

function tailOf(...pieces: (string | Buffer)[]) {
  const tail = createOutputTail();
  for (const piece of pieces) tail.push('stdout', Buffer.from(piece));
  tail.end('stdout');
  return tail;
}

describe('the tail of an output', () => {
  it('joins lines that come in pieces, characters that are cut in two included', () => {
    const bytes = Buffer.from('größer\nlast');
    expect(tailOf(...[...bytes].map((byte) => Buffer.from([byte]))).lines('stdout')).toEqual(['größer', 'last']);
    expect(tailOf('a\r\nb\n').lines('stdout')).toEqual(['a', 'b']);
  });

  it('keeps the last lines, so many and no more', () => {
    const text = (count: number) => Array.from({ length: count }, (_, line) => `${line}\n`).join('');
    expect(tailOf(text(LIMITS.output_lines_max)).lines('stdout')[0]).toBe('0');
    const longer = tailOf(text(LIMITS.output_lines_max + 1)).lines('stdout');
    expect([longer.length, longer[0]]).toEqual([LIMITS.output_lines_max, '1']);
  });

  it('cuts a line that is too long and says so, and takes the next one whole', () => {
    const line = 'x'.repeat(LIMITS.output_line_max_chars);
    expect(tailOf(`${line}\n`).lines('stdout')).toEqual([line]);
    expect(tailOf(`${line}y\nnext\n`).lines('stdout')).toEqual([`${line} ... [TRUNCATED]`, 'next']);
  });

  it('does not grow by a line that never ends', () => {
    const tail = createOutputTail();
    for (let piece = 0; piece < 1_000; piece += 1) tail.push('stdout', Buffer.alloc(10_000, 'x'));
    tail.end('stdout');
    expect(tail.lines('stdout')[0]?.length).toBeLessThan(LIMITS.output_line_max_chars + 20);
  });

  it('is a flight recorder of both streams: last events, numbered, oldest first (FR-1)', () => {
    const tail = createOutputTail();
    expect(tail.recorder(LIMITS.recorder_max_bytes)).toBeNull();
    for (let line = 0; line <= LIMITS.recorder_events_max; line += 1) {
      tail.push(line % 2 === 0 ? 'stdout' : 'stderr', Buffer.from(`${line}\n`));
    }
    const events = JSON.parse(tail.recorder(LIMITS.recorder_max_bytes) ?? '[]');
    expect(events).toHaveLength(LIMITS.recorder_events_max);
    expect(events[0]).toMatchObject({ seq: 1, level: 'WARN', target: 'stderr', fields: { message: '1' } });
    expect(events.at(-1)).toMatchObject({ seq: LIMITS.recorder_events_max, level: 'INFO', target: 'stdout' });
  });

  it('gives as many of the last events as fit, however much they grow by escaping', () => {
    const lines = 3;
    const tail = tailOf(`${'\x01'.repeat(LIMITS.output_line_max_chars)}\n`.repeat(lines));
    const whole = Buffer.byteLength(JSON.stringify(tail.recorder(LIMITS.recorder_max_bytes)));
    const seqs = (max_bytes: number) =>
      JSON.parse(tail.recorder(max_bytes) ?? '').map((event: { seq: number }) => event.seq);
    expect(whole).toBeGreaterThan(lines * 6 * LIMITS.output_line_max_chars);
    expect(seqs(whole)).toEqual([0, 1, 2]);
    expect(seqs(Math.floor(whole * 0.9))).toEqual([1, 2]);
    expect(seqs(10)).toEqual([]);
  });
});
