/** Programs of a few lines that behave as py-spy may, and write down how they were called. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class FakePySpy {
  readonly folder = mkdtempSync(join(tmpdir(), 'meshscope-fake-pyspy-'));
  readonly path = join(this.folder, 'fake-py-spy');

  /** `body` is shell script; `$*` are the arguments, `$folder` is a folder of its own. */
  constructor(body: string) {
    this.write(body);
  }

  write(body: string): void {
    const head = `#!/bin/sh\nfolder='${this.folder}'\necho "$*" >> "$folder/log"\n`;
    writeFileSync(this.path, `${head}${body}\n`);
    chmodSync(this.path, 0o755);
  }

  /** The arguments of each run so far. */
  get runs(): string[] {
    const log = join(this.folder, 'log');
    return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : [];
  }

  forgetRuns(): void {
    rmSync(join(this.folder, 'log'), { force: true });
  }

  read(name: string): string | null {
    const path = join(this.folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The part of a script that refuses `--native-all` as the released py-spy does. */
export const REFUSE_NATIVE_ALL = `case "$*" in *--native-all*)
  echo "error: unexpected argument '--native-all' found" >&2; exit 2;; esac`;

/** The part of a script that puts the path given with \`--output\` into \`$output\`. */
export const FIND_OUTPUT = 'while [ $# -gt 0 ]; do [ "$1" = --output ] && output=$2; shift; done';
