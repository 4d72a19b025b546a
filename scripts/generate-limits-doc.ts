/**
 * Writes docs/limits.md from the files that hold the bounds: names and numbers from the modules themselves, what happens at
 * a bound from the comments beside it. Run `node scripts/generate-limits-doc.ts` after changing one; a test fails while
 * the committed page is not what this makes.
 *
 * A comment describes the bounds below it, up to the next comment or empty line; they share a row. Where that would be
 * wrong, and for constants of the contract that need no comment where they stand, WORDS says what a bound is.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LIMITS as CLI_LIMITS } from '../src/cli/limits.ts';
import * as events from '../src/contract/events.ts';
import * as link from '../src/contract/link.ts';
import * as pyspyContract from '../src/contract/pyspy.ts';
import * as storeLink from '../src/contract/store-link.ts';
import * as tokens from '../src/contract/tokens.ts';
import * as uid from '../src/contract/uid.ts';
import { LIMITS as GATEWAY_LIMITS } from '../src/edge-gateway/limits.ts';
import { LINK_LIMITS } from '../src/link/limits.ts';
import { PYSPY_LIMITS } from '../src/node-agents/inspect/pyspy/limits.ts';
import { LIMITS as AGENT_LIMITS } from '../src/node-agents/limits.ts';
import { PROCFS_LIMITS } from '../src/node-agents/procfs/limits.ts';
import { LIMITS as TELEMETRY_LIMITS } from '../src/telemetry/limits.ts';

/** Numbers of the contract that bound nothing. */
const NOT_BOUNDS: ReadonlySet<string> = new Set(['LINK_VERSION', 'STORE_VERSION']);

interface Source {
  readonly file: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export const SECTIONS: readonly { readonly title: string; readonly sources: readonly Source[] }[] = [
  {
    title: 'The link and the contract',
    sources: [
      { file: 'src/contract/link.ts', values: link },
      { file: 'src/contract/store-link.ts', values: storeLink },
      { file: 'src/link/limits.ts', values: LINK_LIMITS },
      { file: 'src/contract/events.ts', values: events },
      { file: 'src/contract/pyspy.ts', values: pyspyContract },
      { file: 'src/contract/tokens.ts', values: tokens },
      { file: 'src/contract/uid.ts', values: uid },
    ],
  },
  { title: 'Gateway', sources: [{ file: 'src/edge-gateway/limits.ts', values: GATEWAY_LIMITS }] },
  { title: 'Agent', sources: [{ file: 'src/node-agents/limits.ts', values: AGENT_LIMITS }] },
  { title: 'py-spy', sources: [{ file: 'src/node-agents/inspect/pyspy/limits.ts', values: PYSPY_LIMITS }] },
  { title: 'procfs', sources: [{ file: 'src/node-agents/procfs/limits.ts', values: PROCFS_LIMITS }] },
  { title: 'Telemetry', sources: [{ file: 'src/telemetry/limits.ts', values: TELEMETRY_LIMITS }] },
  { title: 'Command line', sources: [{ file: 'src/cli/limits.ts', values: CLI_LIMITS }] },
];

/** What is said here instead of what a comment says. A name that is no bound any more is an error. */
const WORDS: Readonly<Record<string, string>> = {
  HOST_NAME_MAX_CHARS:
    "Characters of a host's name. Beyond it the agent does not start, and a gateway refuses the link.",
  ROWS_PER_BATCH_MAX: 'Rows of one event batch, all tables together. Beyond it the batch is refused as `bad_request`.',
  PROFILE_RATE_MAX_HZ: 'Samples per second of a profile. Beyond it 400.',
  LABEL_MAX_CHARS: 'Characters of a label in a reference. Beyond it the reference does not parse.',
  resolve_wait_ms: 'How long the gateway waits for an actor of which nothing was published yet. Then 504.',
  dump_wait_ms: 'How long the gateway waits for a stack dump. Then 504.',
  config_wait_ms: 'How long the gateway waits for a configuration dump. Then 504.',
  telemetry_wait_ms: 'How long the gateway waits for the telemetry service. Then 504.',
};

/** Bounds that one comment describes; mostly it is one. */
interface Row {
  readonly names: string[];
  readonly values: string[];
  readonly comment: string;
}

/** Every numeric bound of a file, in its order. Throws where one is not described. */
export function readRows({ file, values }: Source): Row[] {
  const lines = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').split('\n');
  const rows: Row[] = [];
  let open: Row | undefined;
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') open = undefined;
    const name = /^(?:export const ([A-Z][A-Z0-9_]*) =| {2}([a-z][a-z0-9_]*): [\d(])/
      .exec(line)
      ?.slice(1)
      .find(Boolean);
    const value = name === undefined ? undefined : values[name];
    if (name === undefined || typeof value !== 'number' || NOT_BOUNDS.has(name)) continue;
    const own = WORDS[name] ?? commentAbove(lines, index);
    if (own === null && open === undefined) throw new Error(`${file}: say in a comment what ${name} bounds`);
    if (own === null) {
      open?.names.push(name);
      open?.values.push(showBound(name, value));
      continue;
    }
    const row: Row = { names: [name], values: [showBound(name, value)], comment: own };
    rows.push(row);
    open = WORDS[name] === undefined ? row : undefined;
  }
  const listed = new Set(rows.flatMap(({ names }) => names));
  const missed = Object.keys(values).filter(
    (name) => typeof values[name] === 'number' && !NOT_BOUNDS.has(name) && !listed.has(name),
  );
  if (missed.length > 0) throw new Error(`${file}: ${missed.join(', ')} stands in a form that is not understood here`);
  return rows;
}

function commentAbove(lines: readonly string[], index: number): string | null {
  const above = lines[index - 1]?.trim() ?? '';
  if (!above.endsWith('*/')) return null;
  let first = index - 1;
  while (!lines[first]?.trim().startsWith('/**')) first -= 1;
  const text = lines
    .slice(first, index)
    .map((line) =>
      line
        .trim()
        .replace(/^\/?\*+\/?\s?/, '')
        .replace(/\s*\*\/$/, ''),
    )
    .join(' ');
  // The unit stands with the number.
  return text
    .replace(/\s+/g, ' ')
    .replace(/, (milliseconds|seconds|bytes|MiB)(?=[.:;]|$)/g, '')
    .trim();
}

/** The number as people say it, by the unit that the name ends in. */
export function showBound(name: string, value: number): string {
  const key = name.toLowerCase();
  if (key.endsWith('_ms')) return showDuration(value);
  if (key.endsWith('_s')) return `${value} s`;
  if (key.endsWith('_hz')) return `${grouped(value)} Hz`;
  if (key.endsWith('_mib') || key.endsWith('_mb')) return `${grouped(value)} MiB`;
  const unit = key.endsWith('_bytes') ? ['KiB', 'MiB'] : key.endsWith('_chars') ? ['Ki', 'Mi'] : null;
  if (unit === null || value % 1024 !== 0 || (key.endsWith('_chars') && value < 10_000)) return grouped(value);
  const [kibi, mebi] = unit;
  return value % 1024 ** 2 === 0 ? `${value / 1024 ** 2} ${mebi}` : `${value / 1024} ${kibi}`;
}

function showDuration(duration_ms: number): string {
  if (duration_ms % 3_600_000 === 0) return `${duration_ms / 3_600_000} h`;
  if (duration_ms > 60_000 && duration_ms % 60_000 === 0) return `${duration_ms / 60_000} min`;
  return duration_ms % 1_000 === 0 ? `${duration_ms / 1_000} s` : `${duration_ms} ms`;
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

export function renderLimits(): string {
  const unknown = Object.keys(WORDS).filter(
    (name) => !SECTIONS.some(({ sources }) => sources.some(({ values }) => name in values)),
  );
  if (unknown.length > 0) throw new Error(`WORDS: no such bound: ${unknown.join(', ')}`);
  const sections = SECTIONS.map(({ title, sources }) => {
    const files = sources.map(({ file }) => `[${file}](../${file})`).join(', ');
    const rows = sources
      .flatMap(readRows)
      .map(
        ({ names, values, comment }) =>
          `| ${names.map((name) => `\`${name}\``).join(', ')} | ${values.join('; ')} | ${cell(comment)} |`,
      );
    return `## ${title}\n\nIn ${files}.\n\n| name | bound | what it is, and what happens at it |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `${HEAD}\n${sections.join('\n')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

const HEAD = `<!-- Written by scripts/generate-limits-doc.ts from the files named below. Change those, not this page. -->

# Limits

Every queue, body, wait and retry has a bound. Here is each part's list, with what happens when a bound is reached. None
can be set from outside, except the grace of commands (\`--grace\`). KiB, MiB, Ki and Mi count in steps of 1,024. The
bounds of a mesh file are in [mesh-file.md](mesh-file.md).
`;

export const LIMITS_FILE = fileURLToPath(new URL('../docs/limits.md', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(LIMITS_FILE, renderLimits());
