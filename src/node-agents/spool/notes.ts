/**
 * What a spool notes beside its batches for the next agent: periodically, what the store has acknowledged; at every change,
 * the losses that the store does not know of. Only the last line of losses must survive, so its file is held. The other
 * lines can go without harm, because the store counts a batch that arrives again once.
 */
import type { AgentLimits } from '../limits.ts';
import type { UntoldLine } from './lines.ts';
import type { SpoolFile, SpoolLog } from './log.ts';
import type { ProducerQueue } from './queue.ts';

export class SpoolNotes {
  readonly #log: SpoolLog;
  readonly #queues: () => Iterable<ProducerQueue>;
  readonly #acked = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  /** Where the last line of losses is; null when it said that there are none. */
  #lossesFile: SpoolFile | null = null;

  constructor(log: SpoolLog, queues: () => Iterable<ProducerQueue>, { spool_sync_ms }: AgentLimits) {
    this.#log = log;
    this.#queues = queues;
    this.#timer = setInterval(() => this.#writeAcked(), spool_sync_ms);
    this.#timer.unref();
  }

  acknowledged(producer: string, seq: number): void {
    this.#acked.set(producer, seq);
  }

  /** Losses were added or reported. */
  async lossesChanged(): Promise<void> {
    const untold: UntoldLine['untold'] = [];
    for (const { producer, notice, under_way } of this.#queues()) {
      const inFlight = under_way?.entry.isNotice === true ? under_way.entry : null;
      for (const each of [inFlight, notice]) {
        if (each !== null) untold.push({ producer, to: each.seq, rows: each.lost_rows });
      }
    }
    if (untold.length === 0 && this.#lossesFile === null) return;
    const place = await this.#log.append(JSON.stringify({ untold }));
    if (place === null) return;
    if (this.#lossesFile !== null) this.#log.release(this.#lossesFile);
    this.#lossesFile = untold.length === 0 ? null : place.file;
    if (untold.length === 0) this.#log.release(place.file);
  }

  /** Before the log is closed. */
  close(): void {
    clearInterval(this.#timer);
    this.#writeAcked();
  }

  #writeAcked(): void {
    if (this.#acked.size === 0) return;
    const acked = Object.fromEntries(this.#acked);
    this.#acked.clear();
    let isEmpty = true;
    for (const { entries } of this.#queues()) isEmpty &&= entries.length === 0;
    if (isEmpty) this.#log.clear();
    else void this.#writeLine(JSON.stringify({ acked }));
  }

  /** A line that nobody holds. */
  async #writeLine(line: string): Promise<void> {
    const place = await this.#log.append(line);
    if (place !== null) this.#log.release(place.file);
  }
}
