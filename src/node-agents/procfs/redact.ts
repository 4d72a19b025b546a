/**
 * Command lines without their secrets, for everything that leaves the host. What a value is called decides first, what
 * it looks like second:
 *
 *  1. The value of an option or variable whose name is that of a secret: `--token X`, `--token=X`, `DB_PASSWORD=X`,
 *     `api_key: X`. Names that only contain such a word are let through: `--tokenizer`, `--max-token`, `--token-file`.
 *  2. Passwords in URLs, credentials in headers, private keys.
 *  3. Text in the form of a known kind of key, wherever it stands (`sk-…`, `ghp_…`, `AKIA…`, a JWT).
 *  4. Text as random as a key is: 32 or more hexadecimal digits, 24 or more mixed letters and digits.
 *
 * A git hash cannot be told from an API key of 40 hexadecimal digits, so it is shown only where its name or place says
 * what it is: `--revision=…`, `sha256:…`, a segment of a path. UUIDs with dashes are shown. In doubt a value is hidden:
 * a command line that says too little is a nuisance, one that says too much is an incident.
 */
import { PROCFS_LIMITS, type ProcfsLimits } from './limits.ts';
import { isDigestName, isSecretName } from './secret-names.ts';

export const REDACTED = '[redacted]';

/**
 * The arguments with secrets replaced by `[redacted]`, each at most 4,096 characters. Those beyond 32 KiB in all are
 * replaced by their number, so that thousands of file names do not travel with every node.
 */
export function redactCommandLine(argv: readonly string[], limits: ProcfsLimits = PROCFS_LIMITS): string[] {
  const { command_line_shown_max_bytes, argument_max_chars } = limits;
  const shown: string[] = [];
  let size = 0;
  for (const [index, argument] of argv.entries()) {
    const redacted = cut(redactArgument(argument, argv[index - 1]), argument_max_chars);
    size += Buffer.byteLength(JSON.stringify(redacted));
    if (size > command_line_shown_max_bytes) return [...shown, `… (${argv.length - index} more)`];
    shown.push(redacted);
  }
  return shown;
}

function redactArgument(argument: string, previous: string | undefined): string {
  const option = previous === undefined ? null : optionName(previous);
  if (option !== null && !isOption(argument)) {
    if (isSecretName(option)) return argument === '' ? '' : REDACTED;
    if (isDigestName(option) && HEXADECIMAL.test(argument)) return argument;
  }
  return redactText(argument);
}

/** The name of an option whose value is the next argument, or null. */
function optionName(argument: string): string | null {
  return /^--?([A-Za-z][\w.-]*)$/.exec(argument)?.[1] ?? null;
}

function isOption(argument: string): boolean {
  return argument.startsWith('--') || /^-[A-Za-z]$/.test(argument);
}

const HEXADECIMAL = /^[0-9a-fA-F]+$/;
/** A name and what separates it from its value: `name=`, `"name": `, and in a command in a string `--name `. */
const NAME = /(?<![\w.-])(-{0,2})([A-Za-z_][\w.-]*)(["']?\s*[=:]\s*|\s+)/g;
/** A value at one place: in quotes or up to the next mark; of `Bearer X` the first word says what it is. */
const VALUE = /((?:bearer|basic|token|digest)\s+)?("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s"',;&|}\])]+)/iy;

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g;
const URL_PASSWORD = /([a-zA-Z][\w+.-]{0,30}:\/\/[^\s/:@]*):[^\s/@]+@/g;
const CREDENTIAL_SCHEME = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi;

const KNOWN_KINDS = new RegExp(
  [
    'sk-[A-Za-z0-9_-]{16,}',
    '(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}',
    'gh[pousr]_[A-Za-z0-9]{20,}',
    'github_pat_[A-Za-z0-9_]{20,}',
    'gl[a-z]{2,8}-[A-Za-z0-9_-]{20,}',
    'hf_[A-Za-z0-9]{20,}',
    '(?:AKIA|ASIA)[A-Z0-9]{16}',
    'AIza[A-Za-z0-9_-]{30,}',
    'xox[a-z]-[A-Za-z0-9-]{10,}',
    'nvapi-[A-Za-z0-9_-]{20,}',
    '(?:npm|dop|pul|shp(?:at|ca|pa|ss))_[A-Za-z0-9]{20,}',
    'pypi-[A-Za-z0-9_-]{16,}',
    String.raw`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?`,
  ]
    .map((kind) => `(?<![A-Za-z0-9])(?:${kind})`)
    .join('|'),
  'g',
);

function redactText(text: string): string {
  return redactNamed(text)
    .replace(PRIVATE_KEY, REDACTED)
    .replace(URL_PASSWORD, `$1:${REDACTED}@`)
    .replace(CREDENTIAL_SCHEME, `$1 ${REDACTED}`)
    .replace(KNOWN_KINDS, REDACTED)
    .replace(WORD, (word, offset: number, all: string) => (isRandom(word, all, offset) ? REDACTED : word));
}

/** Goes on right after a name that is not a secret's, so that values may hold names themselves: `--set=api_key=X`. */
function redactNamed(text: string): string {
  let shown = '';
  let done = 0;
  for (const { 0: whole, 1: dashes, 2: name = '', 3: separator = '', index } of text.matchAll(NAME)) {
    const start = index + whole.length;
    const isOptionInText = separator.trim() === '';
    if (start <= done || (isOptionInText && dashes !== '--') || !isSecretName(name)) continue;
    if (isOptionInText && text.startsWith('-', start)) continue;
    VALUE.lastIndex = start;
    const found = VALUE.exec(text);
    if (found === null) continue;
    const [all, scheme = '', value = ''] = found;
    shown += text.slice(done, start) + scheme + inQuotesOf(value);
    done = start + all.length;
  }
  return shown + text.slice(done);
}

/** Quotes are kept, so that a command in a string still reads as one. */
function inQuotesOf(value: string): string {
  const quote = value.charAt(0);
  return quote === '"' || quote === "'" ? `${quote}${REDACTED}${quote}` : REDACTED;
}

/** A word as base64 has it. The slash belongs to it and to paths alike, so the word's place is looked at too. */
const WORD = /[A-Za-z0-9+/]{24,}={0,2}/g;

function isRandom(word: string, text: string, offset: number): boolean {
  const before = text.slice(Math.max(0, offset - 64), offset);
  if (word.includes('/') || /[/.~]$/.test(before)) return isRandomInPath(word, before);
  if (/^[0-9a-fA-F]{32,}$/.test(word)) return !isNamedDigest(before);
  return isMixed(word);
}

/** In a path a hash is a name; a key is not, but 40 characters of base64 with slashes and no dot or root may be one. */
function isRandomInPath(word: string, before: string): boolean {
  const isWhole = before === '' || /[\s=:"']$/.test(before);
  if (isWhole && !word.startsWith('/') && word.length >= 40 && isMixed(word.replaceAll('/', ''), 0.35)) return true;
  return word.split('/').some((segment) => segment.length >= 24 && !HEXADECIMAL.test(segment) && isMixed(segment));
}

function isNamedDigest(before: string): boolean {
  const name = /([\w.-]+)["']?\s*[=:@]\s*["']?$/.exec(before)?.[1];
  return name !== undefined && isDigestName(name);
}

/**
 * Random text changes between upper case, lower case and digits at most of its places, names of things at few. A capital
 * before a small letter begins a word, so it counts for nothing. Of random text 0.45 of the places count, of
 * `SomeClassName2WithMore` 0.25, of a path of such names 0.3.
 */
function isMixed(word: string, changes_min = 0.3): boolean {
  const classes = [...word.replace(/[=+]/g, '')].map((character) =>
    /[0-9]/.test(character) ? 'digit' : character >= 'a' ? 'lower' : 'upper',
  );
  if (classes.length < 24 || new Set(classes).size < 3) return false;
  const changes = classes.filter((kind, index) => {
    const before = classes[index - 1] ?? kind;
    return kind !== before && !(before === 'upper' && kind === 'lower');
  });
  return changes.length >= classes.length * changes_min;
}

function cut(argument: string, argument_max_chars: number): string {
  return argument.length <= argument_max_chars ? argument : `${argument.slice(0, argument_max_chars - 1)}…`;
}
