/** The telemetry service of `meshscope up`: started again when it ends by itself, on the port that the gateway knows. */
import { type ChildPart, startChildPart } from './child-part.ts';
import { LIMITS } from './limits.ts';
import type { CliLog } from './log.ts';

export interface TelemetryPart {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Settles when the service is ready.
 *
 * @param args its command line, the port aside
 * @param stopping ends a service that is still starting: a large store takes its time to open
 */
export async function startTelemetryPart(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  log: CliLog,
  stopping: Promise<unknown>,
): Promise<TelemetryPart> {
  // One malloc arena: the store's threads would otherwise each keep memory that is free but not given back.
  const childEnv = { ...env, MALLOC_ARENA_MAX: '1' };
  const start = (port: string): ChildPart => startChildPart([...args, '--port', port], childEnv);
  let part = start('0');
  let isReady = false;
  stopping.then(() => {
    if (!isReady) void part.stop();
  });
  const { url = '' } = await part.ready;
  isReady = true;
  let isStopping = false;

  const keep = async (): Promise<void> => {
    const waits = LIMITS.telemetry_restarts_ms;
    for (let failures = 0; ; failures += 1) {
      const started_ms = performance.now();
      const how = await part.ended;
      if (isStopping) return;
      if (performance.now() - started_ms >= LIMITS.telemetry_stayed_ms) failures = 0;
      const wait_ms = waits[failures];
      if (wait_ms === undefined) break;
      log.warn(`telemetry ended (${how}); starting it again`);
      // Whoever stops does not wait for a restart that is not to come.
      await new Promise((resolve) => setTimeout(resolve, wait_ms).unref());
      if (isStopping) return;
      part = start(new URL(url).port);
    }
    log.error('telemetry ended again and again: SQL and stored dumps are not available any more');
  };
  void keep();

  return {
    url,
    async stop() {
      isStopping = true;
      await part.stop();
    },
  };
}
