/**
 * The maintenance of a store: sealing committed rows (segments/) and sweeping rows that exceed their bounds (retention/). One
 * at a time, beside the commits; upkeep.ts decides when.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import pLimit from 'p-limit';
import type { WarningLog } from '../../base/index.ts';
import { messageWithoutFolder } from '../database/database.ts';
import { readEngineError } from '../database/engine-error.ts';
import type { TelemetryLimits } from '../limits.ts';
import { Clock } from '../retention/clock.ts';
import { Retention } from '../retention/sweep.ts';
import { readFloors } from '../segments/floors.ts';
import { lastSealedRow, readCounts, sealedRowsSql } from '../segments/sealing.ts';
import type { Alone, Floor, Sealed, Segments } from '../segments/segments.ts';
import type { DiskGuard } from './disk.ts';
import type { Producers } from './producers.ts';
import type { Writer } from './writer.ts';

const NOTHING_UNSEALED = { rows: 0, bytes: 0, since_ms: 0 };

export interface MaintenanceOptions {
  /** Of the data file. */
  readonly path: string;
  readonly writer: Writer;
  readonly producers: Producers;
  readonly segments: Segments;
  readonly disk: DiskGuard;
  readonly limits: TelemetryLimits;
  readonly log: WarningLog;
}

export class Maintenance {
  readonly #path: string;
  readonly #writer: Writer;
  readonly #producers: Producers;
  readonly #segments: Segments;
  readonly #disk: DiskGuard;
  readonly #limits: TelemetryLimits;
  readonly #log: WarningLog;
  readonly #retention: Retention;
  readonly #clock: Clock;
  #isClockDoubted: boolean;
  /** Sealings and sweeps follow one another. */
  readonly #turns = pLimit(1);
  #isClosing = false;
  #unsealed: { rows: number; bytes: number; since_ms: number } = NOTHING_UNSEALED;
  #bytesSinceSweep = 0;
  #sealNotBefore_ms = 0;
  /** Segments at which the next sealing merges them. */
  #mergeFrom: number;

  constructor({ path, writer, producers, segments, disk, limits, log }: MaintenanceOptions) {
    this.#path = path;
    this.#writer = writer;
    this.#producers = producers;
    this.#segments = segments;
    this.#disk = disk;
    this.#limits = limits;
    this.#log = log;
    this.#retention = new Retention(limits);
    this.#mergeFrom = limits.segments_max;
    const heard_us = producers.lastHeard_us;
    this.#clock = new Clock(limits, heard_us === null ? null : heard_us / 1000);
    // A store that was closed for some time sees a step at its start, which is not worth a line in the log.
    this.#clock.now_ms();
    this.#isClockDoubted = this.#clock.isDoubted;
    writer.follow((change) => {
      if (change === 'lost' || change.kind !== 'insert') return;
      const { rows, bytes, since_ms } = this.#unsealed;
      const from_ms = rows === 0 ? performance.now() : since_ms;
      this.#unsealed = { rows: rows + change.rows, bytes: bytes + change.bytes, since_ms: from_ms };
      this.#bytesSinceSweep += change.bytes;
    });
  }

  /** Rows committed by this process that are in no segment yet. */
  get unsealedRows(): number {
    return this.#unsealed.rows;
  }

  /**
   * Puts the rows that are in no segment yet into a new one (segments/segments.ts), beside the commits. Rejects with the error
   * of the disk or of DuckDB; the rows stay where they are then.
   * @param all whether one segment with all rows replaces the others. Default: when there are too many of them; if that
   *   fails, which takes more of everything, the new rows are sealed alone
   */
  seal(all?: boolean): Promise<Sealed> {
    return this.#inTurn(async () => {
      if (all !== undefined) return await this.#seal(all);
      const { segments } = this.#segments.totals;
      if (segments >= this.#mergeFrom) {
        // After a failure there must be some more segments before the next attempt.
        this.#mergeFrom = segments + Math.ceil(this.#limits.segments_max / 4);
        try {
          const merged = await this.#seal(true);
          this.#mergeFrom = this.#limits.segments_max;
          return merged;
        } catch (error) {
          this.#log.warn(`merging segments failed: ${this.#said(error)}`);
        }
      }
      return await this.#seal(false);
    });
  }

  /** Whether enough rows have come, or the oldest has waited long enough, for the next sealing. */
  get isSealDue(): boolean {
    const { rows, bytes, since_ms } = this.#unsealed;
    const { seal_rows_max, seal_max_bytes, seal_interval_ms } = this.#limits;
    if (rows === 0 || performance.now() < this.#sealNotBefore_ms) return false;
    return rows >= seal_rows_max || bytes >= seal_max_bytes || performance.now() - since_ms >= seal_interval_ms;
  }

  /** Whether so much was committed since the last sweep that the next one should not wait for its time. */
  get isSweepDue(): boolean {
    const { sweep_after_bytes, producers_max } = this.#limits;
    return this.#bytesSinceSweep >= sweep_after_bytes || this.#producers.count > producers_max * 1.1;
  }

  /**
   * Seals, then deletes rows that exceed their bounds, then segment files that hold nothing else. When it rejects, with the
   * error of DuckDB, nothing was deleted.
   * @param given_ms time by which the age of rows is measured, milliseconds since the epoch. Default: that of retention/clock.ts
   */
  sweep(given_ms?: number): Promise<void> {
    return this.#inTurn(async () => {
      const now_ms = given_ms ?? this.#clock.now_ms();
      if (this.#clock.isDoubted !== this.#isClockDoubted) {
        this.#isClockDoubted = this.#clock.isDoubted;
        const believed = new Date(now_ms).toISOString();
        if (this.#isClockDoubted)
          this.#log.warn(`the system's clock has jumped; rows grow old from ${believed} for now`);
      }
      // Rows that cannot be sealed because the disk is full may be deleted all the same: they exceed their bounds.
      await this.#seal(false).catch((error) => this.#log.warn(`sealing failed: ${this.#said(error)}`));
      const bytes = this.#bytesSinceSweep;
      const sweep = async (connection: DuckDBConnection): Promise<Map<string, Floor>> => {
        await this.#segments.catchUp(connection);
        const deletions = await this.#retention.deletions(connection, this.#segments.rowBytes(), now_ms * 1000);
        const excess = this.#producers.excess(this.#limits.producers_max);
        const internal = excess.length === 0 ? [] : this.#producers.forgetSql(excess);
        const tables = [...new Set(deletions.map((deletion) => deletion.table))];
        for (const [table, count] of await readCounts(connection, tables)) {
          internal.push(sealedRowsSql(table, await lastSealedRow(connection, table, count)));
        }
        await this.#writer.runStatements(
          deletions.map((deletion) => deletion.sql),
          internal,
        );
        this.#producers.forgotten(excess);
        return await readFloors(connection, this.#segments.manifest);
      };
      const floors = await this.#withMemory(() => this.#writer.alone(sweep));
      this.#bytesSinceSweep -= bytes;
      await this.#segments.prune(floors);
      // Deleted rows take up space until then.
      await this.#writer.checkpointed();
    });
  }

  /** Seals what is left. Nothing else may be called from then on. */
  async close(): Promise<void> {
    const sealing = this.seal(false).catch((error) => this.#log.warn(`sealing failed: ${this.#said(error)}`));
    this.#isClosing = true;
    await sealing;
  }

  async #seal(all: boolean): Promise<Sealed> {
    const problem = await this.#disk.problem();
    if (problem !== null) throw new Error(problem);
    const alone: Alone = (work) => this.#writer.alone(work);
    const before = this.#unsealed;
    // Rows that are committed while the sealing begins are counted again, which only brings the next one forward.
    this.#unsealed = NOTHING_UNSEALED;
    try {
      const sealed = await this.#withMemory(() => this.#segments.seal(alone, { all }));
      // A store that is closing need not open its file again.
      if (!this.#isClosing) await this.#renew();
      return sealed;
    } catch (error) {
      const { rows, bytes } = this.#unsealed;
      this.#unsealed = { rows: rows + before.rows, bytes: bytes + before.bytes, since_ms: before.since_ms };
      // A second attempt right away would fail again.
      this.#sealNotBefore_ms = performance.now() + this.#limits.seal_interval_ms;
      throw error;
    }
  }

  /** A failure is only logged: the sealing before it is done. */
  async #renew(): Promise<void> {
    await this.#writer
      .renew()
      .catch((error) => this.#log.warn(`opening the data file anew failed: ${this.#said(error)}`));
  }

  /** Runs work that takes more memory than commits do. If it runs out of memory, it runs again with the most there may be. */
  async #withMemory<T>(work: () => Promise<T>): Promise<T> {
    const { seal_memory_mib, owner_memory_max_mib } = this.#limits;
    try {
      await this.#writer.useExtraMemory(seal_memory_mib);
      return await work().catch(async (error: unknown) => {
        if (!readEngineError(error).isOutOfMemory) throw error;
        await this.#writer.useExtraMemory(owner_memory_max_mib);
        return await work();
      });
    } finally {
      await this.#writer.useExtraMemory(0).catch(() => undefined);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosing) return Promise.reject(new Error('telemetry is closing'));
    return this.#turns(work);
  }

  /** One line. */
  #said(error: unknown): string {
    return messageWithoutFolder(error, this.#path).split('\n')[0] ?? '';
  }
}
