import { expect, test } from 'vitest';
import { LIMITS } from '../limits.ts';
import { Clock } from './clock.ts';

const DAY_MS = 86_400_000;
const START_MS = 1_800_000_000_000;
const { clock_step_max_ms, clock_doubt_ms } = LIMITS;

function clock(begin_ms: number | null = START_MS) {
  const time = { wall_ms: START_MS, passed_ms: 5_000 };
  const made = new Clock(
    LIMITS,
    begin_ms,
    () => time.wall_ms,
    () => time.passed_ms,
  );
  const pass = (ms: number): void => {
    time.wall_ms += ms;
    time.passed_ms += ms;
  };
  return { clock: made, time, pass };
}

test('goes with the system’s clock, and follows steps of n milliseconds at once', () => {
  const { clock: believed, time, pass } = clock();
  pass(DAY_MS);
  expect(believed.now_ms()).toBe(START_MS + DAY_MS);
  time.wall_ms += clock_step_max_ms;
  expect(believed.now_ms()).toBe(time.wall_ms);
  time.wall_ms += clock_step_max_ms + 1;
  expect(believed.now_ms()).toBe(time.wall_ms - clock_step_max_ms - 1);
});

test('a year ahead and back: nothing has grown old', () => {
  const { clock: believed, time, pass } = clock();
  time.wall_ms += 365 * DAY_MS;
  pass(60_000);
  expect(believed.now_ms()).toBe(START_MS + 60_000);
  expect(believed.isDoubted).toBe(true);
  time.wall_ms -= 365 * DAY_MS;
  pass(60_000);
  expect(believed.now_ms()).toBe(START_MS + 120_000);
  expect(believed.isDoubted).toBe(false);
});

test('a step that has lasted is followed, and one back at once', () => {
  const { clock: believed, time, pass } = clock();
  time.wall_ms += DAY_MS;
  believed.now_ms();
  pass(clock_doubt_ms - 1);
  expect(believed.now_ms()).toBe(time.wall_ms - DAY_MS);
  pass(1);
  expect(believed.now_ms()).toBe(time.wall_ms);
  time.wall_ms -= 2 * DAY_MS;
  expect(believed.now_ms()).toBe(time.wall_ms);
});

test('begins at the last time that is known, and without one at the system’s', () => {
  const { clock: believed } = clock(START_MS - DAY_MS);
  expect(believed.now_ms()).toBe(START_MS - DAY_MS);
  expect(clock(null).clock.now_ms()).toBe(START_MS);
  // The last time was wrong, not this one.
  expect(clock(START_MS + DAY_MS).clock.now_ms()).toBe(START_MS);
});
