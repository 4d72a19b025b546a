/**
 * Writes docs/tables.md from the definitions in src/contract/tables/. Run `node scripts/generate-tables-doc.ts` after
 * changing one; a test fails while the committed page is not what this makes.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { COLUMN_TYPES, type RowsGo, TABLES, type Table, type TableGroup } from '../src/contract/index.ts';

export const TABLES_FILE = fileURLToPath(new URL('../docs/tables.md', import.meta.url));

const GROUPS: Readonly<Record<TableGroup, readonly [title: string, about: string]>> = {
  core: ['What exists and what it does', 'Meshes, actors, their changes of status, and the messages between them.'],
  trace: ['Traces', 'What the parts of the system did, and what they logged.'],
  metric: [
    'Metrics',
    'A table per kind of instrument. A quantity has three columns, so that no integer is ever rounded: one of them is set. ' +
      "A series is resource, scope, name, unit and attributes together. Sum only where `temporality = 'delta'`.",
  ],
  snapshot: [
    'Snapshots',
    'The topology, captured again and again. A node is known by `snapshot_id` and `node_id`; it has a row in `nodes` and ' +
      'one in the table of its kind. The row in `snapshots` is written last: a capture without it did not arrive whole.',
  ],
  pyspy: [
    'Stack dumps',
    'Joined by `dump_id`, then `thread_id`, then `frame_depth`. Only dumps that succeeded are stored, each whole or not at all.',
  ],
};

const ROWS_GO: Readonly<Record<RowsGo, string>> = {
  age: 'by age',
  number: 'only when there are too many, those first that nothing refers to',
  capture: 'with their capture',
  dump: 'with their dump',
};

const HEAD = `# Tables

Made by \`scripts/generate-tables-doc.ts\` from [src/contract/tables/](../src/contract/tables/core.ts); do not edit.

${TABLES.length} tables, ${TABLES.reduce((sum, { columns }) => sum + columns.length, 0)} columns, all there and empty from the first query on. \`information_schema.columns\` shows them as they are
here, and the order of the columns is part of the contract.

- Times are microseconds since 1970, UTC, by the clock of the process that produced the row; clocks of hosts are not
  reconciled. \`make_timestamp(timestamp_us)\` makes a SQL timestamp of one.
- Ids are unsigned 64-bit integers, and most are beyond what a JavaScript number holds: read answers with a parser that
  keeps them. Nothing is unique by force: keys are logical, and there are no indexes.
- A column may be null only where it says so. Columns that end in \`_json\` hold JSON as text.
- Rows of every table go when there are too many as well. How long rows stay, and how many, is among the
  [limits](limits.md#telemetry).
`;

export function renderTables(): string {
  const groups = Object.entries(GROUPS).map(([group, [title, about]]) => {
    const tables = TABLES.filter((table) => table.group === group);
    return `## ${title}\n\n${about}\n\n${tables.map(renderTable).join('\n')}`;
  });
  return [HEAD, ...groups].join('\n');
}

function renderTable({ name, row, rows_go, time_column, columns }: Table): string {
  const clock = time_column === null ? '' : ` (\`${time_column}\`)`;
  const lines = columns.map(
    (column) =>
      `| \`${column.name}\` | ${COLUMN_TYPES[column.type]} | ${column.nullable ? 'yes' : ''} | ${cell(column.meaning)} |`,
  );
  return `### ${name}

One row per ${row}. Rows go ${ROWS_GO[rows_go]}${clock}.

| Column | Type | Null | Meaning |
|---|---|---|---|
${lines.join('\n')}
`;
}

/** JSON stands as code, so that no renderer takes its brackets for something else. */
function cell(meaning: string): string {
  return meaning.replaceAll('|', '\\|').replace(/\{.*\}/, (json) => `\`${json}\``);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TABLES_FILE, renderTables());
