import { describe, expect, it } from 'vitest';
import type { PySpyLocalVariable, PySpyStackTrace } from '../../../contract/index.ts';
import { PYSPY_LIMITS } from './limits.ts';
import { boundLocals, UNASKED_WARNING } from './locals.ts';
import { parseWithoutBlocking } from './parse-off-thread.ts';

function local(name: string, repr: string | null = '1'): PySpyLocalVariable {
  return { name, addr: 1, arg: false, repr };
}

function trace(...locals: (PySpyLocalVariable[] | null)[]): PySpyStackTrace {
  return {
    pid: 1,
    thread_id: 2,
    thread_name: null,
    os_thread_id: null,
    active: true,
    owns_gil: false,
    frames: locals.map((each) => ({
      name: 'f',
      filename: 'f.py',
      module: null,
      short_filename: null,
      line: 1,
      locals: each,
      is_entry: false,
    })),
  };
}

const namesOf = (traces: readonly PySpyStackTrace[]) =>
  traces.map(({ frames }) => frames.map(({ locals }) => locals?.map(({ name }) => name) ?? null));

describe('locals', () => {
  it('that nobody asked for are left out, and a warning says so', () => {
    const { traces, warnings } = boundLocals([trace([local('a')], null)], false);
    expect([namesOf(traces), warnings]).toEqual([[[null, null]], [UNASKED_WARNING]]);
    expect(boundLocals([trace(null, [])], false)).toEqual({ traces: [trace(null, null)], warnings: [] });
  });

  it('up to the bound are all there, the one beyond it is not, and a warning tells both numbers', () => {
    const given = [trace([local('a'), local('b')], null), trace([local('c')])];
    expect(boundLocals(given, true, { ...PYSPY_LIMITS, locals_max: 3 })).toEqual({ traces: given, warnings: [] });
    const { traces, warnings } = boundLocals(given, true, { ...PYSPY_LIMITS, locals_max: 2 });
    expect(namesOf(traces)).toEqual([[['a', 'b'], null], [[]]]);
    expect(warnings).toEqual(['locals: 2 of 3 are shown, the most of one dump; the others were left out']);
  });

  it('with values up to the bound are whole, longer ones are cut, and a warning counts them', () => {
    const [fits, long] = ['x'.repeat(10), 'y'.repeat(11)];
    const { traces, warnings } = boundLocals([trace([local('a', fits), local('b', long), local('c', null)])], true, {
      ...PYSPY_LIMITS,
      local_repr_max_chars: 10,
    });
    const [frame] = traces[0]?.frames ?? [];
    expect(frame?.locals?.map(({ repr }) => repr)).toEqual([fits, `${'y'.repeat(9)}…`, null]);
    expect(warnings).toEqual(['locals: 1 values were cut to 10 characters']);
  });

  it('are bounded alike in output that a worker parses', async () => {
    const count = PYSPY_LIMITS.locals_max + 1;
    const bytes = Buffer.from(JSON.stringify([trace(Array.from({ length: count }, (_, i) => local(`v${i}`)))]));
    expect(bytes.length).toBeGreaterThan(PYSPY_LIMITS.parse_inline_max_bytes);
    for (const isAsked of [true, false]) {
      const parsed = await parseWithoutBlocking(
        { bytes: Buffer.from(bytes), locals: isAsked, limits: PYSPY_LIMITS },
        performance.now() + 30_000,
      );
      if (parsed.kind !== 'parsed') throw new Error(parsed.kind);
      const shown = parsed.traces.toValue()[0]?.frames[0]?.locals?.length ?? 0;
      expect([shown, parsed.warnings.length]).toEqual([isAsked ? count - 1 : 0, 1]);
    }
  });
});
