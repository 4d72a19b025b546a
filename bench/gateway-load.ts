/** The load client of bench/gateway.ts, a process of its own: `gateway-load.ts URL PATH CONNECTIONS SECONDS`. */
import { Pool } from 'undici';

const [url = '', path = '', connections = '1', seconds = '1'] = process.argv.slice(2);
const pool = new Pool(url, { connections: Number(connections), pipelining: 1 });
const latencies_ms: number[] = [];
const statuses: Record<string, number> = {};
let requests = 0;

async function drive(until_ms: number, isCounted: boolean): Promise<void> {
  while (performance.now() < until_ms) {
    const start_ms = performance.now();
    const { statusCode, body } = await pool.request({ path, method: 'GET' });
    await body.dump();
    requests += 1;
    if (!isCounted) continue;
    latencies_ms.push(performance.now() - start_ms);
    statuses[statusCode] = (statuses[statusCode] ?? 0) + 1;
  }
}

async function run(duration_s: number, isCounted: boolean): Promise<void> {
  const until_ms = performance.now() + duration_s * 1_000;
  await Promise.all(Array.from({ length: Number(connections) }, () => drive(until_ms, isCounted)));
}

await run(Math.min(1, Number(seconds)), false);
const start_ms = performance.now();
await run(Number(seconds), true);
const elapsed_s = (performance.now() - start_ms) / 1_000;
latencies_ms.sort((a, b) => a - b);
const at = (share: number) => latencies_ms[Math.floor(latencies_ms.length * share)] ?? Number.NaN;
await pool.close();
const [p50_ms, p99_ms] = [at(0.5), at(0.99)];
console.log(JSON.stringify({ rps: latencies_ms.length / elapsed_s, p50_ms, p99_ms, statuses, requests }));
