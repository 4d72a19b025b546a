/**
 * The programs that are tried (PS-3): the configured one, if any, then `py-spy` on `PATH`. Only "no such file" moves on to
 * the next; a candidate that starts and fails, or that may not be executed, ends the search. Nothing is looked up
 * beforehand and nothing remembered: each request resolves afresh.
 */

export interface Candidate {
  /** What is executed, and what `binary` of a result says: a name or path as it was configured, without arguments. */
  readonly program: string;
  /** How `searched` lists it. */
  readonly label: string;
}

export function candidates(pyspy_bin: string | undefined): Candidate[] {
  const onPath = { program: 'py-spy', label: 'py-spy on PATH' };
  return pyspy_bin === undefined || pyspy_bin === ''
    ? [onPath]
    : [{ program: pyspy_bin, label: `PYSPY_BIN=${pyspy_bin}` }, onPath];
}

/** Runs `attempt` on one candidate after the other while it answers `null`, which means that there is no such file. */
export async function firstPresent<T>(
  pyspy_bin: string | undefined,
  attempt: (program: string) => Promise<T | null>,
): Promise<{ readonly found: T } | { readonly searched: string[] }> {
  const searched: string[] = [];
  for (const { program, label } of candidates(pyspy_bin)) {
    searched.push(label);
    const found = await attempt(program);
    if (found !== null) return { found };
  }
  return { searched };
}
