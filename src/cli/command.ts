/** What a subcommand is. Each lives in a file of `commands/` and is loaded only when it is asked for. */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { ExitCode } from './exit.ts';

export interface Invocation {
  /** Values of the options, strings or flags; an option that may be repeated is a list. */
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  /** Words that are not options, those behind `--` left out. */
  readonly positionals: readonly string[];
  /** The words behind `--`; null when there is no `--`. */
  readonly rest: readonly string[] | null;
}

export interface Command {
  readonly options: ParseArgsOptionsConfig;
  /** Printed by `--help` as it stands. */
  readonly help: string;
  /** Names of the positional arguments, for the check of their number; `name?` is optional. */
  readonly arguments: readonly string[];
  /** True when a command of the user's may stand behind `--`. */
  readonly takesCommand?: boolean;
  run(invocation: Invocation): Promise<ExitCode>;
}

export function text(invocation: Invocation, name: string): string | undefined {
  const value = invocation.values[name];
  return typeof value === 'string' ? value : undefined;
}

export function flag(invocation: Invocation, name: string): boolean {
  return invocation.values[name] === true;
}

export function texts(invocation: Invocation, name: string): string[] {
  const value = invocation.values[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
