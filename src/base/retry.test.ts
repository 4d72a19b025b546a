import { expect, test } from 'vitest';
import { Backoff, retry } from './retry.ts';

test('waits grow by the factor up to the longest, and start anew after a reset', () => {
  const backoff = new Backoff({ first_ms: 100, max_ms: 500, jitter: 0 });
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([100, 200, 400, 500]);
  expect(backoff.longest()).toBe(500);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

test('the jitter is the share of a wait that chance may take away', () => {
  const waits = (random: number) => new Backoff({ first_ms: 100, jitter: 0.5, random: () => random }).next();
  expect([waits(0), waits(0.5), waits(0.999)]).toEqual([100, 75, expect.closeTo(50, 0)]);
});

test('also the longest wait is left to chance, so that a fleet that was refused does not come back in step', () => {
  const waits = [0, 1].map((random) => new Backoff({ first_ms: 1, max_ms: 100, random: () => random }).longest());
  expect(waits).toEqual([100, 50]);
});

test('however many waits there were, none is longer than the longest', () => {
  const backoff = new Backoff({ first_ms: 250, max_ms: 15_000, random: () => 0 });
  for (let dial = 0; dial < 2_000; dial += 1) expect(backoff.next()).toBeLessThanOrEqual(15_000);
  expect(backoff.next()).toBe(15_000);
});

test.each([
  [{ first_ms: -1 }, 'first_ms must be at least 0, got -1'],
  [{ first_ms: 10, max_ms: 9 }, 'max_ms must be at least first_ms, 10, got 9'],
  [{ first_ms: 10, factor: 0.5 }, 'factor must be at least 1, got 0.5'],
  [{ first_ms: 10, jitter: 1.1 }, 'jitter must be from 0 to 1, got 1.1'],
  [{ first_ms: Number.NaN }, 'first_ms must be at least 0, got NaN'],
])('%o is refused by name and value', (options, message) => {
  expect(() => new Backoff(options)).toThrow(new RangeError(message));
});

test('tries end with the first result that is good enough', async () => {
  const seen: number[] = [];
  const attempt = async (tries: number): Promise<number> => {
    seen.push(tries);
    return tries;
  };
  expect(await retry(attempt, (result) => result === 3, { first_ms: 0, tries_max: 9 })).toBe(3);
  expect(seen).toEqual([1, 2, 3]);
});

test('at the most tries the last result is given, good enough or not', async () => {
  let tries = 0;
  expect(
    await retry(
      async () => ++tries,
      () => false,
      { first_ms: 0, tries_max: 2 },
    ),
  ).toBe(2);
  await expect(
    retry(
      async () => 1,
      () => true,
      { first_ms: 0, tries_max: 0 },
    ),
  ).rejects.toThrow('tries_max must be at least 1, got 0');
});

test('a signal ends the wait, and nothing is tried after it', async () => {
  const stop = new AbortController();
  let tries = 0;
  const attempt = async (): Promise<number> => {
    queueMicrotask(() => stop.abort());
    return ++tries;
  };
  const options = { first_ms: 3_600_000, tries_max: Number.POSITIVE_INFINITY, signal: stop.signal };
  expect(await retry(attempt, () => false, options)).toBe(1);
});

test('what an attempt throws ends the series', async () => {
  const attempt = async (): Promise<never> => {
    throw new Error('broken');
  };
  await expect(retry(attempt, () => true, { first_ms: 0, tries_max: 5 })).rejects.toThrow('broken');
});
