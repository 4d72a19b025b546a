/** Exit codes, which scripts may rely on, and the one way in which a command ends badly. */

export const EXIT = {
  ok: 0,
  /** The command ran, and what it found or did is a failure. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The gateway cannot be reached, or did not answer in time. */
  unreachable: 3,
  /** The token is missing or wrong. */
  unauthorized: 4,
  /** No such node, or more than one that the name could mean. */
  not_found: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with one message and an exit code; only `main.ts` catches it. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.failure) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function usageError(message: string): CommandError {
  return new CommandError(message, EXIT.usage);
}
