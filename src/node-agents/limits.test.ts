import { expect, test } from 'vitest';
import { PYSPY_LIMITS, resolveLimits as resolvePySpyLimits } from './inspect/pyspy/limits.ts';
import { LIMITS, resolveLimits } from './limits.ts';

test('single limits can be replaced, by positive whole numbers', () => {
  expect(resolveLimits()).toEqual(LIMITS);
  expect(resolveLimits({ procs_max: 1 })).toEqual({ ...LIMITS, procs_max: 1 });
  for (const wrong of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => resolveLimits({ procs_max: wrong })).toThrow(`limits.procs_max must be a positive whole number, got`);
  }
});

test('of py-spy too, by what a timer holds; that nobody waits is allowed', () => {
  expect(resolvePySpyLimits()).toEqual(PYSPY_LIMITS);
  expect(resolvePySpyLimits({ dumps_waiting_max: 0 })).toEqual({ ...PYSPY_LIMITS, dumps_waiting_max: 0 });
  for (const wrong of [0, -1, 1.5, 2 ** 31]) {
    expect(() => resolvePySpyLimits({ dump_timeout_ms: wrong })).toThrow(
      'dump_timeout_ms must be a whole number from 1',
    );
  }
});
