/** The store's DDL, derived from the contract's tables, and the SQL that shows whether a file has them. */
import { COLUMN_TYPES, type Column, TABLES, type Table } from '../../contract/index.ts';

/** Name of the catalogue as which the data file, and every copy of it, is attached. */
export const CATALOG = 'telemetry';
/** Schema of the store's own records. `main` holds the contract's tables and nothing else. */
export const INTERNAL_SCHEMA = 'meshscope';

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function columnDdl(column: Column): string {
  return `${quoteIdentifier(column.name)} ${COLUMN_TYPES[column.type]}${column.nullable ? '' : ' NOT NULL'}`;
}

/** Keys are logical: an index would slow appending, and ids may repeat. */
export function tableDdl(table: Table): string {
  const columns = table.columns.map(columnDdl).join(', ');
  return `CREATE TABLE IF NOT EXISTS main.${quoteIdentifier(table.name)} (${columns})`;
}

export const TABLES_DDL: readonly string[] = TABLES.map(tableDdl);

/** The store's own records: producers, and how much of each table is sealed (segments/). */
export const INTERNAL_DDL: readonly string[] = [
  `CREATE SCHEMA IF NOT EXISTS ${INTERNAL_SCHEMA}`,
  `CREATE TABLE IF NOT EXISTS ${INTERNAL_SCHEMA}.producers (producer VARCHAR NOT NULL, last_seq UBIGINT NOT NULL,
     lost_rows UBIGINT NOT NULL, stored_rows UBIGINT NOT NULL, heard_us BIGINT NOT NULL)`,
  // A store of a release before this has no such column.
  `ALTER TABLE ${INTERNAL_SCHEMA}.producers ADD COLUMN IF NOT EXISTS source VARCHAR`,
  `CREATE TABLE IF NOT EXISTS ${INTERNAL_SCHEMA}.forgotten (lost_rows UBIGINT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${INTERNAL_SCHEMA}.sealing (store_id VARCHAR NOT NULL, seals BIGINT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${INTERNAL_SCHEMA}.sealed (table_name VARCHAR NOT NULL, rows BIGINT NOT NULL)`,
];

/** One line per column of `main`, in order: `table.column type null`. */
export const SHAPE_SQL = `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
  FROM information_schema.columns WHERE table_schema = 'main' ORDER BY table_name, ordinal_position`;

/** What SHAPE_SQL gives for a file that has the contract's tables exactly. */
export function contractShape(): string[] {
  return [...TABLES]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((table) =>
      table.columns.map(
        (column) => `${table.name}.${column.name} ${COLUMN_TYPES[column.type]} ${column.nullable ? 'YES' : 'NO'}`,
      ),
    );
}
