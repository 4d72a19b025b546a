import { describe, expect, it } from 'vitest';
import { PYSPY_LIMITS } from './limits.ts';
import { parseWithoutBlocking } from './parse-off-thread.ts';
import { parseOutput } from './parse-output.ts';
import { TailBuffer } from './tail-buffer.ts';

const FRAME = { name: 'f', filename: '/a.py', line: 3, is_entry: false };
const TRACE = { pid: 7, thread_id: 140_615_328_988_032, active: true, owns_gil: false, frames: [FRAME] };
const FULL_FRAME = {
  name: 'f',
  filename: '/a.py',
  module: null,
  short_filename: null,
  line: 3,
  locals: null,
  is_entry: false,
};
const FULL_TRACE = { ...TRACE, thread_name: null, os_thread_id: null, frames: [FULL_FRAME] };

const parse = (text: string) => parseOutput(Buffer.from(text));
const reasonOf = (json: unknown) => {
  const parsed = parse(JSON.stringify(json));
  return parsed.ok ? 'parsed' : parsed.reason;
};

describe('parseOutput', () => {
  it('reads traces, with null for what is missing and nothing of what is unknown', () => {
    const given = { ...TRACE, process_info: null, frames: [{ ...FRAME, is_shim_entry: true }] };
    expect(parse(` ${JSON.stringify([given])}\n`)).toEqual({ ok: true, traces: [FULL_TRACE] });
  });

  it('reads locals, and an empty array', () => {
    const locals = [{ name: 'x', addr: 94_023_423_423, arg: true }];
    const parsed = parse(JSON.stringify([{ ...TRACE, frames: [{ ...FRAME, locals }] }]));
    expect(parsed.ok && parsed.traces[0]?.frames[0]?.locals).toEqual([{ ...locals[0], repr: null }]);
    expect(parse('[]')).toEqual({ ok: true, traces: [] });
  });

  it.each(['', 'null', '{}', '[', '[] []', '[1]', 'py-spy 0.4.2', '\ufeff[]'])('refuses %j', (text) => {
    expect(parse(text).ok).toBe(false);
  });

  it('refuses bytes that are no UTF-8', () => {
    expect(parseOutput(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])).ok).toBe(false);
  });

  it.each(['pid', 'thread_id', 'active', 'owns_gil', 'frames'])('refuses all when one trace lacks %s', (field) => {
    const { [field as keyof typeof TRACE]: _, ...rest } = TRACE;
    expect(reasonOf([TRACE, rest])).toContain(`1.${field}`);
  });

  it.each(['name', 'filename', 'line', 'is_entry'])('refuses all when one frame lacks %s', (field) => {
    const { [field as keyof typeof FRAME]: _, ...rest } = FRAME;
    expect(reasonOf([{ ...TRACE, frames: [rest] }])).toContain(`0.frames.0.${field}`);
  });

  it('takes integers up to 2^53 - 1, and refuses to round larger ones', () => {
    const text = (id: string) => JSON.stringify([TRACE]).replace('140615328988032', id);
    expect(parse(text('9007199254740991')).ok).toBe(true);
    for (const id of ['9007199254740992', '9007199254740993', '18446744073709551615']) {
      const parsed = parse(text(id));
      expect(parsed.ok ? '' : parsed.reason).toMatch(/0\.thread_id.*without rounding/);
    }
    expect(reasonOf([{ ...TRACE, frames: [{ ...FRAME, line: 2 ** 31 }] }])).toContain('line');
    expect(reasonOf([{ ...TRACE, thread_id: -1 }])).toContain('thread_id');
  });
});

/** JSON of exactly so many bytes. */
function outputOf(bytes: number): Buffer {
  const text = JSON.stringify([TRACE]);
  return Buffer.from(text + ' '.repeat(bytes - text.length));
}

describe('parseWithoutBlocking', () => {
  const later = () => performance.now() + 30_000;
  const parse = (bytes: Uint8Array, deadline_ms: number, signal?: AbortSignal) =>
    parseWithoutBlocking({ bytes, locals: false, limits: PYSPY_LIMITS }, deadline_ms, signal);

  it('uses a worker above the bound only, and gives the same in both forms either way', async () => {
    for (const [excess, is_large] of [
      [0, false],
      [1, true],
    ] as const) {
      const parsed = await parse(outputOf(PYSPY_LIMITS.parse_inline_max_bytes + excess), later());
      if (parsed.kind !== 'parsed') throw new Error(parsed.kind);
      expect(parsed.traces.is_large).toBe(is_large);
      expect(parsed.traces.toValue()).toEqual([FULL_TRACE]);
      expect(JSON.parse(parsed.traces.toJson())).toEqual([FULL_TRACE]);
    }
  });

  it('says what is wrong in large output too', async () => {
    const bytes = Buffer.from(' '.repeat(PYSPY_LIMITS.parse_inline_max_bytes + 1));
    expect(await parse(bytes, later())).toMatchObject({ kind: 'unparsable' });
  });

  it('ends at its deadline and at an abort', async () => {
    const bytes = () => outputOf(8 * 1024 * 1024);
    expect(await parse(bytes(), performance.now())).toEqual({ kind: 'timed_out' });
    const abort = new AbortController();
    const parsing = parse(bytes(), later(), abort.signal);
    abort.abort();
    expect(await parsing).toEqual({ kind: 'aborted' });
    expect(await parse(bytes(), later(), abort.signal)).toEqual({ kind: 'aborted' });
  });

  it('leaves the event loop free while tens of megabytes are parsed', async () => {
    const traces = JSON.stringify(Array.from({ length: 40 }, () => ({ ...TRACE, frames: Array(8_000).fill(FRAME) })));
    const bytes = Buffer.from(traces);
    expect(bytes.length).toBeGreaterThan(16 * 1024 * 1024);
    const inlineStarted = performance.now();
    parseOutput(bytes);
    const inline_ms = performance.now() - inlineStarted;
    let longest_ms = 0;
    let turns = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longest_ms = Math.max(longest_ms, performance.now() - last);
      last = performance.now();
      turns += 1;
    }, 5);
    const parsed = await parse(bytes, later());
    clearInterval(ticker);
    expect(parsed.kind).toBe('parsed');
    expect(turns).toBeGreaterThan(5);
    expect(longest_ms).toBeLessThan(inline_ms);
  });
});

describe('TailBuffer', () => {
  it('keeps everything up to its bound, and the end beyond it', () => {
    const tail = new TailBuffer(4);
    tail.push(Buffer.from('ab'));
    tail.push(Buffer.from('cd'));
    expect(tail.toString()).toBe('abcd');
    tail.push(Buffer.from('e'));
    expect(tail.toString()).toBe('[the first 1 bytes are left out]\nbcde');
    for (const character of 'fghijklmnop') tail.push(Buffer.from(character));
    expect(tail.toString()).toBe('[the first 12 bytes are left out]\nmnop');
  });
});
