/**
 * Tokens as they are looked up: by their digest, and none of them is ever kept as text.
 *
 * A look-up compares the digest with that of every token, to the last word of the last one, so its time tells nothing of
 * where or whether it matched.
 */
import type { StoredToken } from '../../contract/index.ts';
import type { Sha256 } from '../ports.ts';

const DIGEST_WORDS = 8;

export class TokenSet {
  readonly #tokens: readonly StoredToken[];
  readonly #words: Uint32Array;
  readonly #byName: ReadonlyMap<string, StoredToken>;
  readonly #sha256: Sha256;
  readonly #given = new Uint32Array(DIGEST_WORDS);

  constructor(tokens: readonly StoredToken[], sha256: Sha256) {
    this.#sha256 = sha256;
    this.#tokens = tokens;
    this.#byName = new Map(tokens.map((token) => [token.name, token]));
    this.#words = new Uint32Array(tokens.length * DIGEST_WORDS);
    for (const [index, token] of tokens.entries()) writeWords(token.sha256, this.#words, index * DIGEST_WORDS);
  }

  byName(name: string): StoredToken | null {
    return this.#byName.get(name) ?? null;
  }

  /** The token with this text, expired or not; null when there is none. */
  find(text: string): StoredToken | null {
    const words = this.#words;
    const given = this.#given;
    writeWords(this.#sha256(text), given, 0);
    let found = 0;
    for (let index = this.#tokens.length, at = words.length; at > 0; index -= 1) {
      let difference = 0;
      for (let word = DIGEST_WORDS; word > 0; word -= 1) {
        at -= 1;
        difference |= (words[at] ?? 0) ^ (given[word - 1] ?? 0);
      }
      // All ones where nothing differs, else zero; without a branch. Of two that are the same the first counts.
      const isSame = ~((difference | -difference) >> 31);
      found = (isSame & index) | (~isSame & found);
    }
    return this.#tokens[found - 1] ?? null;
  }
}

/** @param hex a digest, lower case. */
function writeWords(hex: string, words: Uint32Array, at: number): void {
  for (let word = 0; word < DIGEST_WORDS; word += 1) {
    words[at + word] = Number.parseInt(hex.slice(word * 8, word * 8 + 8), 16);
  }
}
