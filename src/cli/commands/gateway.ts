import { type Command, text } from '../command.ts';
import { dataDir, ensureDataDir, ensureToken, tokenSource } from '../data-dir.ts';
import {
  describeAccess,
  GATEWAY_HELP,
  GATEWAY_OPTIONS,
  GATEWAY_PORT_DEFAULT,
  readAllowedHosts,
  readAnonymous,
} from '../gateway-options.ts';
import { startGateway } from '../gateway-process.ts';
import { readHttpUrl } from '../http-url.ts';
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
    const allowed_hosts = readAllowedHosts(invocation);
    const given = text(invocation, 'telemetry');
    const telemetry = given === undefined ? null : readHttpUrl('--telemetry', given, 'a telemetry service');
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
      allowed_hosts,
      telemetry,
      log: createLog('gateway'),
    });
    process.stdout.write(describeAccess(gateway.url, dir));
    tellReady({ url: gateway.url });
    return runUntilStopped(lifecycle, () => gateway.close());
  },
};
