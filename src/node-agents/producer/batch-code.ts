/**
 * Rows into event batches and back: columns (contract/packed/layout.ts), zstd, base64.
 *
 * Compression runs on the thread pool, at the fastest level: columns of a batch are a fifth of their JSON then, and the
 * next levels cost more than they save.
 */

import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { failure, type Outcome, success, type TableRows } from '../../base/index.ts';
import { countPackedRows, EventBatch, PACKED_MAX_BYTES, pack, parseSafely, unpack } from '../../contract/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A batch and the number of its rows, which its packed form does not show. */
export interface CountedBatch {
  readonly batch: EventBatch;
  readonly rows: number;
}

/**
 * Rows as the `packed` of a batch.
 * @returns `bad_request` naming table, row and column of what does not fit; `payload_too_large` beyond the bounds
 */
export async function encodeRows(tables: TableRows, limits: AgentLimits = LIMITS): Promise<Outcome<string>> {
  const columns = pack(tables);
  if (!columns.ok) return columns;
  if (columns.value.length > PACKED_MAX_BYTES) {
    const message = `a batch of ${columns.value.length} bytes of columns, more than the ${PACKED_MAX_BYTES} that may be sent`;
    return failure('payload_too_large', message);
  }
  let packed: string;
  try {
    packed = (await compress(columns.value, FASTEST)).toString('base64');
  } catch (error) {
    return failure('internal_error', `a batch could not be compressed: ${(error as Error).message}`);
  }
  if (packed.length <= limits.batch_max_bytes) return success(packed);
  return failure(
    'payload_too_large',
    `a batch of ${packed.length} bytes, more than the ${limits.batch_max_bytes} there are`,
  );
}

/**
 * Checks a batch that somebody else made, down to each value, and gives it in the form in which it travels on: packed, if
 * it was not.
 * @returns `bad_request` saying what is wrong and where; `payload_too_large` when it does not fit into a frame
 */
export async function checkBatch(json: unknown, limits: AgentLimits = LIMITS): Promise<Outcome<CountedBatch>> {
  const parsed = parseSafely(EventBatch, json);
  if (!parsed.ok) return parsed;
  const { tables, packed, ...head } = parsed.value;
  if ((tables === undefined) === (packed === undefined)) {
    return failure('bad_request', 'a batch has either tables or packed: give one of them');
  }
  if (packed !== undefined) {
    const rows = await countRowsOf(packed);
    if (!rows.ok) return rows;
    if (rows.value === 0) return failure('bad_request', EMPTY);
    return fitting({ batch: { ...head, packed }, rows: rows.value }, limits);
  }
  const rows = Object.values(tables ?? {}).reduce((sum, part) => sum + part.length, 0);
  if (rows === 0) {
    return head.lost_rows === 0 ? failure('bad_request', EMPTY) : success({ batch: { ...head, tables: {} }, rows });
  }
  // What the values are, `pack` checks.
  const encoded = await encodeRows(tables as TableRows, limits);
  return encoded.ok ? fitting({ batch: { ...head, packed: encoded.value }, rows }, limits) : encoded;
}

const EMPTY = 'the batch is empty: give at least one row';

function fitting(counted: CountedBatch, { batch_max_bytes }: AgentLimits): Outcome<CountedBatch> {
  // All that is not base64 in it is bounded by the schema, far below what is left of a frame.
  const bytes = counted.batch.packed?.length ?? 0;
  if (bytes <= batch_max_bytes) return success(counted);
  return failure('payload_too_large', `packed: ${bytes} characters, more than the ${batch_max_bytes} there are`);
}

async function countRowsOf(packed: string): Promise<Outcome<number>> {
  let columns: Buffer;
  const compressed = Buffer.from(packed, 'base64');
  // What is no base64 is skipped over, and the store, which is strict, would refuse the batch after it was acknowledged.
  if (compressed.toString('base64').length !== packed.length) return failure('bad_request', 'packed: not base64');
  try {
    columns = await decompress(compressed, { maxOutputLength: PACKED_MAX_BYTES });
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        ? `more than ${PACKED_MAX_BYTES} bytes`
        : 'not base64 of zstd';
    return failure('bad_request', `packed: ${why}`);
  }
  // Typed arrays are laid over the bytes, which have to begin where such arrays may.
  const aligned = columns.byteOffset % 8 === 0 ? columns : Uint8Array.from(columns);
  const tables = unpack(aligned);
  return tables.ok ? success(countPackedRows(tables.value)) : tables;
}
