/**
 * The prompt of `meshscope query`:
 *
 *  1. Lines are gathered until a semicolon ends the statement; then it runs, and its rows, or its error, and the time
 *     that it took are printed. A line that begins with a backslash, where a statement would begin, is a command; so is one that
 *     is nothing but `help`, `exit` or `quit`, since that is what people type.
 *  2. Tab completes tables, views, columns and keywords. They are asked of the store when the prompt starts, which also shows
 *     whether there is one to ask.
 *  3. Ctrl-C gives up what runs, or what was typed; Ctrl-D leaves, as `\q` does, when what runs is done.
 *  4. What was typed is remembered for the next time (history.ts), statement by statement: a terminal may be closed at any
 *     moment, and two prompts may be open.
 */
import { createInterface } from 'node:readline/promises';
import type { Client } from '../client.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { formatTable, oneLine } from '../render/format.ts';
import { CATALOG_SQL, complete, type Relation, readCatalog } from './catalog.ts';
import { addHistory, historyFile, readHistory } from './history.ts';
import { countOf, readResult, resultLines, resultTable } from './result.ts';
import { readTyped } from './statement.ts';

const FIRST = 'meshscope> ';
const NEXT = '      ...> ';
const HELP = `statements end with a semicolon
  \\d         tables and views      \\dt      tables only
  \\d NAME    columns of one        \\x       a line for each value, or for each row again
  \\q         leave (Ctrl-D too)    Ctrl-C   gives up what is typed, or what runs
  \\?         this
Tab completes names. docs/sql.md has examples.
`;

/** @throws CommandError when the store cannot be asked at the start; later errors are printed. */
export async function runPrompt(client: Client): Promise<ExitCode> {
  const relations = readCatalog(readResult(await client.query(CATALOG_SQL), client.url).rows);
  const file = historyFile();
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: FIRST,
    history: readHistory(file),
    historySize: LIMITS.history_lines_max,
    removeHistoryDuplicates: true,
    completer: (line: string) => complete(relations, line),
  });
  let isOver = false;
  prompt.once('close', () => {
    isOver = true;
  });
  let trouble: string | null = null;
  let unwritten: string[] = [];
  const remember = (): void => {
    if (unwritten.length > 0) trouble = addHistory(file, unwritten);
    unwritten = [];
  };
  let typed = '';
  let isTall = false;
  let running: AbortController | null = null;
  prompt.on('SIGINT', () => {
    if (running !== null) {
      running.abort();
      return;
    }
    typed = '';
    // What stands in the line is given up with the lines before it.
    prompt.write(null, { ctrl: true, name: 'e' });
    prompt.write(null, { ctrl: true, name: 'u' });
    process.stdout.write('^C\n');
    prompt.setPrompt(FIRST);
    prompt.prompt();
  });
  process.stdout.write(`${client.url}: ${relations.length} tables and views; \\? helps\n`);
  prompt.prompt();
  for await (const line of prompt) {
    if (line.trim() !== '') unwritten.unshift(line);
    const command = typed === '' ? readCommand(line) : null;
    if (command === '\\q') break;
    if (command === '\\x') {
      isTall = !isTall;
      process.stdout.write(isTall ? 'a line for each value\n' : 'a line for each row\n');
    } else if (command !== null) {
      process.stdout.write(runCommand(command, relations));
    } else {
      typed = typed === '' ? line : `${typed}\n${line}`;
      const read = readTyped(typed);
      if (read.kind !== 'more') remember();
      if (read.kind === 'whole') {
        running = new AbortController();
        process.stdout.write(await answerTo(client, read.sql, isTall, running.signal));
        running = null;
      }
      if (read.kind !== 'more') typed = '';
      if (typed.length > LIMITS.sql_max_bytes) {
        process.stdout.write(`error: the statement is longer than ${LIMITS.sql_max_bytes} characters\n`);
        typed = '';
      }
    }
    // Ctrl-D while something ran: there is nobody to prompt any more.
    if (isOver) continue;
    prompt.setPrompt(typed === '' ? FIRST : NEXT);
    prompt.prompt();
  }
  prompt.close();
  process.stdout.write('\n');
  remember();
  if (trouble !== null) process.stderr.write(`meshscope: what was typed is not remembered: ${trouble}\n`);
  return EXIT.ok;
}

async function answerTo(client: Client, sql: string, isTall: boolean, signal: AbortSignal): Promise<string> {
  const begin_ms = performance.now();
  try {
    const bytes = await client.queryAs(sql, 'application/json', signal);
    const answer = readResult(Buffer.from(bytes).toString('utf8'), client.url);
    const took_ms = Math.round(performance.now() - begin_ms);
    const table = (isTall ? resultLines : resultTable)(answer, LIMITS.prompt_rows_max);
    return `${table}(${countOf(answer.rows.length)}, ${took_ms} ms)\n`;
  } catch (error) {
    if (signal.aborted) return 'given up\n';
    if (!(error instanceof CommandError)) throw error;
    // The engine's message has the line of the statement, and a mark below it.
    const lines = error.message.split('\n').filter((line) => line.trim() !== '');
    return `error: ${lines.map((line) => oneLine(line)).join('\n')}\n`;
  }
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ['help', '\\?'],
  ['exit', '\\q'],
  ['quit', '\\q'],
]);

/** The command that a line is, where a statement may begin; null when it is none. */
function readCommand(line: string): string | null {
  const text = line.trim();
  if (text.startsWith('\\')) return text;
  return WORDS.get(text.replace(/\s*;$/, '').toLowerCase()) ?? null;
}

function runCommand(line: string, relations: readonly Relation[]): string {
  const [command, name] = line.split(/\s+/);
  if (command === '\\?') return HELP;
  if (command === '\\dt') return list(relations.filter(({ kind }) => kind === 'table'));
  if (command !== '\\d') return `error: there is no ${oneLine(command ?? '')}; \\? lists what there is\n`;
  if (name === undefined) return list(relations);
  const wanted = name.replace(/;$/, '').toLowerCase();
  const relation = relations.find((each) => each.name === wanted);
  if (relation === undefined) return `error: there is no table or view ${oneLine(wanted)}; \\d lists them\n`;
  const columns = relation.columns.map((column) => [column.name, column.type, column.nullable ? 'may be null' : '']);
  return formatTable([['column', 'type', ''], ...columns]);
}

function list(relations: readonly Relation[]): string {
  return formatTable([
    ['name', 'kind', 'columns'],
    ...relations.map(({ name, kind, columns }) => [name, kind, String(columns.length)]),
  ]);
}
