import { expect, it } from 'vitest';
import { OneHandler } from './router.ts';

it('has one handler, and refuses a second, which would take every request from the first', () => {
  const router = new OneHandler<string>();
  router.add('ALL', '*', 'first');
  expect(() => router.add('GET', '/v1/more', 'second')).toThrow(/GET \/v1\/more cannot be added/);
  expect(router.match()).toEqual([[['first', {}]]]);
});
