/**
 * The gateway as a program of Deno's: `deno task start`. No module that only Node has is reachable from here.
 *
 * Prints `Mesh admin server listening on URL` on standard output when it listens; its log goes to standard error. SIGINT
 * and SIGTERM end it in order, with status 0. What it cannot start with is one line and status 2, an address that it
 * cannot listen on one line and status 1.
 */
import { oneLine, success } from '../../../base/index.ts';
import { VERSION } from '../../../contract/index.ts';
import { tokensFromFile } from '../../access/token-file.ts';
import { telemetryOverHttp } from '../../store/http-store.ts';
import { deno } from './api.ts';
import { serveDeno } from './deno.ts';
import { DENO_HELP, readDenoOptions } from './options.ts';
import { denoTokenFile } from './tokens.ts';

function write(level: string, message: string): void {
  console.error(`${new Date().toISOString()} ${level} gateway: ${oneLine(message)}`);
}

const log = { info: (message: string) => write('info', message), warn: (message: string) => write('warn', message) };

function end(status: number, line: string): never {
  console.error(line);
  return deno.exit(status);
}

if (deno.args.includes('--help')) {
  console.log(DENO_HELP);
  deno.exit(0);
}
const read = readDenoOptions(deno.args, (name) => deno.env.get(name));
if (!read.ok) end(2, `meshscope: ${read.failure.message}; --help tells all options`);
const { telemetry_url, tokens_file, ...options } = read.value;
const tokens = tokens_file === null ? success(undefined) : tokensFromFile(denoTokenFile(tokens_file), false, log);
if (!tokens.ok) end(2, `meshscope: ${tokens.failure.message}`);
const gateway = await serveDeno({
  ...options,
  telemetry: telemetry_url === null ? null : telemetryOverHttp({ url: telemetry_url, token: options.token }),
  version: VERSION,
  started_by: deno.env.get('USER') ?? 'unknown',
  log,
  ...(tokens.value === undefined ? {} : { tokens: tokens.value }),
});
if (!gateway.ok) end(1, `meshscope: ${gateway.failure.message}`);

let isEnding = false;
const stop = async () => {
  if (isEnding) deno.exit(130);
  isEnding = true;
  await gateway.value.close();
  deno.exit(0);
};
deno.addSignalListener('SIGINT', stop);
deno.addSignalListener('SIGTERM', stop);
console.log(`Mesh admin server listening on ${gateway.value.url}`);
