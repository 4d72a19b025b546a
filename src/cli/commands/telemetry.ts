import {
  EXPORT_FORMATS,
  openCore,
  retentionLimits,
  startTelemetry,
  type TelemetryLimits,
} from '../../telemetry/index.ts';
import { type Command, text } from '../command.ts';
import { dataDir, ensureDataDir, ensureToken } from '../data-dir.ts';
import { CommandError, usageError } from '../exit.ts';
import { readHttpUrl } from '../http-url.ts';
import { runUntilStopped, tellReady, watchLifecycle } from '../lifecycle.ts';
import { type Address, isPortTaken, LISTEN_OPTIONS, portTaken, readAddress } from '../listen.ts';
import { type CliLog, createLog } from '../log.ts';
import { RETENTION_HELP, RETENTION_OPTIONS, readRetention } from '../retention-options.ts';
import { dialGateway, readDialToken, type StoreDial } from '../store-dial.ts';
import { DIAL_TLS_HELP, readDialTls, TLS_OPTIONS } from '../tls-options.ts';
import { runTelemetryTool } from './telemetry-tools.ts';

const PORT_DEFAULT = 1730;

export const command: Command = {
  arguments: ['ACTION?'],
  options: {
    ...RETENTION_OPTIONS,
    to: { type: 'string' },
    format: { type: 'string' },
    data: { type: 'string' },
    dial: { type: 'string' },
    'token-file': { type: 'string' },
    ...TLS_OPTIONS,
    ...LISTEN_OPTIONS,
  },
  help: `meshscope telemetry: the store behind "meshscope query" and stored stack dumps.

Usage: meshscope telemetry [OPTIONS]
       meshscope telemetry --dial URL [OPTIONS]
       meshscope telemetry compact [--retention AGE] [--max-bytes SIZE] [--data DIR]
       meshscope telemetry export --to FOLDER [--format ${EXPORT_FORMATS.join('|')}] [--data DIR]
       meshscope telemetry verify [--data DIR]

One process owns the DuckDB file in the data folder. SQL of users runs in another, which can be killed. A gateway asks it
at the port that it listens on (meshscope gateway --telemetry URL), or over a link that it dials itself, where the gateway
cannot reach it: then it needs no open port, and listens only when --port or --host is given as well.

  --port N           port to listen on, default ${PORT_DEFAULT}; 0 picks a free one and prints it
  --host ADDR        address to listen on, default 127.0.0.1
  --insecure         allow an address that other machines can reach, without TLS
  --data DIR         folder of the store and the token (MESHSCOPE_DATA, default .meshscope)
${RETENTION_HELP}  --dial URL         the gateway to dial, which was started without --telemetry
  --token-file FILE  with --dial: file of a token of the role "store"; default MESHSCOPE_TOKEN, then the data folder's
${DIAL_TLS_HELP}
Of a store that no service has open
  compact            deletes what is over its bound, merges the sealed segments, and makes the data file as small as its
                     rows need
  export             writes every table into a new folder, with a manifest; --format json is one object a line
  verify             reads everything, checks it against checksums and counts, changes nothing; exits 1 when it finds
                     something, a line each
`,
  async run(invocation) {
    const [action] = invocation.positionals;
    const limits = retentionLimits(readRetention(invocation));
    if (action !== undefined) return runTelemetryTool(action, invocation, limits);
    for (const name of ['to', 'format']) {
      if (text(invocation, name) !== undefined) throw usageError(`--${name} is for "meshscope telemetry export"`);
    }
    // What the engine puts beside its file is for the owner alone as well.
    process.umask(0o077);
    const url = text(invocation, 'dial');
    const listens = url === undefined || ['port', 'host'].some((name) => text(invocation, name) !== undefined);
    const address = listens ? readAddress(invocation, PORT_DEFAULT) : null;
    const dir = dataDir(text(invocation, 'data'));
    const file = text(invocation, 'token-file');
    if (url === undefined && file !== undefined) throw usageError('--token-file needs --dial');
    if (url !== undefined) readDialToken(file, dir);
    const dial: StoreDial | null =
      url === undefined
        ? null
        : {
            url: readHttpUrl('--dial', url, 'a gateway'),
            // Read anew at every dial, since the file may have been replaced.
            token: () => readDialToken(file, dir),
            tls: readDialTls(invocation),
          };
    ensureDataDir(dir);
    const lifecycle = watchLifecycle();
    const log = createLog('telemetry');
    const service = await startService(dir, address, log, limits);
    const dialler = dial === null ? null : dialGateway(dial, service.requests, log);
    if (process.connected) tellReady({ url: service.url ?? '' });
    else if (service.url !== null) process.stdout.write(`telemetry listening on ${service.url}\n`);
    return runUntilStopped(lifecycle, async (reason) => {
      await dialler?.stop(reason);
      await service.close();
    });
  },
};

/** The service, behind HTTP where there is an address. */
async function startService(dir: string, address: Address | null, log: CliLog, limits: Partial<TelemetryLimits>) {
  if (address === null) {
    const core = await openCore({ data_dir: dir, log, limits });
    if (!core.ok) throw new CommandError(core.failure.message);
    return { url: null, requests: core.value.requests, close: core.value.close };
  }
  const service = await startTelemetry({ data_dir: dir, ...address, token: ensureToken(dir), log, limits });
  if (service.ok) return service.value;
  throw isPortTaken(service.failure) ? await portTaken(address) : new CommandError(service.failure.message);
}
