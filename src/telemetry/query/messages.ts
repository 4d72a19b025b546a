/**
 * What the service and a query process say to each other, over the process's IPC channel.
 *
 * 1. The service sends `open`, once. The process copies the data file into its own folder, opens the copy and locks itself
 *    in, and answers `opened` or `failed`.
 * 2. The service sends `changes` (what was committed since) whenever the process is at rest. The process answers `applied`;
 *    the service sends no further changes before that, unless a query needs them, so that they do not pile up in the channel.
 * 3. The service sends `query`, one at a time, always after the changes that precede it. The process answers `started`,
 *    `spent` if it should not be kept, then `rows` or `refused`. `rows` has the first part of the whole answer; the service
 *    asks for each of the others by `next`, so that no message is large, and the process forgets the rest when something
 *    else is asked of it.
 * 4. A process that has become unusable answers `failed` and ends. One whose channel closes ends at once, so it never
 *    outlives the service.
 */
import type { TelemetryLimits } from '../limits.ts';
import type { Change } from '../store/changes.ts';
import type { Format } from './formats.ts';

export type ToQueryProcess =
  | {
      readonly kind: 'open';
      readonly source_path: string;
      readonly folder: string;
      readonly limits: TelemetryLimits;
    }
  | { readonly kind: 'changes'; readonly changes: readonly Change[] }
  | { readonly kind: 'query'; readonly sql: string; readonly format: Format }
  | { readonly kind: 'next' };

export type FromQueryProcess =
  | { readonly kind: 'opened' }
  | { readonly kind: 'applied' }
  | { readonly kind: 'started' }
  /** It holds more memory than a process at rest may; said before the answer. */
  | { readonly kind: 'spent' }
  /** The first part of an answer of so many bytes, which is whole: nothing can go wrong with it any more. */
  | { readonly kind: 'rows'; readonly size_bytes: number; readonly part: Uint8Array }
  | { readonly kind: 'part'; readonly part: Uint8Array }
  | { readonly kind: 'refused'; readonly message: string }
  /** `engine`: said by the process. `ended`: concluded from its end. */
  | { readonly kind: 'failed'; readonly reason: 'engine' | 'ended'; readonly message: string };
