import { expect, it } from 'vitest';
import { BODY_PIECE_CHARS, WHOLE_BODY_MAX_CHARS } from '../limits.ts';
import { jsonResponse } from './respond.ts';

const request = new Request('http://localhost/');

it.each([
  ['of as many characters as are sent whole', 'x'.repeat(WHOLE_BODY_MAX_CHARS)],
  ['of one more', 'é'.repeat(WHOLE_BODY_MAX_CHARS + 1)],
  // Wherever a piece ends, it ends in the middle of one of these.
  ['of pairs of surrogates', `x${'\u{1f4a5}'.repeat(WHOLE_BODY_MAX_CHARS / 2 + BODY_PIECE_CHARS)}`],
])('an answer %s arrives as it is', async (_, text) => {
  const answer = jsonResponse(request, text);
  expect((await answer.text()) === text).toBe(true);
});

it('a long answer goes out in pieces', async () => {
  let pieces = 0;
  for await (const piece of jsonResponse(request, 'x'.repeat(WHOLE_BODY_MAX_CHARS + 1)).body ?? []) {
    expect(piece.length).toBeLessThanOrEqual(BODY_PIECE_CHARS);
    pieces += 1;
  }
  expect(pieces).toBe(WHOLE_BODY_MAX_CHARS / BODY_PIECE_CHARS + 1);
});
