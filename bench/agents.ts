/** Starts processes of simulated agents and waits until a gateway has all of them. */
import { fileURLToPath } from 'node:url';
import { sleep } from '../src/base/index.ts';
import { TOKEN } from '../test/support/gateway.ts';
import { type Forked, forkProcess } from './processes.ts';
import type { AgentCounts } from './simulated-agent.ts';
import { NODES_PER_HOST } from './simulated-host.ts';

const FILE = fileURLToPath(new URL('./agents-process.ts', import.meta.url));
const AGENTS_PER_PROCESS = 1_250;
const POLL_MS = 50;
const SYNC_WAIT_MS = 300_000;

export interface Agents {
  /** Over all processes: sums, and the latest of times. */
  counts(): Promise<AgentCounts>;
  stop(): Promise<void>;
}

/** Agents for the hosts gpu-0 onwards, in as few processes as can hold them. */
export function startAgents(url: string, count: number): Agents {
  const processes: Forked[] = [];
  for (let first = 0; first < count; first += AGENTS_PER_PROCESS) {
    const args = [url, TOKEN, String(first), String(Math.min(AGENTS_PER_PROCESS, count - first))];
    processes.push(forkProcess(FILE, args));
  }
  const stop = async () => {
    await Promise.all(processes.map(({ kill }) => kill()));
  };
  const counts = async () => {
    const parts = (await Promise.all(processes.map(({ ask }) => ask('counts')))) as AgentCounts[];
    return parts.reduce(add);
  };
  return { counts, stop };
}

function add(a: AgentCounts, b: AgentCounts): AgentCounts {
  const closes = { ...a.closes };
  for (const [code, count] of Object.entries(b.closes)) closes[code] = (closes[code] ?? 0) + count;
  return {
    welcomed: a.welcomed + b.welcomed,
    failed_dials: a.failed_dials + b.failed_dials,
    refused: a.refused + b.refused,
    closes,
    dialled_at_ms: Math.max(a.dialled_at_ms, b.dialled_at_ms),
    welcomed_at_ms: Math.max(a.welcomed_at_ms, b.welcomed_at_ms),
  };
}

/**
 * Waits until a gateway has the whole state of all agents over links that stand; looks every 50 ms.
 *
 * @throws Error after five minutes, with what the gateway says of itself.
 */
export async function untilSynced(url: string, count: number): Promise<void> {
  const give_up_ms = performance.now() + SYNC_WAIT_MS;
  for (;;) {
    const health = await fetch(`${url}/healthz`).then(
      (response) => response.json() as Promise<{ links?: number; nodes?: number }>,
      () => ({}) as { links?: number; nodes?: number },
    );
    if (health.links === count && health.nodes === count * NODES_PER_HOST) return;
    if (performance.now() > give_up_ms) throw new Error(`${url} has not all agents: ${JSON.stringify(health)}`);
    await sleep(POLL_MS);
  }
}
