/**
 * The messages between the owner process and a query process, over the IPC channel of the latter.
 *
 * 1. The owner sends `open` once. The process copies the data file into its own folder, opens the copy, locks itself in, and
 *    answers `opened` or `failed`.
 * 2. The owner sends `changes` (what was committed since) whenever the process is at rest. The process answers `applied`.
 *    Before that the owner sends further changes only if a query needs them, so that they do not pile up in the channel.
 * 3. The owner sends `query`, one at a time, always after the changes that precede it. The process answers `started`,
 *    `spent` if it should not be kept, then `rows` or `refused`. `rows` has the first part of the whole answer; the owner
 *    asks for each of the others with `next`, so that no message is large. The process forgets the rest when it receives
 *    another message.
 * 4. A process that has become unusable answers `failed` and ends. A process whose channel closes ends at once, so it never
 *    outlives the owner.
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
  /** It holds more memory than a process at rest may. Sent before the answer. */
  | { readonly kind: 'spent' }
  /** The first part of a complete answer of `size_bytes` bytes. */
  | { readonly kind: 'rows'; readonly size_bytes: number; readonly part: Uint8Array }
  | { readonly kind: 'part'; readonly part: Uint8Array }
  | { readonly kind: 'refused'; readonly message: string }
  /** `engine`: the process sent it. `ended`: the owner concludes it from the end of the process. */
  | { readonly kind: 'failed'; readonly reason: 'engine' | 'ended'; readonly message: string };
