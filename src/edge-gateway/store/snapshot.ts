/**
 * Snapshots of the topology on their way into the store.
 *
 *  1. Every interval (and soon after the first host has come) the published state is turned into rows, without a call
 *     to any agent, in slices between which other work gets its turn. A tick while one capture is under way is skipped.
 *  2. The rows go out as event batches of this gateway's own producer (row-sender.ts). The `snapshots` row is in the
 *     last of them, so a capture that did not arrive whole cannot be seen. Nothing is kept beyond one capture.
 */
import { type Log, SILENT } from '../../base/index.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { HostViews, Mesh, Telemetry } from '../ports.ts';
import { RowSender } from './row-sender.ts';
import { captureRows } from './snapshot-rows.ts';

export interface SnapshotOptions {
  readonly mesh: Mesh & HostViews;
  /** Null: no snapshots are taken. */
  readonly telemetry: Telemetry | null;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Milliseconds between captures; 0 takes none. Default 30,000. */
  readonly interval_ms?: number | undefined;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

/** A timer that is set to more fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class Snapshots {
  readonly #mesh: Mesh & HostViews;
  readonly #telemetry: Telemetry | null;
  readonly #sender: RowSender | null;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #isBusy = false;
  #isOver = false;

  /** @throws RangeError when the interval is negative, longer than a timer can wait, or not a number. */
  constructor(options: SnapshotOptions) {
    const { mesh, telemetry, log = SILENT, limits = LIMITS } = options;
    const { interval_ms = limits.snapshot_interval_ms } = options;
    if (!(interval_ms >= 0 && interval_ms <= TIMER_MAX_MS)) {
      throw new RangeError(`interval_ms must be 0 to ${TIMER_MAX_MS}, got ${interval_ms}`);
    }
    this.#mesh = mesh;
    this.#telemetry = telemetry;
    this.#sender = telemetry === null ? null : new RowSender({ telemetry, log, what: 'snapshot', limits });
    if (telemetry === null || interval_ms === 0) return;
    const first = setInterval(
      () => {
        if (!mesh.hosts().some(({ isLinked }) => isLinked)) return;
        clearInterval(first);
        void this.capture();
      },
      Math.min(limits.snapshot_first_ms, interval_ms),
    );
    this.#timers.push(
      first,
      setInterval(() => void this.capture(), interval_ms),
    );
  }

  close(): void {
    this.#isOver = true;
    this.#sender?.close();
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Takes one capture and sends it; false when one was under way already or it did not arrive whole. */
  async capture(): Promise<boolean> {
    if (this.#sender === null || this.#isBusy || this.#isOver) return false;
    this.#isBusy = true;
    if ((await this.#telemetry?.absent?.()) != null) {
      // Nothing is taken, and so nothing lost, while there is no store to take it.
      this.#isBusy = false;
      return false;
    }
    const id = crypto.randomUUID();
    const snapshot_ts = Date.now() * 1_000;
    try {
      return await this.#sender.send(captureRows(this.#mesh, id, snapshot_ts), { snapshots: [[id, snapshot_ts]] });
    } finally {
      this.#isBusy = false;
    }
  }
}
