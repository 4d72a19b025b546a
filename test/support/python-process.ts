/** Python processes for tests to look into. Each is started for real, waited for, and ended by the test that made it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Workload {
  readonly child: ChildProcess;
  /** Of the interpreter itself, which is another one than the child's where `python3` is a script. */
  readonly pid: number;
  /** Kills it and waits until it has been reaped. */
  readonly end: () => Promise<void>;
}

const PREAMBLE = 'import os, sys; print(os.getpid(), flush=True)\n';

/** Runs Python code; resolves when the interpreter runs it. */
export async function startPython(code: string, env: Record<string, string> = {}): Promise<Workload> {
  return await started(['-c', PREAMBLE + code], env);
}

/** Runs one of the demonstration's scripts, `busy`, `blocked` or `alternating`, by the code of the file itself. */
export async function startDemo(name: string): Promise<Workload> {
  const folder = fileURLToPath(new URL('../../examples/demo/', import.meta.url));
  const script = `${folder}${name}.py`;
  const code = `import runpy; sys.path.insert(0, ${JSON.stringify(folder)}); runpy.run_path(${JSON.stringify(script)}, run_name="__main__")`;
  return await startPython(code);
}

async function started(args: string[], env: Record<string, string>): Promise<Workload> {
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, 'line') as Promise<[string]>,
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`python3 ended with code ${code}`))),
  ]);
  child.stdout.resume();
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { child, pid: Number(line), end };
}
