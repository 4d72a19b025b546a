import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { VERSION } from '../../contract/index.ts';
import { resolveLimits } from '../limits.ts';
import { Store } from '../store/store.ts';
import { TEXT_LAYOUT } from './append.ts';
import { checkTextLayout } from './text-layout.ts';

test('texts come back from this version of DuckDB as they were written, and trying that takes no more than a moment', async () => {
  expect(await checkTextLayout()).toEqual({ ok: true, value: null });
  const durations_ms: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const begin_ms = performance.now();
    await checkTextLayout();
    durations_ms.push(performance.now() - begin_ms);
  }
  // The quickest: the machine may be busy with other tests.
  expect(Math.min(...durations_ms)).toBeLessThan(100);
});

test.each([4, 8, 11])('a layout in which only %i bytes stand in the entry is noticed', async (inline_bytes_max) => {
  expect(inline_bytes_max).toBeLessThan(TEXT_LAYOUT.inline_bytes_max);
  expect(await checkTextLayout({ inline_bytes_max })).toMatchObject({
    ok: false,
    failure: { code: 'internal_error', details: { reason: 'text_layout', meshscope: VERSION } },
  });
});

test('a store does not open then, says why and what to do, and leaves the data folder alone', async () => {
  const data_dir = join(tmpdir(), `meshscope-no-store-${process.pid}`);
  const opened = await Store.open(data_dir, resolveLimits(), undefined, { inline_bytes_max: 8 });
  expect(opened.ok ? '' : opened.failure.message).toMatch(
    new RegExp(`DuckDB v[\\d.]+ keeps texts in another layout than meshscope ${VERSION} .*install`),
  );
  expect(existsSync(data_dir)).toBe(false);
});
