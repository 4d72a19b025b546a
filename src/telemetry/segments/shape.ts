/** The tables that a data file has, and the times by which their rows are kept. */
import { createHash } from 'node:crypto';
import type { DuckDBConnection } from '@duckdb/node-api';
import { quoteIdentifier } from '../database/ddl.ts';
import type { ShapeColumn } from './manifest.ts';

export interface ShapeTable {
  readonly name: string;
  readonly columns: readonly ShapeColumn[];
}

/** The tables of `main`, whatever version made them. */
export async function readShape(connection: DuckDBConnection, catalog?: string): Promise<ShapeTable[]> {
  const reader = await connection.runAndReadAll(
    `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
       JOIN information_schema.tables USING (table_catalog, table_schema, table_name)
     WHERE table_schema = 'main' AND table_type = 'BASE TABLE'
       AND table_catalog = ${catalog === undefined ? 'current_database()' : `'${catalog}'`}
     ORDER BY table_name, ordinal_position`,
  );
  const tables = new Map<string, ShapeColumn[]>();
  for (const [table, name, type, nullable] of reader.getRows()) {
    const columns = tables.get(String(table)) ?? [];
    columns.push({ name: String(name), type: String(type), nullable: nullable === 'YES' });
    tables.set(String(table), columns);
  }
  return [...tables].map(([name, columns]) => ({ name, columns }));
}

export function schemaKey(tables: readonly ShapeTable[]): string {
  return createHash('sha256').update(JSON.stringify(tables)).digest('hex').slice(0, 16);
}

const FIXED_BYTES: Readonly<Record<string, number>> = {
  UBIGINT: 8,
  BIGINT: 8,
  DOUBLE: 8,
  INTEGER: 4,
  UINTEGER: 4,
  BOOLEAN: 1,
};

/** SQL for the bytes of the values of all rows: numbers by their width, texts by their UTF-8 bytes and four for the length. */
export function dataBytesSql({ columns }: ShapeTable): string {
  const parts = columns.map(({ name, type }) => {
    const width = FIXED_BYTES[type];
    return width === undefined ? `coalesce(strlen(${quoteIdentifier(name)}::VARCHAR), 0) + 4` : String(width);
  });
  return `coalesce(sum(${parts.join(' + ')}), 0)`;
}

/** When each capture was, by its rows that say so. */
export const CAPTURE_TIMES = `SELECT snapshot_id, min(t) AS first_us, max(t) AS last_us FROM (
    SELECT snapshot_id, snapshot_ts AS t FROM main.snapshots UNION ALL SELECT snapshot_id, as_of FROM main.nodes)
  GROUP BY snapshot_id`;
export const DUMP_TIMES = `SELECT dump_id, min(timestamp_us) AS first_us, max(timestamp_us) AS last_us
  FROM main.pyspy_dumps GROUP BY dump_id`;

/** How the time of a table's rows is found: in the row, or by the capture or dump that the row belongs to. */
export function timeOf({ columns }: ShapeTable, tables: ReadonlySet<string>): 'row' | 'capture' | 'dump' | null {
  const has = (name: string): boolean => columns.some((column) => column.name === name);
  if (has('timestamp_us')) return 'row';
  if (has('snapshot_id') && tables.has('snapshots') && tables.has('nodes')) return 'capture';
  return has('dump_id') && tables.has('pyspy_dumps') ? 'dump' : null;
}
