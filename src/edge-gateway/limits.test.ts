import { describe, expect, it } from 'vitest';
import { LIMITS, resolveLimits } from './limits.ts';

describe('resolveLimits', () => {
  it('replaces what is given and leaves the rest', () => {
    expect(resolveLimits({ hosts_max: 2 })).toEqual({ ...LIMITS, hosts_max: 2 });
    expect(resolveLimits({ takeover_silence_heartbeats: 0.5 }).takeover_silence_heartbeats).toBe(0.5);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s, naming the limit', (value) => {
    expect(() => resolveLimits({ hosts_max: value })).toThrow(
      `limits.hosts_max must be a positive whole number, got ${value}`,
    );
  });
});
