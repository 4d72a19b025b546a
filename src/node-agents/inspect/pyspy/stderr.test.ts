import { describe, expect, it } from 'vitest';
import { isPermissionFailure } from './stderr.ts';

describe('isPermissionFailure', () => {
  it.each([
    ['Permission Denied: Try running again with elevated permissions', true],
    ['1: EPERM: Operation not permitted', true],
    ['Error: Failed to find python version from target process', false],
    ['', false],
  ])('of %j is %s', (stderr, expected) => expect(isPermissionFailure(stderr)).toBe(expected));
});
