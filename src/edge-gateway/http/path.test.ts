import { describe, expect, it } from 'vitest';
import { captureReference, percentDecode } from './path.ts';

describe('percentDecode', () => {
  it.each([
    ['plain', 'plain'],
    ['a%2Fb%3a', 'a/b:'],
    ['%zz%4', '%zz%4'],
    ['%zz%41', '%zzA'],
    ['+', '+'],
    ['%C3%A9é', 'éé'],
    ['%zz%C3%A9é', '%zzéé'],
    ['%EF%BB%BFx%zz', '\uFEFFx%zz'],
    ['%FF', null],
    ['%zz%FF', null],
    ['%E0%A4%A', null],
    ['%ED%A0%80', null],
  ])('%s gives %s', (text, decoded) => {
    expect(percentDecode(text)).toBe(decoded);
  });
});

describe('captureReference', () => {
  it('keeps what was decoded once apart from what is looked up', () => {
    expect(captureReference('%2F%2Fa%2540b/', 'reference')).toEqual({
      ok: true,
      value: { captured: '//a%40b/', reference: 'a@b/' },
    });
  });
});
