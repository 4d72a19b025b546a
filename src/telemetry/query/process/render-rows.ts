/** Query results as JSON: a row is an object with its keys in the order of the columns. */
import type { DuckDBDataChunk, DuckDBType } from '@duckdb/node-api';
import { renderColumn } from './render-columns.ts';
import type { Room } from './room.ts';

/**
 * The rows of a chunk.
 *
 * @param room that they must fit into, each with a separator
 * @throws NoRoom when they do not
 */
export function renderRows(
  chunk: DuckDBDataChunk,
  names: readonly string[],
  types: readonly DuckDBType[],
  room: Room,
): string[] {
  const heads = names.map((name, index) => `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  // The heads, the brace that ends the row, and the separator.
  room.take(chunk.rowCount * heads.reduce((sum, head) => sum + head.length, 2));
  const columns = types.map((type, index) => renderColumn(chunk, index, type, room));
  const rows: string[] = [];
  const cells = new Array<string>(heads.length);
  for (let row = 0; row < chunk.rowCount; row++) {
    for (let index = 0; index < heads.length; index++) cells[index] = `${heads[index]}${columns[index]?.[row]}`;
    rows.push(`${cells.join('')}}`);
  }
  return rows;
}
