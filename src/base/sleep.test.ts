import { expect, test, vi } from 'vitest';
import { settlesWithin, sleep } from './sleep.ts';

test('work that is done in time ends the waiting, and its timer', async () => {
  vi.useFakeTimers();
  try {
    expect(await settlesWithin(Promise.resolve('value'), 60_000)).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('work that takes longer is not waited for', async () => {
  expect(await settlesWithin(new Promise(() => {}), 5)).toBe(false);
});

test('work that fails in time fails the waiting', async () => {
  await expect(settlesWithin(Promise.reject(new Error('no')), 60_000)).rejects.toThrow('no');
});

test('an abort ends a wait', async () => {
  const over = new AbortController();
  const waiting = sleep(60_000, over.signal);
  over.abort();
  await waiting;
});
