import { expect, it } from 'vitest';
import { headError } from './request-head.ts';

it.each([
  ['localhost', null],
  ['LOCALHOST:1729', null],
  ['127.0.0.1:80', null],
  ['[::1]:1729', null],
  ['mesh.example.com', null],
  ['', 'Missing host header'],
  ['::1', 'Invalid host header'],
  ['user@host', 'Invalid host header'],
  ['host/path', 'Invalid host header'],
  ['a b', 'Invalid host header'],
  ['host?x', 'Invalid host header'],
])('a Host of %j: %s', (host, error) => {
  expect(headError(new Headers(host === '' ? {} : { host }), '/v1/root')?.message ?? null).toBe(error);
});

it.each([
  ['/v1/root', null],
  ['//%2e/../%zz', null],
  ['/v1\\root', 'Backslash in request path'],
])('a path of %j: %s', (path, error) => {
  expect(headError(new Headers({ host: 'localhost' }), path)?.message ?? null).toBe(error);
});
