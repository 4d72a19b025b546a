/**
 * `segments/manifest.json` lists the sealed segments, in their order. A segment exists when it is listed here.
 *
 * `seals` counts the sealings. The data file notes the same number after the manifest was written, so that an opening after a
 * crash can tell which of the two has the last sealing.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseSafely } from '../../contract/index.ts';
import { writeWhole } from './files.ts';

export const FORMAT = 1;
const MANIFEST_NAME = 'manifest.json';

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Time = v.nullable(v.pipe(v.number(), v.safeInteger()));

const ShapeColumn = v.object({ name: v.string(), type: v.string(), nullable: v.boolean() });
export type ShapeColumn = v.InferOutput<typeof ShapeColumn>;

const SegmentFile = v.object({
  table: v.string(),
  rows: Count,
  /** Of the file. */
  bytes: Count,
  /** Size of the values before compression, which retention by bytes counts. */
  data_bytes: Count,
  sha256: v.string(),
  /** Oldest and newest time of the rows; null where it is not known. */
  time_min_us: Time,
  time_max_us: Time,
});
export type SegmentFile = v.InferOutput<typeof SegmentFile>;

const Segment = v.object({
  number: Count,
  sealed_at_us: Count,
  /** Key of `schemas`. */
  schema: v.string(),
  files: v.array(SegmentFile),
  /** The producers as they were when the segment was sealed. */
  producers: v.object({
    rows: Count,
    bytes: Count,
    sha256: v.string(),
    forgotten_lost_rows: Count,
    /** Changes with every batch of a producer. */
    state: v.string(),
  }),
});
export type Segment = v.InferOutput<typeof Segment>;

const Damaged = v.object({
  segment: Count,
  table: v.string(),
  rows: Count,
  reason: v.string(),
  found_at_us: Count,
});
export type Damaged = v.InferOutput<typeof Damaged>;

export const Manifest = v.object({
  format: v.literal(FORMAT),
  /** The data file has the same id, so that segments of another store are not taken for its own. */
  store_id: v.pipe(v.string(), v.uuid()),
  engine: v.string(),
  seals: Count,
  /** Rows of each table that were sealed and still there right after the last sealing. */
  sealed_rows: v.record(v.string(), Count),
  next_segment: Count,
  /** Columns by table, as they were when a segment was sealed. */
  schemas: v.record(v.string(), v.record(v.string(), v.array(ShapeColumn))),
  /** Oldest first. */
  segments: v.array(Segment),
  damaged: v.array(Damaged),
});
export type Manifest = v.InferOutput<typeof Manifest>;

export function emptyManifest(store_id: string, engine: string): Manifest {
  return {
    format: FORMAT,
    store_id,
    engine,
    seals: 0,
    sealed_rows: {},
    next_segment: 1,
    schemas: {},
    segments: [],
    damaged: [],
  };
}

export type ReadManifest =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** Reads the manifest of a folder of segments. Throws when the disk fails. */
export async function readManifest(folder: string): Promise<ReadManifest> {
  let text: string;
  try {
    text = await readFile(join(folder, MANIFEST_NAME), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'none' };
    throw error;
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { kind: 'unreadable', reason: `${MANIFEST_NAME} is not JSON` };
  }
  const parsed = parseSafely(Manifest, json);
  if (parsed.ok) return { kind: 'manifest', manifest: parsed.value };
  return { kind: 'unreadable', reason: `${MANIFEST_NAME}: ${parsed.failure.message}` };
}

/** Durable when it returns. Schemas that no segment has any more are left out. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<Manifest> {
  const used = new Set(manifest.segments.map((segment) => segment.schema));
  const schemas = Object.fromEntries(Object.entries(manifest.schemas).filter(([key]) => used.has(key)));
  const written = { ...manifest, schemas };
  await writeWhole(join(folder, MANIFEST_NAME), `${JSON.stringify(written)}\n`);
  return written;
}

/** Folder of one segment. */
export function segmentFolder(folder: string, number: number): string {
  return join(folder, String(number).padStart(8, '0'));
}

export const PRODUCERS_FILE = 'meshscope-producers.parquet';

export function tableFile(folder: string, number: number, table: string): string {
  return join(segmentFolder(folder, number), `${table}.parquet`);
}
