/** Whether what was typed so far is a whole statement: SQL ends at a semicolon that is in no text, name or comment. */

/** What may stand in a statement and hide a semicolon, and where it ends. Block comments nest, and are counted apart. */
const HIDING: readonly (readonly [begin: string, end: string])[] = [
  ["'", "'"],
  ['"', '"'],
  ['$$', '$$'],
  ['--', '\n'],
];

export type Typed =
  /** The statement, without its semicolon, and nothing but blanks behind it. */
  { readonly kind: 'whole'; readonly sql: string } | { readonly kind: 'empty' } | { readonly kind: 'more' };

/** @param text all lines since the last statement, joined by newlines */
export function readTyped(text: string): Typed {
  if (text.trim() === '') return { kind: 'empty' };
  let end: number | null = null;
  let at = 0;
  while (at < text.length) {
    const hidden = endOfHidden(text, at);
    if (hidden === 'open') return { kind: 'more' };
    if (hidden !== null) {
      at = hidden;
      continue;
    }
    if (text[at] === ';') end = at;
    else if (end !== null && (text[at] ?? '').trim() !== '') end = null;
    at += 1;
  }
  if (end === null) return { kind: 'more' };
  const sql = text.slice(0, end).trim();
  return sql === '' ? { kind: 'empty' } : { kind: 'whole', sql };
}

/** Where a text, name or comment that begins here ends; `open` when it does not; null when none begins. */
function endOfHidden(text: string, at: number): number | 'open' | null {
  if (text.startsWith('/*', at)) return endOfBlock(text, at);
  for (const [begin, end] of HIDING) {
    if (!text.startsWith(begin, at)) continue;
    const found = text.indexOf(end, at + begin.length);
    if (found >= 0) return found + end.length;
    // A comment that nothing follows hides nothing that is still to come.
    return begin === '--' ? text.length : 'open';
  }
  return null;
}

function endOfBlock(text: string, at: number): number | 'open' {
  let depth = 0;
  for (let i = at; i < text.length; i += 1) {
    if (text.startsWith('/*', i)) depth += 1;
    else if (text.startsWith('*/', i)) depth -= 1;
    else continue;
    i += 1;
    if (depth === 0) return i + 1;
  }
  return 'open';
}
