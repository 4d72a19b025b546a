/**
 * Sealed segments: the history of the store in Parquet files, which outlives the data file's schema and engine.
 *
 * 1. A sealing takes the rows that were appended since the last one: of each table, those behind its last sealed row. It
 *    reads them in a transaction of its own that begins between two commits; commits continue while it writes.
 * 2. It writes `segments/NUMBER.partial/TABLE.parquet` and the producers, syncs every file, and renames the folder.
 * 3. It writes the manifest, by a rename that is synced. From here on the segment exists.
 * 4. It notes in the data file, in one transaction, how many rows are sealed now. If that is lost, the next sealing, sweep or
 *    opening sees that the manifest counts one sealing more, and notes it first. Nothing is deleted from a table in between.
 * 5. Folders that the manifest does not name were left behind by a crash. They are removed at opening.
 * 6. A file is removed when every row in it is older than every row of its table. When there are many segments, the next
 *    sealing writes all rows into one that replaces them.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { OtherConnection } from '../database/database.ts';
import type { TelemetryLimits } from '../limits.ts';
import { type Manifest, readManifest, type Segment, segmentFolder, tableFile, writeManifest } from './manifest.ts';
import { catchUp, inTransaction, lastSealedRow, noteSql, readCounts } from './sealing.ts';
import { readShape, schemaKey } from './shape.ts';
import { producerFacts, type RowsToSeal, writeSegment } from './write-segment.ts';

/** Folder of the segments, beside the data file. */
export const SEGMENTS_FOLDER = 'segments';

/** Runs `work` while nobody else writes; `connect` opens one more connection to the same data file. */
export type Alone = <T>(
  work: (connection: DuckDBConnection, connect: () => Promise<OtherConnection>) => Promise<T>,
) => Promise<T>;

export interface Sealed {
  /** Rows that were written into the segment. */
  readonly rows: number;
}

export interface SegmentTotals {
  readonly segments: number;
  readonly segment_bytes: number;
  readonly damaged_files: number;
}

/** Oldest time of the rows that a table still has; `none` when it has no rows. */
export type Floor = number | 'none';

export class Segments {
  readonly folder: string;
  readonly #limits: TelemetryLimits;
  #manifest: Manifest;

  constructor(folder: string, manifest: Manifest, limits: TelemetryLimits) {
    this.folder = folder;
    this.#limits = limits;
    this.#manifest = manifest;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  get totals(): SegmentTotals {
    const { segments, damaged } = this.#manifest;
    const segment_bytes = segments.reduce((sum, segment) => sum + segmentBytes(segment), 0);
    return { segments: segments.length, segment_bytes, damaged_files: damaged.length };
  }

  /** Average bytes of a row of each table, before compression, over all sealed rows. */
  rowBytes(): Map<string, number> {
    const sums = new Map<string, { rows: number; bytes: number }>();
    for (const file of this.#manifest.segments.flatMap((segment) => segment.files)) {
      const sum = sums.get(file.table) ?? { rows: 0, bytes: 0 };
      sums.set(file.table, { rows: sum.rows + file.rows, bytes: sum.bytes + file.data_bytes });
    }
    return new Map([...sums].map(([table, { rows, bytes }]) => [table, rows === 0 ? 0 : bytes / rows]));
  }

  /** Notes in the data file what the manifest has already. To be called before rows are deleted. */
  async catchUp(connection: DuckDBConnection): Promise<void> {
    await catchUp(connection, this.#manifest);
  }

  /**
   * Seals the rows that are not sealed yet. Runs one at a time, and beside no sweep. When it throws, with the error of DuckDB
   * or of the disk, nothing has changed, or the next sealing finishes the work.
   * @param all whether one segment with all rows replaces the others
   * @param contract whether the tables are the contract's, so that rows can be dated. Default true
   */
  async seal(alone: Alone, { all = false, contract = true } = {}): Promise<Sealed> {
    const reader = await alone(async (connection, connect) => {
      await catchUp(connection, this.#manifest);
      const opened = await connect();
      try {
        await opened.connection.run('BEGIN TRANSACTION READ ONLY');
        // The first read fixes what the transaction sees.
        await producerFacts(opened.connection);
        return opened;
      } catch (error) {
        opened.close();
        throw error;
      }
    });
    const before = this.#manifest;
    try {
      const next = await this.#write(reader.connection, all, contract);
      if (next === null) return { rows: 0 };
      await this.#replace(next.manifest);
      const { store_id, seals, sealed_rows } = this.#manifest;
      await alone(async (connection) => {
        // Between commits, so that DuckDB can clean up behind its transaction.
        reader.close();
        await inTransaction(connection, noteSql(store_id, seals, sealed_rows));
      });
      return { rows: next.rows };
    } finally {
      await alone(async () => reader.close()).catch(() => reader.close());
      if (all && this.#manifest !== before) await this.#removeFolders(before.segments);
    }
  }

  async #write(
    reader: DuckDBConnection,
    all: boolean,
    contract: boolean,
  ): Promise<{ manifest: Manifest; rows: number } | null> {
    const manifest = this.#manifest;
    const tables = await readShape(reader);
    const names = tables.map((table) => table.name);
    const counts = await readCounts(reader, names);
    const parts: RowsToSeal[] = [];
    for (const table of tables) {
      const count = counts.get(table.name) ?? { rows: 0, sealed: 0 };
      const rows = all ? count.rows : count.rows - count.sealed;
      if (rows > 0) parts.push({ table, rows, after: all ? -1 : await lastSealedRow(reader, table.name, count) });
    }
    const { state } = await producerFacts(reader);
    const isNews = state !== (manifest.segments.at(-1)?.producers.state ?? '0/0/0/0');
    const isNothing = parts.length === 0 && !isNews;
    if (isNothing && (!all || manifest.segments.length === 0)) return null;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const schema = schemaKey(tables);
    const number = manifest.next_segment;
    const present = new Set(contract ? names : []);
    const segment = await writeSegment(reader, this.folder, number, parts, { schema, present, limits: this.#limits });
    const columns = Object.fromEntries(tables.map(({ name, columns }) => [name, [...columns]]));
    return {
      manifest: {
        ...manifest,
        seals: manifest.seals + 1,
        sealed_rows: Object.fromEntries([...counts].map(([name, count]) => [name, count.rows])),
        next_segment: number + 1,
        schemas: { ...manifest.schemas, [schema]: columns },
        segments: all ? [segment] : [...manifest.segments, segment],
      },
      rows: parts.reduce((sum, part) => sum + part.rows, 0),
    };
  }

  /** Removes the files whose rows have all been deleted, by the oldest time that each table still has. */
  async prune(floors: ReadonlyMap<string, Floor>): Promise<void> {
    const { segments } = this.#manifest;
    const isOver = ({ table, time_max_us }: Segment['files'][number]): boolean => {
      const floor = floors.get(table);
      if (floor === undefined) return false;
      return floor === 'none' || (time_max_us !== null && time_max_us < floor);
    };
    const kept = segments.map((segment) => ({ ...segment, files: segment.files.filter((file) => !isOver(file)) }));
    // The last one has the producers.
    const left = kept.filter((segment, index) => segment.files.length > 0 || index === kept.length - 1);
    const gone = segments.flatMap(({ number, files }) => files.filter(isOver).map(({ table }) => ({ number, table })));
    if (gone.length === 0 && left.length === segments.length) return;
    await this.#replace({ ...this.#manifest, segments: left });
    const numbers = new Set(left.map((segment) => segment.number));
    await this.#removeFolders(segments.filter((segment) => !numbers.has(segment.number)));
    for (const { number, table } of gone) await rm(tableFile(this.folder, number, table), { force: true });
  }

  /** Writes the manifest. If that fails it may have been replaced all the same, and the one on the disk counts. */
  async #replace(manifest: Manifest): Promise<void> {
    try {
      this.#manifest = await writeManifest(this.folder, manifest);
    } catch (error) {
      const read = await readManifest(this.folder);
      if (read.kind === 'manifest') this.#manifest = read.manifest;
      throw error;
    }
  }

  async #removeFolders(segments: readonly Segment[]): Promise<void> {
    for (const { number } of segments) await rm(segmentFolder(this.folder, number), { recursive: true, force: true });
  }
}

export function segmentBytes(segment: Segment): number {
  return segment.files.reduce((sum, file) => sum + file.bytes, segment.producers.bytes);
}

/** Where damaged files are moved. */
export function damagedFolder(folder: string, number: number): string {
  return join(folder, 'damaged', String(number).padStart(8, '0'));
}
