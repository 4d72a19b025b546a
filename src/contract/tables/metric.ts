/**
 * Points of metrics, a table per kind of instrument. A quantity has three columns, so that no integer is ever rounded: one
 * of them is set. A series is resource, scope, name, unit and attributes together.
 */
import { type Table, type TableHead, table } from './definition.ts';

const byAge = (row: string): TableHead => ({ row, rows_go: 'age', time_column: 'timestamp_us' });

const NAME = 'name text — name of the instrument';
const END = 'timestamp_us i64 — end of the interval of collection';
const SCOPE = `scope_name text — the part of the program that has the instrument
  unit text — unit, may be empty`;
const TEMPORALITY = 'temporality text — delta (over the interval), cumulative (since the start) or unknown';
const ATTRIBUTES = `attributes_json text — object of the point’s attributes
  resource_attributes_json text — object of the producer’s attributes, the same in all its rows`;

function quantity(name: string, what: string): string {
  return `${name}_f64 f64? — ${what}, of an instrument of floats
  ${name}_i64 i64? — ${what}, of an instrument of integers
  ${name}_u64 u64? — ${what}, of an instrument of integers that are never negative`;
}

export const METRIC_TABLES: readonly Table[] = [
  table(
    'metric_gauges',
    'metric',
    byAge('point of a gauge'),
    `
    ${NAME}
    ${END}
    start_timestamp_us i64? — start of the interval
    ${SCOPE}
    ${ATTRIBUTES}
    ${quantity('value', 'last value')}
    `,
  ),
  table(
    'metric_sums',
    'metric',
    byAge('point of a counter'),
    `
    ${NAME}
    ${END}
    start_timestamp_us i64 — start of the interval, or of the series when cumulative
    ${SCOPE}
    ${TEMPORALITY}
    is_monotonic flag — whether it only grows
    ${ATTRIBUTES}
    ${quantity('sum', 'sum')}
    `,
  ),
  table(
    'metric_histograms',
    'metric',
    byAge('point of a histogram with explicit bounds'),
    `
    ${NAME}
    ${END}
    start_timestamp_us i64 — start of the interval, or of the series when cumulative
    ${SCOPE}
    ${TEMPORALITY}
    ${ATTRIBUTES}
    count u64 — number of measurements
    ${quantity('sum', 'sum of the measurements')}
    ${quantity('min', 'smallest measurement')}
    ${quantity('max', 'largest measurement')}
    bounds_json text — array of n bounds between buckets, ascending
    bucket_counts_json text — array of n + 1 counts, one per bucket
    `,
  ),
];
