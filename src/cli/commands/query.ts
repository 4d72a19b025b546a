import { CLIENT_HELP, CLIENT_OPTIONS, type Client, createClient } from '../client.ts';
import { type Command, flag, text } from '../command.ts';
import { EXIT, type ExitCode, usageError } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { runPrompt } from '../query/prompt.ts';
import { countOf, readResult, resultTable } from '../query/result.ts';

const TYPES = {
  json: 'application/json',
  csv: 'text/csv',
  arrow: 'application/vnd.apache.arrow.stream',
} as const;

type Form = 'table' | keyof typeof TYPES;

export const command: Command = {
  arguments: ['SQL?'],
  options: { ...CLIENT_OPTIONS, json: { type: 'boolean' }, format: { type: 'string' } },
  help: `meshscope query: rows from the telemetry store.

Usage: meshscope query [SQL] [OPTIONS]

SQL is one read-only statement in DuckDB's dialect. Without it there is a prompt, with history and completion, where a
terminal is; elsewhere, and for "-", SQL is read from standard input. "show tables" lists the tables, "describe
pyspy_frames" the columns of one.

  --format FORM      table (the default), json, csv, or arrow (an Arrow IPC stream)
  --json             the same as --format json: {"rows": [...], "columns": [...]}
${CLIENT_HELP}
Examples
  meshscope query
  meshscope query 'select full_name, status, reason, since_us from actor_current'
  meshscope query 'select name, count(*) n from pyspy_frames group by name order by n desc limit 10' --format csv
`,
  async run(invocation) {
    const [given] = invocation.positionals;
    const form = readForm(text(invocation, 'format'), flag(invocation, 'json'));
    if (form === 'arrow' && process.stdout.isTTY) {
      throw usageError('--format arrow is not for a terminal: write it to a file, with > FILE');
    }
    const client = createClient(invocation);
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    if (given === undefined && isTerminal && form === 'table') return runPrompt(client);
    if (given === undefined && process.stdin.isTTY) throw usageError('SQL is missing: the prompt has the form table');
    return runOnce(client, given === undefined || given === '-' ? await readInput() : given, form);
  },
};

async function runOnce(client: Client, sql: string, form: Form): Promise<ExitCode> {
  if (form !== 'table') {
    process.stdout.write(await client.queryAs(sql, TYPES[form]));
    if (form === 'json') process.stdout.write('\n');
    return EXIT.ok;
  }
  const answer = readResult(await client.query(sql), client.url);
  process.stdout.write(resultTable(answer));
  process.stderr.write(`${countOf(answer.rows.length)}\n`);
  return EXIT.ok;
}

function readForm(format: string | undefined, isJson: boolean): Form {
  if (format === undefined) return isJson ? 'json' : 'table';
  if (format !== 'table' && !Object.hasOwn(TYPES, format)) {
    throw usageError(`--format: "${format}" is not one of table, json, csv, arrow`);
  }
  if (isJson && format !== 'json') throw usageError(`--json and --format ${format} exclude each other`);
  return format as Form;
}

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
