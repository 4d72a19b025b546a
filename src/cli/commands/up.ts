import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AGENT_HELP, AGENT_OPTIONS, readAgentSettings } from '../agent-options.ts';
import { startChildPart } from '../child-part.ts';
import { type Command, flag, type Invocation, text, texts } from '../command.ts';
import { dataDir, ensureDataDir, ensureToken, tokenSource } from '../data-dir.ts';
import { EXIT } from '../exit.ts';
import {
  describeAccess,
  describeTries,
  GATEWAY_HELP,
  GATEWAY_OPTIONS,
  GATEWAY_PORT_DEFAULT,
  readAllowedHosts,
  readAnonymous,
} from '../gateway-options.ts';
import { startGateway } from '../gateway-process.ts';
import { runUntilStopped, tellReady, watchLifecycle } from '../lifecycle.ts';
import { LIMITS } from '../limits.ts';
import { readAddress } from '../listen.ts';
import { createLog } from '../log.ts';
import { RETENTION_HELP, RETENTION_OPTIONS, readRetention } from '../retention-options.ts';
import { startTelemetryPart, type TelemetryPart } from '../telemetry-part.ts';
import { dialOwnTls, readServeTls } from '../tls-options.ts';
import { tokensPlace } from '../token-store.ts';

const DEMO_FILE = fileURLToPath(new URL('../../../examples/demo/mesh.json', import.meta.url));

export const command: Command = {
  arguments: [],
  takesCommand: true,
  options: { ...GATEWAY_OPTIONS, ...AGENT_OPTIONS, ...RETENTION_OPTIONS },
  help: `meshscope up: everything on this machine: gateway, telemetry, and an agent with your command.

Usage: meshscope up [OPTIONS] [-- CMD...]

Without a command, a file or something to watch it runs a demonstration: procs that are busy, blocked and alternating,
one with children of its own, and one that fails after a while. Ctrl-C ends everything.

${GATEWAY_HELP}${RETENTION_HELP}${AGENT_HELP}
Examples
  meshscope up
  meshscope up --procs 4 -- python3 train.py --lr 0.1
  meshscope up --watch 'train\\.py'
`,
  async run(invocation) {
    const tls = readServeTls(invocation);
    const address = readAddress(invocation, GATEWAY_PORT_DEFAULT, tls !== null);
    const anonymous = readAnonymous(invocation, address);
    const allowed_hosts = readAllowedHosts(invocation);
    const settings = readAgentSettings(invocation);
    // Here already, so that a wrong one is told before anything starts.
    readRetention(invocation);
    const dir = dataDir(text(invocation, 'data'));
    ensureDataDir(dir);
    const token = ensureToken(dir);
    const lifecycle = watchLifecycle();
    const log = createLog('up');
    const env = { MESHSCOPE_TOKEN: token };

    let isStopping = false;
    lifecycle.stopping.then(() => {
      isStopping = true;
    });

    let telemetry: TelemetryPart;
    try {
      telemetry = await startTelemetryPart(telemetryArguments(invocation, dir), env, log, lifecycle.stopping);
    } catch (error) {
      if (isStopping) return EXIT.ok;
      throw error;
    }
    let gateway: Awaited<ReturnType<typeof startGateway>>;
    try {
      gateway = await startGateway({
        address,
        anonymous,
        token,
        token_source: tokenSource(dir),
        tokens: tokensPlace(invocation, 'tokens'),
        tls,
        allowed_hosts,
        telemetry: telemetry.url,
        log: createLog('gateway'),
      });
    } catch (error) {
      await telemetry.stop();
      throw error;
    }
    if (isStopping) {
      await gateway.close();
      await telemetry.stop();
      return EXIT.ok;
    }
    const isDemo = settings.specs.length + settings.watch.length + settings.pids.length === 0;
    const agentEnv = tls === null ? env : { ...env, ...dialOwnTls(invocation) };
    const agent = startChildPart(agentArguments(invocation, gateway.url, dir, isDemo), agentEnv);
    lifecycle.onHurry(() => agent.hurry());
    let isReady = false;
    let failure: unknown = null;
    agent.ready.then(
      () => {
        isReady = true;
        process.stdout.write(
          `${describeAccess(gateway.url, dir)}${describeTries(gateway.url, dir, isDemo)}  - Stop:          Ctrl-C\n`,
        );
        tellReady({ url: gateway.url });
      },
      (error: unknown) => {
        if (!isStopping) failure = error;
        lifecycle.stop('the agent could not be started');
      },
    );
    agent.ended.then((how) => {
      if (isReady && !isStopping) {
        log.warn(`the agent ended (${how}), and its commands with it; "meshscope agent" starts another`);
      }
    });

    const code = await runUntilStopped(lifecycle, async () => {
      // The agent first: its last events and its goodbye still go through gateway and store.
      await agent.stop(settings.terminate_grace_ms + LIMITS.part_end_ms);
      await gateway.close();
      await telemetry.stop();
    });
    if (failure !== null) throw failure;
    return code;
  },
};

/** The telemetry service's command line, its port aside. */
function telemetryArguments(invocation: Invocation, dir: string): string[] {
  const args = ['telemetry', '--data', dir];
  for (const name of Object.keys(RETENTION_OPTIONS)) {
    const value = text(invocation, name);
    if (value !== undefined) args.push(`--${name}=${value}`);
  }
  return args;
}

const AGENT_VALUES = [
  'name',
  'procs',
  'grace',
  'file',
  'spool-max',
  'telemetry-socket',
  'metrics-interval',
  'metrics-listen',
];

/** The agent's command line: what was given to `up`, or the demonstration. */
function agentArguments(invocation: Invocation, url: string, dir: string, isDemo: boolean): string[] {
  // The spool is beside the store that it waits for, whatever port the gateway has.
  const spool = text(invocation, 'spool-dir') ?? path.join(dir, 'spool');
  const args = ['agent', '--gateway', url, '--data', dir, `--spool-dir=${spool}`];
  for (const name of AGENT_VALUES) {
    const value = text(invocation, name);
    // One word each: a value may begin with a hyphen.
    if (value !== undefined) args.push(`--${name}=${value}`);
  }
  for (const name of ['watch', 'pid']) for (const value of texts(invocation, name)) args.push(`--${name}=${value}`);
  for (const name of ['quiet', 'insecure']) if (flag(invocation, name)) args.push(`--${name}`);
  if (isDemo) args.push('--file', DEMO_FILE);
  return invocation.rest === null ? args : [...args, '--', ...invocation.rest];
}
