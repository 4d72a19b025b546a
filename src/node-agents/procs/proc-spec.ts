/**
 * The mesh file: what an agent is asked to start. JSON:
 *
 *     { "procs": [ { "name": "trainer", "command": ["python3", "train.py"], "procs": 4, "cwd": ".", "env": {} } ] }
 *
 * `command` is required; everything else has a default. With `procs` greater than 1 the copies are named `trainer-0`,
 * `trainer-1`, … and get RANK, LOCAL_RANK and WORLD_SIZE.
 */

import * as v from 'valibot';
import { failure, type Outcome, success } from '../../base/index.ts';
import { describeIssues, labelError } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { programLabel } from './identity.ts';

/** Copies of all commands of one agent together. */
export const COPIES_MAX = LIMITS.copies_max;

const NAME_MAX_CHARS = LIMITS.spec_name_max_chars;

/** What is said of a field that is missing or that there is not; of a value that is no object, too. */
function fieldError(issue: v.StrictObjectIssue): string {
  if (issue.expected === 'never') return 'there is no such field';
  return issue.path === undefined ? 'must be an object' : 'is missing';
}

const Spec = v.strictObject(
  {
    name: v.optional(
      v.pipe(
        v.string(),
        v.maxLength(NAME_MAX_CHARS, `must have at most ${NAME_MAX_CHARS} characters`),
        v.check(
          (name) => labelError(name) === null,
          (issue) =>
            `"${issue.input}" is not a name: ${labelError(issue.input)} (lower-case letters, digits, "-" and "_")`,
        ),
      ),
    ),
    command: v.pipe(
      v.array(v.string('each part of a command must be a string')),
      v.minLength(1, 'must name the program to run, for example ["python3", "train.py"]'),
    ),
    procs: v.optional(
      v.pipe(
        v.number('must be a number'),
        v.integer('must be a whole number'),
        v.minValue(1, 'must be at least 1'),
        v.maxValue(COPIES_MAX, `must be at most ${COPIES_MAX}`),
      ),
      1,
    ),
    cwd: v.optional(v.string('must be a path')),
    env: v.optional(v.record(v.string(), v.string('must be a string')), {}),
  },
  fieldError,
);

const MeshFile = v.strictObject(
  {
    procs: v.pipe(
      v.array(Spec, 'must be a list of procs'),
      v.minLength(1, 'must describe at least one proc'),
      v.maxLength(LIMITS.specs_max, `must describe at most ${LIMITS.specs_max} procs`),
    ),
  },
  fieldError,
);

export interface ProcSpec {
  readonly name: string;
  readonly command: readonly string[];
  /** Copies of the command to start. */
  readonly procs: number;
  /** Folder to run in; relative ones are resolved by the caller. */
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Reads the text of a mesh file.
 *
 * @returns the specs, named and with defaults, or `bad_request` naming the field and what is wrong with it
 */
export function parseMeshFile(text: string): Outcome<ProcSpec[]> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return failure('bad_request', `not JSON: ${(error as Error).message}`);
  }
  const read = v.safeParse(MeshFile, json);
  if (!read.success) return failure('bad_request', describeIssues(read.issues));
  return nameSpecs(read.output.procs.map((spec) => ({ ...spec, cwd: spec.cwd })));
}

/** Gives every spec a name of its own: the one it has, or that of its program, numbered when it occurs again. */
export function nameSpecs(
  specs: readonly (Omit<ProcSpec, 'name'> & { readonly name?: string | undefined })[],
): Outcome<ProcSpec[]> {
  const copies = specs.reduce((sum, spec) => sum + spec.procs, 0);
  if (copies > LIMITS.copies_max) {
    return failure('bad_request', `procs: ${copies} copies in all, more than the ${LIMITS.copies_max} of one host`);
  }
  const taken = new Set<string>();
  const named: ProcSpec[] = [];
  for (const [index, spec] of specs.entries()) {
    if (spec.name !== undefined && taken.has(spec.name)) {
      return failure('bad_request', `procs.${index}.name: "${spec.name}" is used twice; names must differ`);
    }
    const wanted =
      spec.name ??
      programLabel(spec.command)
        .slice(0, NAME_MAX_CHARS - 4)
        .replace(/[^a-z0-9]+$/, '');
    let name = wanted;
    for (let copy = 2; taken.has(name); copy += 1) name = `${wanted}-${copy}`;
    taken.add(name);
    named.push({ ...spec, name });
  }
  return success(named);
}
