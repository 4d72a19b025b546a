import { readFileSync } from 'node:fs';
import { CLIENT_HELP, CLIENT_OPTIONS, createClient } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { parseExact } from '../exact-json.ts';
import { EXIT } from '../exit.ts';
import { formatTable } from '../render/format.ts';

const CELL_MAX_CHARS = 120;

export const command: Command = {
  arguments: ['SQL'],
  options: { ...CLIENT_OPTIONS, json: { type: 'boolean' } },
  help: `meshscope query: rows from the telemetry store.

Usage: meshscope query SQL [OPTIONS]

SQL is one read-only statement in DuckDB's dialect; "-" reads it from standard input. "show tables" lists the tables,
"describe pyspy_frames" the columns of one.

  --json             the answer as the gateway gives it: {"rows": [...], "columns": [...]}
${CLIENT_HELP}
Examples
  meshscope query 'select full_name, new_status, reason from actor_status_events e join actors a on a.id = e.actor_id'
  meshscope query 'select name, count(*) n from pyspy_frames group by name order by n desc limit 10'
`,
  async run(invocation) {
    const [given = ''] = invocation.positionals;
    const sql = given === '-' ? readFileSync(0, 'utf8') : given;
    const answer = await createClient(invocation).query(sql);
    if (flag(invocation, 'json')) {
      process.stdout.write(`${answer}\n`);
      return EXIT.ok;
    }
    const { rows, columns } = parseExact(answer) as QueryAnswer;
    const names = columns?.map((column) => column.name) ?? Object.keys(rows[0] ?? {});
    const cells = rows.map((row) => names.map((name) => showCell(row[name])));
    process.stdout.write(formatTable([names, ...cells]));
    process.stderr.write(`${rows.length} ${rows.length === 1 ? 'row' : 'rows'}\n`);
    return EXIT.ok;
  },
};

interface QueryAnswer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly columns?: readonly { readonly name: string }[];
}

function showCell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const shown = typeof value === 'object' ? JSON.stringify(value, exactly) : String(value);
  // Control characters would move the cursor, and a stored string may hold any.
  const line = shown.replace(/\p{Cc}/gu, ' ');
  return line.length > CELL_MAX_CHARS ? `${line.slice(0, CELL_MAX_CHARS - 1)}…` : line;
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
