/** Tokens for tests: their texts, and the document that knows them by their digests. */
import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Role, TokenDocument } from '../../src/contract/index.ts';

export interface TestToken {
  readonly roles: readonly Role[];
  readonly hosts?: readonly string[];
  /** Default null: never. */
  readonly expires_at?: string | null;
}

/** The text of the token with a name. */
export function tokenText(name: string): string {
  return `msc_test-token-of-${name}`;
}

export function bearer(name: string): { authorization: string } {
  return { authorization: `Bearer ${tokenText(name)}` };
}

export function tokenDocument(tokens: Readonly<Record<string, TestToken>>): TokenDocument {
  const stored = Object.entries(tokens).map(([name, { roles, hosts, expires_at = null }]) => ({
    name,
    roles: [...roles],
    ...(hosts === undefined ? {} : { hosts: [...hosts] }),
    created_at: '2026-01-01T00:00:00.000Z',
    expires_at,
    sha256: createHash('sha256').update(tokenText(name)).digest('hex'),
  }));
  return { version: 1, tokens: stored };
}

/** A file of tokens in a folder of its own. */
export class TokensFile {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'meshscope-tokens-'));
  readonly name = path.join(this.#folder, 'tokens.json');

  constructor(content: unknown) {
    this.write(content);
  }

  /** Replaces it at once, as the command does. */
  write(content: unknown): void {
    const fresh = `${this.name}.new`;
    writeFileSync(fresh, typeof content === 'string' ? content : JSON.stringify(content));
    renameSync(fresh, this.name);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
