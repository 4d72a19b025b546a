/**
 * What the service and a query process say to each other, over the process's IPC channel.
 *
 * 1. The service sends `open`, once. The process copies the data file into its own folder, opens the copy and locks itself
 *    in, and answers `opened` or `failed`.
 * 2. The service sends `changes` (what was committed since) whenever the process is at rest, and `query`, one at a time,
 *    always after the changes that precede it. The process answers a query with `started`, `spent` if it should not be kept, then `rows` or `refused`, and
 *    changes with `applied`; the service sends no further changes before that, unless a query needs them, so that they do not pile up
 *    in the channel.
 * 3. A process that has become unusable answers `failed` and ends. One whose channel closes ends at once, so it never
 *    outlives the service.
 */
import type { TelemetryLimits } from '../limits.ts';
import type { Change } from '../writer.ts';

export type ToWorker =
  | {
      readonly kind: 'open';
      readonly source_path: string;
      readonly folder: string;
      readonly limits: TelemetryLimits;
    }
  | { readonly kind: 'changes'; readonly changes: readonly Change[] }
  | { readonly kind: 'query'; readonly sql: string };

export type FromWorker =
  | { readonly kind: 'opened' }
  | { readonly kind: 'applied' }
  | { readonly kind: 'started' }
  /** It holds more memory than a process at rest may; said before the answer. */
  | { readonly kind: 'spent' }
  /** The JSON text of a whole answer: `{"rows":[…],"columns":[…]}`. */
  | { readonly kind: 'rows'; readonly text: string }
  | { readonly kind: 'refused'; readonly message: string }
  /** `engine`: said by the process. `ended`: concluded from its end. */
  | { readonly kind: 'failed'; readonly reason: 'engine' | 'ended'; readonly message: string };
