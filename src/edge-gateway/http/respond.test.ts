import { expect, it } from 'vitest';
import { LIMITS } from '../limits.ts';
import { jsonResponse } from './respond.ts';

const request = new Request('http://localhost/');

it.each([
  ['of as many characters as are sent whole', 'x'.repeat(LIMITS.whole_body_max_chars)],
  ['of one more', 'é'.repeat(LIMITS.whole_body_max_chars + 1)],
  // Wherever a piece ends, it ends in the middle of one of these.
  ['of pairs of surrogates', `x${'\u{1f4a5}'.repeat(LIMITS.whole_body_max_chars / 2 + LIMITS.body_piece_chars)}`],
])('an answer %s arrives as it is', async (_, text) => {
  const answer = jsonResponse(request, text);
  expect((await answer.text()) === text).toBe(true);
});

it('a long answer goes out in pieces', async () => {
  let pieces = 0;
  for await (const piece of jsonResponse(request, 'x'.repeat(LIMITS.whole_body_max_chars + 1)).body ?? []) {
    expect(piece.length).toBeLessThanOrEqual(LIMITS.body_piece_chars);
    pieces += 1;
  }
  expect(pieces).toBe(LIMITS.whole_body_max_chars / LIMITS.body_piece_chars + 1);
});
