/** How far back each table goes: what is older in a segment has been deleted. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { TABLES } from '../../contract/index.ts';
import { quoteIdentifier } from '../database/ddl.ts';
import type { Manifest } from './manifest.ts';
import type { Floor } from './segments.ts';
import { CAPTURE_TIMES, DUMP_TIMES } from './shape.ts';

/** The floors of the tables that segments have files of; none for tables that nobody knows any more. */
export async function readFloors(connection: DuckDBConnection, manifest: Manifest): Promise<Map<string, Floor>> {
  const floors = new Map<string, Floor>();
  const names = new Set(manifest.segments.flatMap(({ files }) => files.map((file) => file.table)));
  const read = async (sql: string): Promise<unknown[]> => (await connection.runAndReadAll(sql)).getRows()[0] ?? [];
  let capture: Floor | null = null;
  let dump: Floor | null = null;
  for (const table of TABLES) {
    if (!names.has(table.name)) continue;
    const isRow = table.rows_go === 'age' || table.rows_go === 'number';
    const oldest = isRow ? `min(${table.time_column})` : '0';
    const [rows, first] = await read(`SELECT count(*), ${oldest} FROM main.${quoteIdentifier(table.name)}`);
    if (Number(rows) === 0) {
      floors.set(table.name, 'none');
    } else if (isRow) {
      floors.set(table.name, Number(first));
    } else if (table.rows_go === 'capture') {
      capture ??= floorOf(await read(`SELECT min(first_us) FROM (${CAPTURE_TIMES})`));
      floors.set(table.name, capture);
    } else {
      dump ??= floorOf(await read(`SELECT min(first_us) FROM (${DUMP_TIMES})`));
      floors.set(table.name, dump);
    }
  }
  return floors;
}

/** Rows that belong to nothing that has a time are as old as can be. */
function floorOf([first]: readonly unknown[]): Floor {
  return first === null || first === undefined ? Number.NEGATIVE_INFINITY : Number(first);
}
