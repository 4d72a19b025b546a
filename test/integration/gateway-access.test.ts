/** Which tokens a gateway may be given. What they open, on every runtime, is in test/conformance/access.ts. */
import { expect, it } from 'vitest';
import { createAccess } from '../../src/edge-gateway/access.ts';
import { TOKEN_MAX_CHARS } from '../../src/edge-gateway/limits.ts';

it.each([
  ['', 'must have 16'],
  ['x'.repeat(15), 'must have 16'],
  ['x'.repeat(16), null],
  ['x'.repeat(TOKEN_MAX_CHARS), null],
  ['x'.repeat(TOKEN_MAX_CHARS + 1), 'must have 16'],
  ['0123456789abcdef\n', 'printable ASCII'],
  ['0123456789 abcdef', 'printable ASCII'],
])('the token %j: %s', (token, error) => {
  const create = () => createAccess({ token, anonymous: 'none' });
  if (error !== null) return expect(create).toThrow(error);
  const ask = (given: string) => create().admit('publish', new Headers({ authorization: `Bearer ${given}` }));
  expect(ask(token).ok).toBe(true);
  for (const wrong of [`${token}x`, token.slice(1), `y${token.slice(1)}`, token + token]) {
    expect(ask(wrong)).toMatchObject({ failure: { code: 'unauthorized' } });
  }
});
