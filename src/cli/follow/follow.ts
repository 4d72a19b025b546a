/**
 * Following a gateway for as long as the command runs: the stream is opened, each event is handed to the view, and when
 * the gateway goes away it is dialled again with the id of the last event that was dealt with. So an event whose handling
 * broke off, because the gateway went away in the middle of it, comes again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveEvent } from '../../contract/index.ts';
import type { Client } from '../client.ts';
import { CommandError, EXIT } from '../exit.ts';
import { LIMITS } from '../limits.ts';

/** Who shows what happens. */
export interface View {
  /** May ask the gateway; a CommandError counts as a break of the stream. */
  take(event: LiveEvent, id: string): Promise<void>;
  /** How the connection does, for people; null when there is nothing to say any more. */
  note(text: string | null): void;
}

/** Ends when the signal does. Throws when the gateway cannot be reached at first, or will not have us. */
export async function follow(client: Client, view: View, signal: AbortSignal): Promise<void> {
  let last: string | null = null;
  let failures = 0;
  let wasOpen = false;
  while (!signal.aborted) {
    try {
      const events = await client.follow(last, signal);
      if (failures > 0) view.note(null);
      wasOpen = true;
      for await (const { id, event } of events) {
        await view.take(event, id);
        last = id;
        failures = 0;
      }
      failures += 1;
      if (!signal.aborted) view.note(`the gateway at ${client.url} ended the stream; trying again`);
    } catch (error) {
      if (signal.aborted) return;
      if (!wasOpen || !isTransient(error)) throw error;
      failures += 1;
      view.note(`${(error as Error).message}; trying again`);
    }
    await sleep(retryAfter(failures), undefined, { signal }).catch(() => {});
  }
}

/** A refusal that will not change by itself ends the command. */
function isTransient(error: unknown): boolean {
  return error instanceof CommandError && (error.exitCode === EXIT.unreachable || error.exitCode === EXIT.failure);
}

/** Doubling, with jitter, up to the bound. */
function retryAfter(failures: number): number {
  const wait_ms = Math.min(LIMITS.follow_retry_max_ms, LIMITS.follow_retry_min_ms * 2 ** Math.min(failures - 1, 16));
  return wait_ms * (0.5 + Math.random() / 2);
}
