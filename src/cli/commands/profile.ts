import { access, constants, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PROFILE_MAX_S, PROFILE_RATE_MAX_HZ } from '../../contract/index.ts';
import { CLIENT_HELP, CLIENT_OPTIONS, createClient } from '../client.ts';
import { type Command, flag, text } from '../command.ts';
import { CommandError, EXIT, usageError } from '../exit.ts';
import { readNumber } from '../listen.ts';
import { findProc } from '../names.ts';

export const command: Command = {
  arguments: ['PROC'],
  options: {
    ...CLIENT_OPTIONS,
    output: { type: 'string', short: 'o' },
    duration: { type: 'string', short: 'd' },
    rate: { type: 'string', short: 'r' },
    native: { type: 'boolean' },
    threads: { type: 'boolean' },
    nonblocking: { type: 'boolean' },
  },
  help: `meshscope profile: a flame graph of where a proc spends its time.

Usage: meshscope profile PROC -o FILE [OPTIONS]

  -o, --output FILE  where the SVG goes; open it in a browser. "-" is standard output
  -d, --duration S   seconds to sample, 1 to ${PROFILE_MAX_S}, default 5
  -r, --rate HZ      samples per second, 1 to ${PROFILE_RATE_MAX_HZ}, default 100
  --native           frames of C and C++ extensions too
  --threads          a tower for each thread
  --nonblocking      do not pause the process for each sample: gentler, less exact, not together with --native
${CLIENT_HELP}
Example
  meshscope profile trainer-3 -o trainer-3.svg --duration 10
`,
  async run(invocation) {
    const output = text(invocation, 'output');
    if (output === undefined) throw usageError('-o FILE is missing: where should the flame graph go?');
    const opts = {
      duration_s: readNumber(invocation, 'duration', 5, 1, PROFILE_MAX_S),
      rate_hz: readNumber(invocation, 'rate', 100, 1, PROFILE_RATE_MAX_HZ),
      native: flag(invocation, 'native'),
      threads: flag(invocation, 'threads'),
      nonblocking: flag(invocation, 'nonblocking'),
    };
    if (output !== '-') await checkWritable(output);
    const client = createClient(invocation);
    const proc = await findProc(client, invocation.positionals[0] ?? '');
    const stopProgress = showProgress(opts.duration_s);
    let svg: string;
    try {
      svg = await client.profile(proc, opts);
    } finally {
      stopProgress();
    }
    if (output === '-') {
      process.stdout.write(svg);
      return EXIT.ok;
    }
    await writeFile(output, svg).catch((error: Error) => {
      throw new CommandError(`cannot write ${output}: ${error.message}`);
    });
    process.stderr.write(`wrote ${output} (${Math.ceil(svg.length / 1024)} KiB); open it in a browser\n`);
    return EXIT.ok;
  },
};

/** Told before minutes are spent on sampling; nothing is made or changed yet. */
async function checkWritable(file: string): Promise<void> {
  try {
    const found = await stat(file).catch(() => null);
    if (found?.isDirectory()) throw new Error('it is a folder');
    if (found === null && !(await stat(dirname(file))).isDirectory()) throw new Error('its folder is a file');
    await access(found === null ? dirname(file) : file, constants.W_OK);
  } catch (error) {
    throw new CommandError(`cannot write ${file}: ${(error as Error).message}`);
  }
}

/** Counts the seconds on a terminal; elsewhere one line says what is going on. */
function showProgress(duration_s: number): () => void {
  if (!process.stderr.isTTY) {
    process.stderr.write(`sampling for ${duration_s} s …\n`);
    return () => {};
  }
  const started_ms = Date.now();
  const show = (): void => {
    const elapsed_s = Math.min(duration_s, Math.floor((Date.now() - started_ms) / 1000));
    process.stderr.write(`\rsampling … ${elapsed_s}/${duration_s} s `);
  };
  show();
  const timer = setInterval(show, 500);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}
