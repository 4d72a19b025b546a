/** Every bound of procfs reading, in one place. */
export const PROCFS_LIMITS = {
  /** Longest command line that is read; what lies beyond is left out, and its last argument may be cut. */
  command_line_max_bytes: 64 * 1024,
  /** Longest environment that is searched: the kernel's own bound under the default stack size. */
  environment_max_bytes: 2 * 1024 * 1024,
  /** Longest of all other files. */
  file_max_bytes: 64 * 1024,
  /** Processes that one slice of a scan reads before the event loop has its turn. */
  scan_slice_processes: 64,
  /** Longest command line that is shown, as JSON text; the arguments beyond it are counted. */
  command_line_shown_max_bytes: 32 * 1024,
  /** Longest argument that is shown, characters; a longer one is cut and marked. */
  argument_max_chars: 4_096,
} as const;

export type ProcfsLimits = { readonly [Name in keyof typeof PROCFS_LIMITS]: number };
