/**
 * What the store remembers of each producer: the number of its last committed batch, and how many rows it lost.
 *
 * The map in memory shows the table as it was after the last commit. It changes only when a commit has succeeded.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { INTERNAL_SCHEMA, quoteText } from '../database/ddl.ts';

export interface ProducerMark {
  readonly producer: string;
  /** What the producer is, for people. Default: as in its earlier batches, or nothing. */
  readonly source?: string | undefined;
  readonly seq: number;
  readonly lost_rows: number;
}

export interface ProducerState {
  readonly source: string | null;
  readonly last_seq: number;
  readonly lost_rows: number;
  readonly stored_rows: number;
  readonly heard_us: number;
}

/** The rows that one producer lost. `producer` is null for the sum of those that are not remembered one by one. */
export interface Loss {
  readonly producer: string | null;
  readonly source: string | null;
  readonly lost_rows: number;
  readonly stored_rows: number | null;
  readonly last_seq: number | null;
  readonly heard_us: number | null;
}

export class Producers {
  #states = new Map<string, ProducerState>();
  /** Losses of producers that are no longer remembered one by one. */
  #forgottenLostRows = 0;
  #lossesVersion = 0;

  /** Reads the table. */
  async load(connection: DuckDBConnection): Promise<void> {
    const reader = await connection.runAndReadAll(
      `SELECT producer, source, last_seq, lost_rows, stored_rows, heard_us FROM ${INTERNAL_SCHEMA}.producers`,
    );
    this.#lossesVersion += 1;
    this.#states = new Map(
      reader
        .getRows()
        .map(([producer, source, last_seq, lost_rows, stored_rows, heard_us]): [string, ProducerState] => [
          String(producer),
          {
            source: source === null ? null : String(source),
            last_seq: Number(last_seq),
            lost_rows: Number(lost_rows),
            stored_rows: Number(stored_rows),
            heard_us: Number(heard_us),
          },
        ]),
    );
    const forgotten = await connection.runAndReadAll(
      `SELECT coalesce(sum(lost_rows), 0)::DOUBLE FROM ${INTERNAL_SCHEMA}.forgotten`,
    );
    this.#forgottenLostRows = Number(forgotten.getRows()[0]?.[0] ?? 0);
  }

  get(producer: string): ProducerState | undefined {
    return this.#states.get(producer);
  }

  /** The state after the marked batch with `rows` rows; `before` is the state within the same transaction. */
  next(before: ProducerState | undefined, mark: ProducerMark, rows: number, now_us: number): ProducerState {
    return {
      source: mark.source === undefined ? (before?.source ?? null) : oneLine(mark.source),
      last_seq: mark.seq,
      lost_rows: (before?.lost_rows ?? 0) + mark.lost_rows,
      stored_rows: (before?.stored_rows ?? 0) + rows,
      heard_us: now_us,
    };
  }

  /** SQL that writes the given states, inside a transaction; `null` when there are none. */
  upsertSql(states: ReadonlyMap<string, ProducerState>): string | null {
    if (states.size === 0) return null;
    const values = [...states].map(
      ([producer, state]) =>
        `(${quoteText(producer)}, ${state.last_seq}, ${state.lost_rows}, ${state.stored_rows}, ${state.heard_us}, ${state.source === null ? 'NULL' : quoteText(state.source)})`,
    );
    // No UPDATE: DuckDB puts checkpoints off while an older reader might still need the row as it was.
    const names = [...states.keys()].map(quoteText).join(', ');
    return `DELETE FROM ${INTERNAL_SCHEMA}.producers WHERE producer IN (${names});
      INSERT INTO ${INTERNAL_SCHEMA}.producers (producer, last_seq, lost_rows, stored_rows, heard_us, source)
      VALUES ${values.join(', ')}`;
  }

  committed(states: ReadonlyMap<string, ProducerState>): void {
    for (const [producer, state] of states) {
      this.#states.set(producer, state);
      if (state.lost_rows > 0) this.#lossesVersion += 1;
    }
  }

  /** Grows whenever `losses` would give something else. */
  get lossesVersion(): number {
    return this.#lossesVersion;
  }

  /** The producers that lost rows, last heard first; those beyond `shown_max`, and forgotten ones, in one last sum. */
  losses(shown_max: number): Loss[] {
    const lossy = [...this.#states].filter(([, state]) => state.lost_rows > 0);
    lossy.sort(([, a], [, b]) => b.heard_us - a.heard_us);
    const shown: Loss[] = lossy.slice(0, shown_max).map(([producer, state]) => ({ producer, ...state }));
    const rest = lossy.slice(shown_max).reduce((sum, [, state]) => sum + state.lost_rows, this.#forgottenLostRows);
    if (rest === 0) return shown;
    const unknown = { stored_rows: null, last_seq: null, heard_us: null };
    return [...shown, { producer: null, source: null, lost_rows: rest, ...unknown }];
  }

  get count(): number {
    return this.#states.size;
  }

  /** When the last one was heard, microseconds since the epoch; null when none was. */
  get lastHeard_us(): number | null {
    let last: number | null = null;
    for (const { heard_us } of this.#states.values()) last = Math.max(last ?? 0, heard_us);
    return last;
  }

  /** The producers beyond the newest `keep_max`, longest unheard first. */
  excess(keep_max: number): string[] {
    const surplus = this.#states.size - keep_max;
    if (surplus <= 0) return [];
    return [...this.#states]
      .sort(([, a], [, b]) => a.heard_us - b.heard_us)
      .slice(0, surplus)
      .map(([producer]) => producer);
  }

  /** SQL that forgets producers, keeping the sum of their losses. */
  forgetSql(producers: readonly string[]): string[] {
    const list = producers.map(quoteText).join(', ');
    return [
      `INSERT INTO ${INTERNAL_SCHEMA}.forgotten SELECT coalesce(sum(lost_rows), 0)::UBIGINT
         FROM ${INTERNAL_SCHEMA}.producers WHERE producer IN (${list})`,
      `DELETE FROM ${INTERNAL_SCHEMA}.producers WHERE producer IN (${list})`,
    ];
  }

  forgotten(producers: readonly string[]): void {
    if (producers.length > 0) this.#lossesVersion += 1;
    for (const producer of producers) {
      this.#forgottenLostRows += this.#states.get(producer)?.lost_rows ?? 0;
      this.#states.delete(producer);
    }
  }

  totals(): { producers: number; lost_rows: number; stored_rows: number } {
    let lost_rows = this.#forgottenLostRows;
    let stored_rows = 0;
    for (const state of this.#states.values()) {
      lost_rows += state.lost_rows;
      stored_rows += state.stored_rows;
    }
    return { producers: this.#states.size, lost_rows, stored_rows };
  }
}

/** Text that may stand in a statement and on a screen. */
function oneLine(text: string): string {
  return text.toWellFormed().replace(/\p{Cc}+/gu, ' ');
}
