/**
 * Tokens out of a file that may change while the gateway runs:
 *
 *  1. The file is looked at when tokens are asked for, at most once in `token_file_look_ms`, and read when its stamp differs.
 *  2. A file that cannot be read, or is no token document, leaves the last good tokens in force, and is logged once.
 *  3. A file that is gone leaves no tokens; one that comes to exist is taken up.
 */
import { failure, type Log, messageOf, type Outcome, success } from '../../base/index.ts';
import { readTokenDocument, type StoredToken } from '../../contract/index.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { TokenSource } from '../ports.ts';

/** A file as the runtime sees it. */
export interface TokenFile {
  /** For people. */
  readonly name: string;
  /** Null when there is no such file. @throws when it cannot be looked at */
  look(): FileLook | null;
  /** @throws when it cannot be read. */
  read(): string;
}

export interface FileLook {
  /** Differs when the content may. */
  readonly stamp: string;
  readonly isRegular: boolean;
  readonly size_bytes: number;
}

const NONE: readonly StoredToken[] = [];

/**
 * Fails with `bad_request` when the file is there and wrong, or is not there and must be.
 *
 * @param isOptional whether the file may come to exist later
 * @param now_ms monotonic clock, milliseconds. Default `performance.now`
 */
export function tokensFromFile(
  file: TokenFile,
  isOptional: boolean,
  log: Log,
  now_ms: () => number = () => performance.now(),
  limits: GatewayLimits = LIMITS,
): Outcome<TokenSource> {
  let tokens = NONE;
  let stamp: string | null = null;
  let told = '';
  let looked_at_ms = now_ms();

  const look = (): Outcome<void> => {
    try {
      const seen = file.look();
      if (seen === null) {
        tokens = NONE;
        stamp = null;
        return success(undefined);
      }
      const why = unusable(seen, limits);
      if (why !== null) return failure('bad_request', `tokens in ${file.name}: ${why}`);
      if (seen.stamp === stamp) return success(undefined);
      const read = readTokenDocument(file.read());
      if (!read.ok) return failure('bad_request', `tokens in ${file.name}: ${read.failure.message}`);
      tokens = read.value.tokens;
      stamp = seen.stamp;
      return success(undefined);
    } catch (error) {
      return failure('bad_request', `tokens in ${file.name}: ${messageOf(error)}`);
    }
  };

  const first = look();
  if (!first.ok) return first;
  if (stamp === null && !isOptional) {
    return failure('bad_request', `tokens in ${file.name}: there is no such file; 'meshscope token create' makes it`);
  }
  return success({
    tokens() {
      const now = now_ms();
      if (now - looked_at_ms < limits.token_file_look_ms) return tokens;
      looked_at_ms = now;
      const before = tokens;
      const outcome = look();
      const line = outcome.ok ? '' : `${outcome.failure.message}; the tokens read before stay in force`;
      if (line !== '' && line !== told) log.warn(line);
      told = line;
      if (tokens !== before) log.info(`tokens in ${file.name} have changed: there are ${tokens.length} now`);
      return tokens;
    },
  });
}

/** Why a file is not even to be read, since that would take all memory or, of a pipe, for ever; null when it is. */
function unusable({ isRegular, size_bytes }: FileLook, { token_file_max_bytes }: GatewayLimits): string | null {
  if (!isRegular) return 'it is no regular file';
  return size_bytes > token_file_max_bytes ? `it is longer than ${token_file_max_bytes} bytes` : null;
}
