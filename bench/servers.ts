/** Starts what is measured: gateways and their bare rivals, each a process of its own. */
import { fileURLToPath } from 'node:url';
import { runDeno } from '../test/support/deno.ts';
import { atEnd, type Forked, forkProcess } from './processes.ts';

export interface Server {
  readonly url: string;
  readonly pid: number;
}

const fileOf = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));

async function forkServer(name: string, args: readonly string[], execArgv: readonly string[] = []) {
  const forked = forkProcess(fileOf(name), args, execArgv);
  return { ...forked, url: (await forked.ask('url')) as string };
}

/** Our gateway on Node. @param mode `--count` counts calls of JSON.stringify. */
export function startNodeGateway(port = 0, mode?: '--count'): Promise<Forked & Server> {
  return forkServer('node-gateway.ts', [String(port), ...(mode === undefined ? [] : [mode])], ['--expose-gc']);
}

/** Our gateway on Deno, with the permissions of `deno task start`. */
export function startDenoGateway(): Promise<Server> {
  return startDeno(['--port', '0', '--snapshot-ms', '0'], {});
}

/** @param bodies file of pairs of path and body. */
export function startBareHttp(bodies: string): Promise<Server> {
  return forkServer('bare-http.ts', [bodies]);
}

/** A relay of dumps with nothing around it. */
export function startBareRelay(): Promise<Forked & Server> {
  return forkServer('bare-relay.ts', []);
}

export function startBareHono(bodies: string): Promise<Server> {
  return forkServer('bare-hono-node.ts', [bodies]);
}

export function startBareHonoOnDeno(bodies: string): Promise<Server> {
  return startDeno([bodies], { entry: fileOf('bare-hono-deno.ts'), readable: bodies });
}

async function startDeno(args: readonly string[], options: Parameters<typeof runDeno>[1]): Promise<Server> {
  const { child, output, exited } = runDeno(args, options);
  atEnd(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  child.stdout?.on('data', () => {
    const url = /listening on (http:\S+)/.exec(output.out)?.[1];
    if (url !== undefined) resolve(url);
  });
  const failed = exited.then((status) => {
    throw new Error(`Deno ended with ${status}: ${output.error}`);
  });
  const url = await Promise.race([promise, failed]);
  failed.catch(() => {});
  return { url, pid: child.pid ?? 0 };
}
