import * as v from 'valibot';
import { CLIENT_HELP, CLIENT_OPTIONS, createClient, readAnswer } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { parseExact } from '../exact-json.ts';
import { EXIT, usageError } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { formatTable, oneLine } from '../render/format.ts';

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
    const client = createClient(invocation);
    const answer = await client.query(given === '-' ? await readInput() : given);
    if (flag(invocation, 'json')) {
      process.stdout.write(`${answer}\n`);
      return EXIT.ok;
    }
    const { rows, columns } = readAnswer(QueryAnswer, answer, client.url, parseExact);
    const names = columns?.map((column) => column.name) ?? Object.keys(rows[0] ?? {});
    const cells = rows.map((row) => names.map((name) => showCell(row[name])));
    process.stdout.write(formatTable([names, ...cells]));
    process.stderr.write(`${rows.length} ${rows.length === 1 ? 'row' : 'rows'}\n`);
    return EXIT.ok;
  },
};

const QueryAnswer = v.object({
  rows: v.array(v.record(v.string(), v.unknown())),
  columns: v.optional(v.array(v.object({ name: v.string() }))),
});

async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    size += chunk.length;
    if (size > LIMITS.sql_max_bytes) throw usageError(`the SQL is longer than ${LIMITS.sql_max_bytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function showCell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const shown = typeof value === 'object' ? JSON.stringify(value, exactly) : String(value);
  return oneLine(shown, LIMITS.cell_max_chars);
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
