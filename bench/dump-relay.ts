/**
 * What a large stack dump costs the gateway that it passes: the time to its answer, and how long the loop that serves all
 * links stands still meanwhile.
 *
 *     node bench/dump-relay.ts [DUMPS]        default 10 dumps of each size
 *
 * The rival is a bare relay (bare-relay.ts): a WebSocket on one side, node:http on the other, and the same bytes in the same
 * parts. Both are processes of their own; the agent and the client are this one. Dumps of both take turns.
 */
import { WebSocket } from 'ws';
import { ANSWER_PART_CHARS, encodeRef } from '../src/contract/index.ts';
import { FakeAgent } from '../test/support/fake-agent.ts';
import { TOKEN } from '../test/support/gateway.ts';
import { until } from '../test/support/until.ts';
import type { LoopDelay } from './loop-delay.ts';
import { atEnd, type Forked, progress, runBenchmark } from './processes.ts';
import { startBareRelay, startNodeGateway } from './servers.ts';

const SIZES_MIB = [1, 8, 31];
const WARM_UP_DUMPS = 2;
const FRAME = {
  name: 'forward',
  filename: '/srv/job/train.py',
  module: null,
  short_filename: 'train.py',
  line: 128,
  locals: null,
  is_entry: false,
  is_shim_entry: false,
};
const THREAD = { pid: 7, thread_id: 1, thread_name: 'MainThread', os_thread_id: 7, active: true, owns_gil: true };

/** A dump of about so many bytes, as the parts of an answer. */
function dumpOf(bytes: number): string[] {
  const frames = Array.from({ length: Math.floor(bytes / (JSON.stringify(FRAME).length + 1)) }, () => FRAME);
  const Ok = { pid: 7, binary: 'py-spy', capture_mode: 'native', stack_traces: [{ ...THREAD, frames }], warnings: [] };
  const text = JSON.stringify({ Ok });
  return Array.from({ length: Math.ceil(text.length / ANSWER_PART_CHARS) }, (_, part) =>
    text.slice(part * ANSWER_PART_CHARS, (part + 1) * ANSWER_PART_CHARS),
  );
}

interface Relay {
  readonly forked: Forked;
  readonly url: string;
}

async function ourRelay(dump: () => readonly string[]): Promise<Relay> {
  const gateway = await startNodeGateway();
  const agent = await FakeAgent.dial({
    url: gateway.url,
    token: TOKEN,
    onCall({ call }, { socket }) {
      const parts = dump();
      for (const [index, part] of parts.entries()) {
        socket.send(JSON.stringify({ type: 'answer', call, part, more: index < parts.length - 1 }));
      }
    },
  });
  agent.sync();
  atEnd(async () => agent.drop());
  const node = `${gateway.url}/v1/${encodeRef(agent.procRef)}`;
  await until(async () => (await fetch(node)).status === 200, 'the proc');
  return { forked: gateway, url: `${gateway.url}/v1/pyspy/${encodeRef(agent.procRef)}` };
}

async function bareRelay(dump: () => readonly string[]): Promise<Relay> {
  const relay = await startBareRelay();
  const socket = new WebSocket(relay.url.replace('http', 'ws'), { perMessageDeflate: false });
  await new Promise((resolve) => socket.once('open', resolve));
  socket.on('message', () => {
    for (const part of [...dump(), '']) socket.send(part);
  });
  atEnd(async () => socket.terminate());
  return { forked: relay, url: relay.url };
}

async function timeOf({ url }: Relay): Promise<number> {
  const began_ms = performance.now();
  const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
  await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`${url} was answered with ${answer.status}`);
  return performance.now() - began_ms;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const delayOf = async ({ forked }: Relay): Promise<LoopDelay> => (await forked.ask('delay')) as LoopDelay;

await runBenchmark(async () => {
  const dumps = Number(process.argv[2] ?? 10);
  let parts: readonly string[] = [];
  const relays = [await ourRelay(() => parts), await bareRelay(() => parts)] as const;
  for (const size_mib of SIZES_MIB) {
    parts = dumpOf(size_mib * 2 ** 20);
    for (let time = 0; time < WARM_UP_DUMPS; time += 1) for (const relay of relays) await timeOf(relay);
    for (const relay of relays) await delayOf(relay);
    const times_ms: [number[], number[]] = [[], []];
    for (let time = 0; time < dumps; time += 1) {
      progress(`${size_mib} MiB: dump ${time + 1} of ${dumps}`);
      for (const [index, relay] of relays.entries()) times_ms[index]?.push(await timeOf(relay));
    }
    const [ours, bare] = times_ms.map(median) as [number, number];
    const [delay, bareDelay] = [await delayOf(relays[0]), await delayOf(relays[1])];
    const line = [
      `${size_mib} MiB: answer ${ours.toFixed(1)} ms, bare ${bare.toFixed(1)} ms, ratio ${(ours / bare).toFixed(2)}`,
      `longest stall of the loop ${delay.max_ms.toFixed(1)} ms, bare ${bareDelay.max_ms.toFixed(1)} ms`,
      `p99 ${delay.p99_ms.toFixed(1)} ms, bare ${bareDelay.p99_ms.toFixed(1)} ms`,
    ];
    process.stdout.write(`${line.join('; ')}\n`);
  }
});
