/**
 * Rows and batches as packs: checked columns, and the bytes that hold them. All rows that enter the store pass here and take
 * one way: rows are packed, packs are unpacked, and their columns are appended.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { countRows, failure, type Outcome, success, type TableRows } from '../../base/index.ts';
import {
  countPackedRows,
  type EventBatch,
  findTable,
  PACKED_MAX_BYTES,
  type PackedTable,
  pack,
  ROWS_PER_BATCH_MAX,
  unpack,
} from '../../contract/index.ts';
import { LIMITS, type TelemetryLimits } from '../limits.ts';

type PackLimits = Pick<TelemetryLimits, 'pack_rows_max' | 'unpack_inline_max_bytes'>;

export interface Pack {
  /** The input of `unpack`; `tables` are views of these bytes. */
  readonly bytes: Uint8Array;
  readonly tables: readonly PackedTable[];
  readonly rows: number;
}

const ZSTD_OPTIONS = { maxOutputLength: PACKED_MAX_BYTES, chunkSize: 128 * 1024 };
const decompressElsewhere = promisify(zstdDecompress);

/**
 * The rows of a batch, whether they came as rows or packed.
 * @returns `bad_request` naming the field (and the row and column, or what is wrong with the bytes)
 */
export async function packsOf(
  { tables, packed, lost_rows }: EventBatch,
  limits: PackLimits = LIMITS,
): Promise<Outcome<readonly Pack[]>> {
  if (tables !== undefined && packed !== undefined) {
    return failure('bad_request', 'both tables and packed, expected one of them');
  }
  if (packed !== undefined) return await readPacked(packed, limits);
  if (tables === undefined) {
    return lost_rows > 0 ? success([]) : failure('bad_request', 'neither tables nor packed, and no lost_rows to tell');
  }
  // Values are checked one by one as they are packed.
  const rows = tables as TableRows;
  if (countRows(rows) > ROWS_PER_BATCH_MAX) {
    return failure('bad_request', `tables: more than ${ROWS_PER_BATCH_MAX} rows in one batch`);
  }
  return await packRows(rows, limits);
}

/** Packs rows of any number, in several packs. @returns `bad_request` naming table, row and column */
export async function packRows(
  tables: TableRows,
  { pack_rows_max }: PackLimits = LIMITS,
): Promise<Outcome<readonly Pack[]>> {
  const packs: Pack[] = [];
  for (const [name, rows] of Object.entries(tables)) {
    if (findTable(name) === undefined) return failure('bad_request', `tables.${name}: no such table`);
    for (let start = 0; start < rows.length; start += pack_rows_max) {
      const part = packPart(name, rows.slice(start, start + pack_rows_max), start);
      if (!part.ok) return part;
      packs.push(part.value);
      await nextTurn();
    }
  }
  return success(packs);
}

/** @param start the place of the first of the rows among all of its table */
function packPart(name: string, rows: TableRows[string], start: number): Outcome<Pack> {
  const bytes = pack({ [name]: rows });
  if (bytes.ok) return readPack(bytes.value);
  const within = `tables.${name}[`;
  const { message } = bytes.failure;
  if (start === 0 || !message.startsWith(within)) return bytes;
  // The row's place in all of them.
  const place = Number.parseInt(message.slice(within.length), 10);
  return failure('bad_request', message.replace(`${within}${place}`, `${within}${start + place}`));
}

async function readPacked(text: string, { unpack_inline_max_bytes }: PackLimits): Promise<Outcome<readonly Pack[]>> {
  const compressed = Buffer.from(text, 'base64');
  // Buffer skips characters that are not base64, and the result is then shorter than the text allows.
  const chars = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  if (compressed.length === 0 || compressed.length !== Math.floor((chars * 3) / 4)) {
    return failure('bad_request', 'packed: not base64');
  }
  let bytes: Uint8Array;
  try {
    bytes =
      compressed.length <= unpack_inline_max_bytes
        ? zstdDecompressSync(compressed, ZSTD_OPTIONS)
        : await decompressElsewhere(compressed, ZSTD_OPTIONS);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      return failure('bad_request', `packed: more than ${PACKED_MAX_BYTES} bytes when decompressed`);
    }
    return failure('bad_request', `packed: not zstd: ${message}`);
  }
  const read = readPack(bytes);
  return read.ok ? success([read.value]) : read;
}

/** Reads bytes that `pack` wrote, here or elsewhere. */
export function readPack(given: Uint8Array): Outcome<Pack> {
  // A copy begins at 0. (`slice` of a Buffer is none.)
  const bytes = given.byteOffset % 8 === 0 ? given : new Uint8Array(given);
  const tables = unpack(bytes);
  if (!tables.ok) return tables;
  return success({ bytes, tables: tables.value, rows: countPackedRows(tables.value) });
}

export function countPacks(packs: readonly Pack[]): { rows: number; bytes: number } {
  let [rows, bytes] = [0, 0];
  for (const pack of packs) {
    rows += pack.rows;
    bytes += pack.bytes.length;
  }
  return { rows, bytes };
}
