/** Every bound of the command line, in one place. Times in milliseconds, sizes as their names say. */
export const LIMITS = {
  /** Largest answer that is read: above everything that a gateway sends. */
  answer_max_bytes: 128 * 1024 * 1024,
  /** Longest SQL that is read from standard input: what a gateway takes. */
  sql_max_bytes: 2 * 1024 * 1024,
  /** Largest mesh file. */
  mesh_file_max_bytes: 1024 * 1024,
  /** Output that may wait for a slow reader of ours; lines of commands that come beyond are dropped and counted. */
  output_waiting_max_chars: 4 * 1024 * 1024,
  /** Between two attempts to write to a terminal that is paused. */
  output_retry_ms: 20,
  /** Longest value that is shown in a cell of a table or a line of a tree, characters. */
  cell_max_chars: 120,
} as const;
