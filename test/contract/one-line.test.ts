import { expect, it } from 'vitest';
import { oneLine } from '../../src/base/index.ts';

it.each([
  ['plain, é, 日本 and 😀 stay', 'plain, é, 日本 and 😀 stay'],
  ['a\nb\r\tc', 'a\\u000ab\\u000d\\u0009c'],
  ['\u001b[31m\u007f\u0085', '\\u001b[31m\\u007f\\u0085'],
  ['a\u2028b\u2029c', 'a\\u2028b\\u2029c'],
  ['user\u202egpj.exe\u2066\u200b\ufeff', 'user\\u202egpj.exe\\u2066\\u200b\\ufeff'],
  ['\u{e0041}\ud800', '\\udb40\\udc41\\ud800'],
])('%j is %s', (text, line) => {
  expect(oneLine(text)).toBe(line);
});

it('leaves what is JSON readable as JSON', () => {
  const text = 'a\u202e"\n\u{e0041}';
  expect(JSON.parse(oneLine(JSON.stringify(text)))).toBe(text);
});
