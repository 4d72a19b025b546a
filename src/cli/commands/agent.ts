import path from 'node:path';
import type { Failure } from '../../base/index.ts';
import { VERSION } from '../../contract/index.ts';
import { startHostAgent } from '../../node-agents/index.ts';
import { AGENT_HELP, AGENT_OPTIONS, type AgentSettings, readAgentSettings, spoolDirDefault } from '../agent-options.ts';
import { URL_DEFAULT } from '../client.ts';
import { type Command, flag, text } from '../command.ts';
import { dataDir, requireToken } from '../data-dir.ts';
import { CommandError, usageError } from '../exit.ts';
import { runUntilStopped, tellReady, watchLifecycle } from '../lifecycle.ts';
import { isPortTaken } from '../listen.ts';
import { createLog } from '../log.ts';
import { showOutput } from '../show-output.ts';
import { DIAL_TLS_HELP, readDialTls, TLS_OPTIONS } from '../tls-options.ts';

export const command: Command = {
  arguments: [],
  takesCommand: true,
  options: {
    gateway: { type: 'string' },
    data: { type: 'string' },
    insecure: { type: 'boolean' },
    ...TLS_OPTIONS,
    ...AGENT_OPTIONS,
  },
  help: `meshscope agent: answers for this host, and starts or finds the processes to look at.

Usage: meshscope agent --gateway URL [OPTIONS] [-- CMD...]

It dials out to the gateway and needs no open port. When the gateway cannot be reached, the commands run all the same,
and the agent tries again. Ctrl-C ends the commands (a second one at once); no process outlives the agent.

  --gateway URL      the gateway to dial (MESHSCOPE_URL, default ${URL_DEFAULT})
  --data DIR         the data folder with the token (MESHSCOPE_DATA, default .meshscope), unless MESHSCOPE_TOKEN is set
${DIAL_TLS_HELP}${AGENT_HELP}  --insecure         allow --metrics-listen at an address that other machines can reach

Examples
  meshscope agent --gateway http://10.0.0.5:1729 -- python3 train.py --lr 0.1
  meshscope agent --gateway http://10.0.0.5:1729 --watch 'train\\.py'      a job that is running already
`,
  async run(invocation) {
    const settings = readAgentSettings(invocation);
    const dir = dataDir(text(invocation, 'data'));
    requireToken(dir);
    const tls = readDialTls(invocation);
    const lifecycle = watchLifecycle();
    const log = createLog('agent');
    if (process.platform !== 'linux') log.warn('processes are found and measured through procfs, which only Linux has');
    const gateway_url = text(invocation, 'gateway') ?? process.env.MESHSCOPE_URL ?? URL_DEFAULT;
    const agent = await startHostAgent({
      ...settings,
      gateway_url,
      spool_dir: path.resolve(text(invocation, 'spool-dir') ?? spoolDirDefault(settings.host_name, gateway_url)),
      // Read anew at every dial, since the file may have been replaced.
      token: () => requireToken(dir),
      ...(tls === null ? {} : { tls }),
      version: VERSION,
      log: (level, message) => log[level](message),
      onOutput: flag(invocation, 'quiet') ? () => {} : showOutput,
      onReady: () => tellReady({ host: settings.host_name }),
    });
    if (!agent.ok) throw startError(agent.failure, settings);
    if (agent.value.metrics_url !== null) log.info(`metrics at ${agent.value.metrics_url}/metrics`);
    lifecycle.onHurry(() => agent.value.killCommands());
    return runUntilStopped(lifecycle, (reason) => agent.value.stop(reason));
  },
};

function startError(failure: Failure, { metrics_listen }: AgentSettings): CommandError {
  if (failure.code === 'bad_request') return usageError(failure.message);
  if (metrics_listen === undefined || !isPortTaken(failure)) return new CommandError(failure.message);
  return new CommandError(`${failure.message}; choose another with --metrics-listen ADDR:PORT`);
}
