/**
 * Labels and uids: the names that references are made of.
 *
 * A uid is a *singleton*, whose label is its identity (`service`), or an *instance*, whose unsigned 64-bit number is
 * its identity and whose label, if it has one, is only decoration (`trainer<3SdB72fboyy>`).
 */

export const LABEL_MAX_CHARS = 63;

const BASE58_ALPHABET = '123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ';
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

export type Uid =
  | { readonly kind: 'singleton'; readonly label: string }
  | { readonly kind: 'instance'; readonly number: bigint; readonly label: string | null };

/** The outcome of reading text: the value, or why the text is not one. Nothing in this folder throws on bad input. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function unparsed(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}

/** Why `text` is not a label, or null when it is one. The order of the checks is part of the grammar. */
export function labelError(text: string): string | null {
  if (text.length === 0) return 'label must not be empty';
  if (text.length > LABEL_MAX_CHARS) return `label exceeds ${LABEL_MAX_CHARS} characters`;
  if (!/^[a-z]/.test(text)) return 'label must start with a lowercase letter';
  if (!/[a-z0-9]$/.test(text)) return 'label must end with a lowercase letter or digit';
  const foreign = /[^a-z0-9_-]/u.exec(text);
  if (foreign !== null) return `label contains invalid character '${foreign[0]}'`;
  return null;
}

/** Turns any text into a legal label; never fails (`123` and the empty text give `nil`). */
export function stripLabel(text: string): string {
  const kept = text
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[^a-z]+/, '')
    .slice(0, LABEL_MAX_CHARS)
    .replace(/[^a-z0-9]+$/, '');
  return kept === '' ? 'nil' : kept;
}

/** Writes an unsigned 64-bit number in base 58: most significant digit first, no padding, zero is `1`. */
export function encodeBase58(number: bigint): string {
  if (number < 0n || number > UINT64_MAX) throw new RangeError(`uid number out of range: ${number}`);
  let rest = number;
  let text = '';
  do {
    text = BASE58_ALPHABET.charAt(Number(rest % 58n)) + text;
    rest /= 58n;
  } while (rest > 0n);
  return text;
}

/** Reads a base-58 number; null when it is empty, has a foreign character or exceeds 64 bits. */
function decodeBase58(text: string): bigint | null {
  if (text.length === 0) return null;
  let number = 0n;
  for (const character of text) {
    const digit = BASE58_ALPHABET.indexOf(character);
    if (digit < 0) return null;
    number = number * 58n + BigInt(digit);
    if (number > UINT64_MAX) return null;
  }
  return number;
}

export function renderUid(uid: Uid): string {
  if (uid.kind === 'singleton') return uid.label;
  return `${uid.label ?? ''}<${encodeBase58(uid.number)}>`;
}

/** The identity of a uid as text: equal for two uids exactly when they are the same thing, whatever their labels. */
export function uidKey(uid: Uid): string {
  return uid.kind === 'singleton' ? uid.label : `<${encodeBase58(uid.number)}>`;
}

/** The word a person reads for a uid: its label, or the rendered number when it has none. */
export function uidLabel(uid: Uid): string {
  return uid.label ?? renderUid(uid);
}

/** Reads a whole text as one uid. */
export function parseUid(text: string): Parsed<Uid> {
  const bracketed = /^([^<]*)<([^<>]*)>$/.exec(text);
  if (bracketed === null) {
    const error = labelError(text);
    return error === null ? parsed({ kind: 'singleton', label: text }) : unparsed(`invalid label: ${error}`);
  }
  const [, label = '', digits = ''] = bracketed;
  return parseInstance(label, digits);
}

/** Reads the two halves of an instance: the label in front of the brackets, if any, and the digits in them. */
export function parseInstance(label: string, digits: string): Parsed<Uid> {
  if (label !== '') {
    const error = labelError(label);
    if (error !== null) return unparsed(`invalid label: ${error}`);
  }
  const number = decodeBase58(digits);
  if (number === null) return unparsed(`invalid base58 uid: ${digits}`);
  return parsed({ kind: 'instance', number, label: label === '' ? null : label });
}
