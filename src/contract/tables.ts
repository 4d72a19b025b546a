/**
 * The telemetry tables, each defined once, in tables/, a file per group: DDL, appenders, validation of batches, retention
 * and the documentation (docs/tables.md) derive from this.
 *
 * 29 tables, 211 columns. Column order is part of the contract (`information_schema.columns` shows it). Times are
 * microseconds since the Unix epoch, UTC, by the clock of the process that produced the row. There are no keys or
 * indexes: what a meaning says of another table is logical.
 */
import { CORE_TABLES } from './tables/core.ts';
import type { Table } from './tables/definition.ts';
import { METRIC_TABLES } from './tables/metric.ts';
import { PYSPY_TABLES } from './tables/pyspy.ts';
import { SNAPSHOT_TABLES } from './tables/snapshot.ts';
import { TRACE_TABLES } from './tables/trace.ts';

export {
  COLUMN_TYPES,
  type Column,
  type ColumnType,
  type RowsGo,
  type Table,
  type TableGroup,
} from './tables/definition.ts';

export const TABLES: readonly Table[] = [
  ...CORE_TABLES,
  ...TRACE_TABLES,
  ...METRIC_TABLES,
  ...SNAPSHOT_TABLES,
  ...PYSPY_TABLES,
];

export function findTable(name: string): Table | undefined {
  return TABLES.find((candidate) => candidate.name === name);
}
