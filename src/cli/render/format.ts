/** Small formats for people: sizes, durations, tables. */

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** `1 row`, `2 rows`. @param plural default the noun with an s */
export function formatCount(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** A duration in its two largest units: `1h 4m`, `3m 12s`, `15s`. */
export function formatDuration(duration_ms: number): string {
  const seconds = Math.max(0, Math.floor(duration_ms / 1000));
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

/** Columns aligned by spaces; the header, when there is one, is the first row. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/**
 * Text of somebody else's for a terminal: control characters would move the cursor or worse, and a command line or a
 * stored string may hold any.
 *
 * @param max_chars bound, default none
 */
export function oneLine(text: string, max_chars: number = Number.POSITIVE_INFINITY): string {
  const line = text.replace(/\p{Cc}/gu, ' ');
  return line.length > max_chars ? `${line.slice(0, max_chars - 1)}…` : line;
}
