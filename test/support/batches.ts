/** What is in event batches, however they carry it. */

import { zstdDecompressSync } from 'node:zlib';
import type { RowValue } from '../../src/base/index.ts';
import { type EventBatch, unpack, unpackRows } from '../../src/contract/index.ts';

/** Rows by table name. */
export function rowsOf(batch: EventBatch): Record<string, RowValue[][]> {
  if (batch.packed === undefined) return (batch.tables ?? {}) as Record<string, RowValue[][]>;
  const tables = unpack(Uint8Array.from(zstdDecompressSync(Buffer.from(batch.packed, 'base64'))));
  if (!tables.ok) throw new Error(tables.failure.message);
  return Object.fromEntries(tables.value.map((table) => [table.table.name, unpackRows(table)]));
}

export function countOf(batch: EventBatch): number {
  return Object.values(rowsOf(batch)).reduce((sum, rows) => sum + rows.length, 0);
}
