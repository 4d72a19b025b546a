/**
 * What a dump through the agent's runner costs over the bare command.
 *
 *     node bench/pyspy-dump.ts [PAIRS]        default 200 pairs; PYSPY_BIN or .tools/py-spy
 *
 * Pairs of one `py-spy dump --json --native` and one `dump()` of the same process, the order within a pair alternating,
 * so that both see the same machine. The process is the demonstration's `blocked`: one thread in a sleep. The bare
 * command is started by Node as well and its output read to the end, but neither parsed nor checked.
 */
import { spawn } from 'node:child_process';
import { createPySpy } from '../src/node-agents/inspect/pyspy/index.ts';
import { identify } from '../src/node-agents/procfs/index.ts';
import { pyspyBinary } from '../test/support/pyspy-binary.ts';
import { startDemo } from '../test/support/python-process.ts';

const pairs = Number(process.argv[2] ?? 200);
const WARM_UP_PAIRS = 10;
const binary = pyspyBinary();

function bareDump(pid: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, ['dump', '--pid', `${pid}`, '--json', '--native'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.resume();
    child.stderr.resume();
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`py-spy ended with code ${code}`))));
  });
}

async function timed(job: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await job();
  return performance.now() - started;
}

function percentile(times_ms: readonly number[], share: number): number {
  const sorted = times_ms.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const workload = await startDemo('blocked');
const pySpy = createPySpy({ pyspy_bin: () => binary });
try {
  const target = identify(workload.pid);
  if (target === null) throw new Error('the workload has ended');
  const bare = () => bareDump(target.pid);
  const ours = async () => {
    const result = await pySpy.dump(target);
    if (!('Ok' in result)) throw new Error(JSON.stringify(result));
  };
  const bare_ms: number[] = [];
  const ours_ms: number[] = [];
  for (let pair = -WARM_UP_PAIRS; pair < pairs; pair += 1) {
    const order = pair % 2 === 0 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const);
    for (const which of order) {
      const time_ms = await timed(which === 'bare' ? bare : ours);
      if (pair >= 0) (which === 'bare' ? bare_ms : ours_ms).push(time_ms);
    }
  }
  console.log(`${pairs} pairs, milliseconds`);
  console.log('        bare    dump()  ratio  difference');
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const [one, other] = [percentile(bare_ms, share), percentile(ours_ms, share)];
    const cells = [one.toFixed(1).padStart(8), other.toFixed(1).padStart(9), (other / one).toFixed(2).padStart(7)];
    console.log(`${name} ${cells.join('')} ${(other - one).toFixed(1).padStart(11)}`);
  }
} finally {
  await pySpy.close();
  await workload.end();
}
