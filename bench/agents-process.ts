/**
 * A process full of simulated agents: `agents-process.ts URL TOKEN FIRST COUNT`, for the hosts gpu-FIRST onwards. At the
 * start it dials with a bounded number at once, later each agent as its own backoff says. Answers any message of its
 * parent with its counts, and ends with it.
 */
import { HEARTBEAT_MS } from '../src/contract/index.ts';
import { newCounts, SimulatedAgent } from './simulated-agent.ts';
import { hostName } from './simulated-host.ts';

const FIRST_DIALS_AT_ONCE = 32;
const BEAT_TURNS = 50;

const [url = '', token = '', first = '0', count = '1'] = process.argv.slice(2);
const counts = newCounts();
const agents = Array.from(
  { length: Number(count) },
  (_, i) => new SimulatedAgent(url, token, hostName(Number(first) + i), counts),
);
process.on('message', () => process.send?.(counts));
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the parent ends this process when it is done with it.
process.on('SIGINT', () => {});

// Each five times per heartbeat, some at a time: on hosts of their own they would not beat in step either.
let turn = 0;
setInterval(
  () => {
    const now_ms = Date.now();
    for (let i = turn; i < agents.length; i += BEAT_TURNS) agents[i]?.beat(now_ms);
    turn = (turn + 1) % BEAT_TURNS;
  },
  HEARTBEAT_MS / 5 / BEAT_TURNS,
);

const waiting = [...agents];
async function dialInTurn(): Promise<void> {
  for (let agent = waiting.shift(); agent !== undefined; agent = waiting.shift()) await agent.dial();
}
await Promise.all(Array.from({ length: FIRST_DIALS_AT_ONCE }, dialInTurn));
