/**
 * `telemetry_losses`: rows that producers had to drop. It is a view over literal values, since `main` holds the contract's
 * tables and nothing else; the owner sends query processes a new one when losses have changed.
 */
import { quoteText } from '../database/ddl.ts';
import type { Loss } from '../store/producers.ts';

export const LOSSES_VIEW = 'telemetry_losses';

const COLUMNS = 'producer, source, lost_rows, stored_rows, last_seq, heard_us';

/** @returns the statement that creates the view. A row without a producer is the sum of those that are not shown one by one */
export function lossesViewSql(losses: readonly Loss[]): string {
  const text = (value: string | null): string => (value === null ? 'NULL' : quoteText(value));
  const number = (value: number | null): string => (value === null ? 'NULL' : String(value));
  const rows = losses.map(
    (loss) =>
      `(${text(loss.producer)}, ${text(loss.source)}, ${loss.lost_rows}, ${number(loss.stored_rows)}, ` +
      `${number(loss.last_seq)}, ${number(loss.heard_us)})`,
  );
  const none = '(NULL, NULL, 0, NULL, NULL, NULL)';
  return `CREATE OR REPLACE VIEW main.${LOSSES_VIEW} AS
    SELECT producer::VARCHAR AS producer, source::VARCHAR AS source, lost_rows::UBIGINT AS lost_rows,
      stored_rows::UBIGINT AS stored_rows, last_seq::UBIGINT AS last_seq, heard_us::BIGINT AS heard_us
    FROM (VALUES ${rows.length === 0 ? none : rows.join(', ')}) AS losses(${COLUMNS})
    ${rows.length === 0 ? 'WHERE false' : ''}`;
}
