/** Every bound of reading procfs, with its number. */
export const PROCFS_LIMITS = {
  /** Bytes of a command line that are read. The rest is left out, and the last argument may be cut. */
  command_line_max_bytes: 64 * 1024,
  /** Bytes of an environment that are searched: the kernel's own limit with the default stack size. */
  environment_max_bytes: 2 * 1024 * 1024,
  /** Bytes that are read of any other file. The rest is left out. */
  file_max_bytes: 64 * 1024,
  /** Processes that a scan reads before it yields to the event loop. */
  scan_slice_processes: 64,
  /** Bytes of a command line that are shown, as JSON text. The arguments beyond it are only counted. */
  command_line_shown_max_bytes: 32 * 1024,
  /** Characters of one argument that are shown. A longer one is cut and marked. */
  argument_max_chars: 4_096,
} as const;

export type ProcfsLimits = { readonly [Name in keyof typeof PROCFS_LIMITS]: number };
