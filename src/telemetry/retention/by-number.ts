/** Rows that others refer to: they go by number and by bytes only. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { TABLES } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import { bytesOf, column, type Deletion, type RowBytes } from './deletion.ts';

export const ENTITY_TABLES = TABLES.filter((table) => table.rows_go === 'number').map((table) => table.name);

/** Which rows still refer to an actor, or a mesh. */
const REFERENCES: Readonly<Record<string, string>> = {
  actors: `SELECT actor_id FROM main.actor_status_events UNION ALL SELECT sender_actor_id FROM main.sent_messages
    UNION ALL SELECT from_actor_id FROM main.messages UNION ALL SELECT to_actor_id FROM main.messages`,
  meshes: `SELECT mesh_id FROM main.actors UNION ALL SELECT actor_mesh_id FROM main.sent_messages
    UNION ALL SELECT parent_mesh_id FROM main.meshes WHERE parent_mesh_id IS NOT NULL`,
};

/** @param table one of `ENTITY_TABLES` */
export async function entityDeletions(
  connection: DuckDBConnection,
  table: string,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
): Promise<Deletion[]> {
  const keep = Math.min(limits.event_rows_max, Math.floor(limits.entity_max_bytes / bytesOf(row_bytes, table)));
  const [rows] = await column(connection, `SELECT count(*) FROM main.${table}`);
  const excess = Number(rows) - keep;
  if (excess <= 0) return [];
  const isIdle = `id NOT IN (${REFERENCES[table]})`;
  const [idle] = await column(connection, `SELECT count(*) FROM main.${table} WHERE ${isIdle}`);
  const nth = async (where: string, place: number): Promise<unknown> =>
    (
      await column(
        connection,
        `SELECT timestamp_us FROM main.${table} WHERE ${where} ORDER BY 1 LIMIT 1 OFFSET ${place}`,
      )
    )[0];
  const remove = (where: string): Deletion => ({ table, sql: `DELETE FROM main.${table} WHERE ${where}` });
  if (Number(idle) >= excess) {
    return [remove(`timestamp_us <= ${await nth(isIdle, excess - 1)} AND ${isIdle}`)];
  }
  const last = await nth(`NOT (${isIdle})`, excess - Number(idle) - 1);
  return [remove(`timestamp_us <= ${last} OR ${isIdle}`)];
}
