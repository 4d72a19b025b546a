import { expect, test } from 'vitest';
import { LIMITS, resolveLimits } from './limits.ts';

test('limits: single ones may be replaced, by positive integers only', () => {
  expect(resolveLimits()).toEqual(LIMITS);
  expect(resolveLimits({ sql_rows_max: 1 })).toEqual({ ...LIMITS, sql_rows_max: 1 });
  for (const wrong of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => resolveLimits({ sql_rows_max: wrong })).toThrow('limits.sql_rows_max');
  }
});

test('limits: one commit stays under a row group, so that no row is written ahead of a checkpoint', () => {
  expect(Math.max(LIMITS.commit_rows_max, LIMITS.dump_rows_max)).toBeLessThan(122_880);
});
