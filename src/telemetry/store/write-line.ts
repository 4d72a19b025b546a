/** The bounded queue in which writes and other work wait for the writer, in their order. */
import { failure, type Outcome, success } from '../../base/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import { countPacks, type Pack } from './packs.ts';
import type { ProducerMark } from './producers.ts';

export interface Write {
  readonly packs: readonly Pack[];
  /** The batch's place among its producer's batches; null for rows that belong to no producer. */
  readonly mark: ProducerMark | null;
}

export interface WaitingWrite {
  readonly kind: 'write';
  readonly write: Write;
  readonly rows: number;
  readonly bytes: number;
  readonly answer: (outcome: Outcome<null>) => void;
}

export interface WaitingWork {
  readonly kind: 'alone';
  readonly run: () => Promise<void>;
  readonly refuse: (error: Error) => void;
}

export class WriteLine {
  readonly #limits: TelemetryLimits;
  readonly #line: (WaitingWrite | WaitingWork)[] = [];
  #writes = 0;
  #bytes = 0;

  constructor(limits: TelemetryLimits) {
    this.#limits = limits;
  }

  /** Writes that are not answered yet. */
  get writes(): number {
    return this.#writes;
  }

  /** The first in the queue; null when it is empty. */
  get next(): WaitingWrite | WaitingWork | null {
    return this.#line[0] ?? null;
  }

  /** @returns the outcome that `answer` passes on, or `service_unavailable` when the queue is full */
  addWrite(write: Write): Promise<Outcome<null>> {
    const { writes_waiting_max, writes_waiting_max_bytes } = this.#limits;
    if (this.#writes >= writes_waiting_max) {
      const message = `telemetry has ${writes_waiting_max} writes waiting; send again later`;
      return Promise.resolve(failure('service_unavailable', message));
    }
    const { rows, bytes } = countPacks(write.packs);
    // A single write may wait, however large it is.
    if (this.#bytes > 0 && this.#bytes + bytes > writes_waiting_max_bytes) {
      const message = `telemetry has ${this.#bytes} bytes of writes waiting, at most ${writes_waiting_max_bytes} may; send again later`;
      return Promise.resolve(failure('service_unavailable', message));
    }
    return new Promise((answer) => {
      this.#writes += 1;
      this.#bytes += bytes;
      this.#line.push({ kind: 'write', write, rows, bytes, answer });
    });
  }

  addWork(work: WaitingWork): void {
    this.#line.push(work);
  }

  /** Removes the first from the queue. */
  shift(): void {
    this.#line.shift();
  }

  /** Removes the first writes that fit one commit, at least one. They count as waiting until they are answered. */
  takeGroup(): WaitingWrite[] {
    const { commit_rows_max, commit_max_bytes } = this.#limits;
    const group: WaitingWrite[] = [];
    let [rows, bytes] = [0, 0];
    for (let { next } = this; next?.kind === 'write'; next = this.next) {
      if (group.length > 0 && (rows + next.rows > commit_rows_max || bytes + next.bytes > commit_max_bytes)) break;
      rows += next.rows;
      bytes += next.bytes;
      group.push(next);
      this.shift();
    }
    return group;
  }

  /** @param error why it was not stored; null when it was */
  answer(waiting: WaitingWrite, error: string | null): void {
    this.#writes -= 1;
    this.#bytes -= waiting.bytes;
    waiting.answer(error === null ? success(null) : failure('service_unavailable', `telemetry cannot store: ${error}`));
  }
}
