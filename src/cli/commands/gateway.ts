import { type Command, text, texts } from '../command.ts';
import { dataDir, ensureDataDir, ensureToken, tokenSource } from '../data-dir.ts';
import { usageError } from '../exit.ts';
import {
  describeAccess,
  GATEWAY_HELP,
  GATEWAY_OPTIONS,
  GATEWAY_PORT_DEFAULT,
  readAnonymous,
} from '../gateway-options.ts';
import { startGateway } from '../gateway-process.ts';
import { runUntilStopped, tellReady, watchLifecycle } from '../lifecycle.ts';
import { readAddress } from '../listen.ts';
import { createLog } from '../log.ts';
import { readServeTls } from '../tls-options.ts';
import { tokensPlace } from '../token-store.ts';

export const command: Command = {
  arguments: [],
  options: { ...GATEWAY_OPTIONS, telemetry: { type: 'string' } },
  help: `meshscope gateway: the HTTP API that agents dial and clients ask.

Usage: meshscope gateway [OPTIONS]

${GATEWAY_HELP}  --telemetry URL    the telemetry service to ask; without it there is no SQL, and dumps are not stored, until one dials in
                     (meshscope telemetry --dial)
`,
  async run(invocation) {
    const tls = readServeTls(invocation);
    const address = readAddress(invocation, GATEWAY_PORT_DEFAULT, tls !== null);
    const anonymous = readAnonymous(invocation, address);
    const telemetry = text(invocation, 'telemetry');
    if (telemetry !== undefined && !URL.canParse(telemetry)) throw usageError(`--telemetry ${telemetry}: not a URL`);
    const dir = dataDir(text(invocation, 'data'));
    ensureDataDir(dir);
    const token = ensureToken(dir);
    const lifecycle = watchLifecycle();
    const gateway = await startGateway({
      address,
      anonymous,
      token,
      token_source: tokenSource(dir),
      tokens: tokensPlace(invocation, 'tokens'),
      tls,
      allowed_hosts: texts(invocation, 'allow-host'),
      telemetry: telemetry ?? null,
      log: createLog('gateway'),
    });
    process.stdout.write(describeAccess(gateway.url, dir));
    tellReady({ url: gateway.url });
    return runUntilStopped(lifecycle, () => gateway.close());
  },
};
