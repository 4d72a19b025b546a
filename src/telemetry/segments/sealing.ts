/**
 * What the data file knows of its segments: which store it is, how many sealings it has noted, and how many rows of each
 * table are sealed. The sealed rows of a table are its first ones; those after them are not in any segment yet.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { INTERNAL_SCHEMA, quoteIdentifier, quoteText } from '../database/ddl.ts';
import type { Manifest } from './manifest.ts';

/** Store id of a data file that is being filled from segments. */
export const REBUILDING = 'rebuilding';

export interface Sealing {
  readonly store_id: string;
  readonly seals: number;
}

/** @returns null for a data file that has no note yet */
export async function readSealing(connection: DuckDBConnection): Promise<Sealing | null> {
  const reader = await connection.runAndReadAll(`SELECT store_id, seals FROM ${INTERNAL_SCHEMA}.sealing`);
  const [row] = reader.getRows();
  return row === undefined ? null : { store_id: String(row[0]), seals: Number(row[1]) };
}

/** Statements that note how far the segments go. To be run in one transaction. */
export function noteSql(store_id: string, seals: number, sealed_rows: Readonly<Record<string, number>>): string[] {
  const rows = Object.entries(sealed_rows).filter(([, count]) => count > 0);
  const values = rows.map(([table, count]) => `(${quoteText(table)}, ${count})`).join(', ');
  return [
    `DELETE FROM ${INTERNAL_SCHEMA}.sealing`,
    `INSERT INTO ${INTERNAL_SCHEMA}.sealing VALUES (${quoteText(store_id)}, ${seals})`,
    `DELETE FROM ${INTERNAL_SCHEMA}.sealed`,
    ...(values === '' ? [] : [`INSERT INTO ${INTERNAL_SCHEMA}.sealed VALUES ${values}`]),
  ];
}

/**
 * Brings the data file up to the manifest, if the last sealing was not noted any more. Throws when the file knows of more
 * than the manifest: while it was closed for a moment, another service has sealed.
 */
export async function catchUp(connection: DuckDBConnection, manifest: Manifest): Promise<void> {
  const sealing = await readSealing(connection);
  if (sealing !== null && sealing.seals === manifest.seals) return;
  if (sealing !== null && sealing.seals > manifest.seals) {
    throw new Error('another service has written segments of this data file; restart this one');
  }
  await inTransaction(connection, noteSql(manifest.store_id, manifest.seals, manifest.sealed_rows));
}

export async function inTransaction(connection: DuckDBConnection, statements: readonly string[]): Promise<void> {
  await connection.run('BEGIN');
  try {
    for (const statement of statements) await connection.run(statement);
    await connection.run('COMMIT');
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Rows of each table, and how many of them are sealed. */
export async function readCounts(
  connection: DuckDBConnection,
  tables: readonly string[],
): Promise<Map<string, { rows: number; sealed: number }>> {
  const counts = new Map<string, { rows: number; sealed: number }>();
  if (tables.length === 0) return counts;
  const selects = tables.map(
    (name) => `SELECT ${quoteText(name)} AS table_name, count(*) AS rows FROM main.${quoteIdentifier(name)}`,
  );
  const reader = await connection.runAndReadAll(
    `SELECT table_name, t.rows, coalesce(s.rows, 0) FROM (${selects.join(' UNION ALL ')}) t
       LEFT JOIN ${INTERNAL_SCHEMA}.sealed s USING (table_name)`,
  );
  for (const [name, rows, sealed] of reader.getRows()) {
    counts.set(String(name), { rows: Number(rows), sealed: Math.min(Number(sealed), Number(rows)) });
  }
  return counts;
}

/**
 * The row id of the last sealed row, within the transaction that `connection` is in; -1 when none is sealed. Row ids grow in
 * the order of appending, and have holes where rows were deleted.
 */
export async function lastSealedRow(
  connection: DuckDBConnection,
  table: string,
  { rows, sealed }: { readonly rows: number; readonly sealed: number },
): Promise<number> {
  if (sealed === 0) return -1;
  const name = `main.${quoteIdentifier(table)}`;
  const open = rows - sealed;
  const one = async (sql: string): Promise<number> =>
    Number((await connection.runAndReadAll(sql)).getRows()[0]?.[0] ?? -1);
  const last = await one(`SELECT max(rowid) FROM ${name}`);
  if (open === 0) return last;
  // Without holes among the rows that are not sealed, which is usual, no sorting is needed.
  const guess = last - open;
  if ((await one(`SELECT count(*) FROM ${name} WHERE rowid > ${guess}`)) !== open) {
    return await one(`SELECT rowid FROM ${name} ORDER BY rowid DESC LIMIT 1 OFFSET ${open}`);
  }
  return guess;
}

/** Notes how many rows up to `last` are left of a table. To be run after the deletions of a transaction. */
export function sealedRowsSql(table: string, last: number): string {
  return `UPDATE ${INTERNAL_SCHEMA}.sealed SET rows =
    (SELECT count(*) FROM main.${quoteIdentifier(table)} WHERE rowid <= ${last}) WHERE table_name = ${quoteText(table)}`;
}
