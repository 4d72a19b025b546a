import { startTelemetry } from '../../telemetry/index.ts';
import { type Command, text } from '../command.ts';
import { dataDir, ensureDataDir, ensureToken } from '../data-dir.ts';
import { CommandError } from '../exit.ts';
import { runUntilStopped, tellReady, watchLifecycle } from '../lifecycle.ts';
import { isPortTaken, LISTEN_OPTIONS, portTaken, readAddress } from '../listen.ts';
import { createLog } from '../log.ts';

const PORT_DEFAULT = 1730;

export const command: Command = {
  arguments: [],
  options: { data: { type: 'string' }, ...LISTEN_OPTIONS },
  help: `meshscope telemetry: the store behind "meshscope query" and stored stack dumps.

Usage: meshscope telemetry [OPTIONS]

One process owns the DuckDB file in the data folder. SQL of users runs in another, which can be killed.

  --port N           port to listen on, default ${PORT_DEFAULT}; 0 picks a free one and prints it
  --host ADDR        address to listen on, default 127.0.0.1
  --insecure         allow an address that other machines can reach, without TLS
  --data DIR         folder of the store and the token (MESHSCOPE_DATA, default .meshscope)
`,
  async run(invocation) {
    // What the engine puts beside its file is for the owner alone as well.
    process.umask(0o077);
    const address = readAddress(invocation, PORT_DEFAULT);
    const dir = dataDir(text(invocation, 'data'));
    ensureDataDir(dir);
    const token = ensureToken(dir);
    const lifecycle = watchLifecycle();
    const log = createLog('telemetry');
    const service = await startTelemetry({ data_dir: dir, ...address, token, log });
    if (!service.ok) {
      throw isPortTaken(service.failure) ? await portTaken(address) : new CommandError(service.failure.message);
    }
    if (process.connected) tellReady({ url: service.value.url });
    else process.stdout.write(`telemetry listening on ${service.value.url}\n`);
    return runUntilStopped(lifecycle, () => service.value.close());
  },
};
