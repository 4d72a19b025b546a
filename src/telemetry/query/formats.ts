/** The forms that a result can have, and which of them a client asks for (RFC 9110, 12.5.1). */
import { LIMITS } from '../limits.ts';

export const FORMAT_TYPES = {
  json: 'application/json',
  csv: 'text/csv; charset=utf-8',
  arrow: 'application/vnd.apache.arrow.stream',
} as const;

export type Format = keyof typeof FORMAT_TYPES;

const FORMATS = Object.keys(FORMAT_TYPES) as Format[];

/**
 * The form with the highest quality; of several, the one that is named first, and JSON where only a wildcard speaks of them.
 * JSON as well where none of them is wanted: a client that asked for nothing it can have still gets its rows.
 *
 * @param accept the value of `Accept`; null when there is none
 * @param max_chars characters of it that are read; the rest is ignored
 */
export function chooseFormat(accept: string | null, max_chars: number = LIMITS.accept_max_chars): Format {
  if (accept === null) return 'json';
  const ranges = accept.slice(0, max_chars).split(',').map(readRange);
  let best: { format: Format; quality: number; place: number } | null = null;
  for (const format of FORMATS) {
    const [type = ''] = FORMAT_TYPES[format].split(';');
    const range = mostSpecific(ranges, type);
    if (range === null || range.quality === 0) continue;
    const place = range.name === type ? ranges.indexOf(range) : ranges.length;
    const isBetter =
      best === null || range.quality > best.quality || (range.quality === best.quality && place < best.place);
    if (isBetter) best = { format, quality: range.quality, place };
  }
  return best?.format ?? 'json';
}

interface MediaRange {
  readonly name: string;
  readonly quality: number;
}

function readRange(text: string): MediaRange {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const given = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = given === undefined ? 1 : Number(given.slice(2));
  return { name, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** What names the type itself counts more than what names its kind, and that more than what names all. */
function mostSpecific(ranges: readonly MediaRange[], type: string): MediaRange | null {
  for (const name of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((each) => each.name === name);
    if (range !== undefined) return range;
  }
  return null;
}
