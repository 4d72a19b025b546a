/**
 * The telemetry service without a way in: the store, its sandbox and the retention sweeps, opened and closed as one. HTTP
 * (service.ts) and a link to a gateway (link.ts) bring it requests.
 */
import { failure, type Outcome, success } from '../contract/index.ts';
import { messageOf } from './database.ts';
import { resolveLimits, type TelemetryLimits } from './limits.ts';
import { Requests } from './requests.ts';
import { SqlSandbox } from './sql/sandbox.ts';
import { Store } from './store.ts';

/** Where lines for the operator go. */
export interface Log {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface CoreOptions {
  /** Directory of the data file; created with mode 0700 when missing. One service at a time owns it. */
  readonly data_dir: string;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Replaces single limits; see `limits.ts`. */
  readonly limits?: Partial<TelemetryLimits>;
}

export interface TelemetryCore {
  readonly store: Store;
  readonly sandbox: SqlSandbox;
  readonly requests: Requests;
  readonly limits: TelemetryLimits;
  /** Deletes what is over its bound, as the timer does. */
  readonly sweep: (now_ms?: number) => Promise<void>;
  /** Kills query processes, commits what waits for it, and gives the data file up. To be called once. */
  readonly close: () => Promise<void>;
}

/**
 * @returns failure `bad_request` for limits that make no sense, `service_unavailable` when the data directory is taken (the
 *          message says by what), `internal_error` when the data file cannot be used
 */
export async function openCore(options: CoreOptions): Promise<Outcome<TelemetryCore>> {
  const { data_dir, log = { warn: () => undefined } } = options;
  let limits: TelemetryLimits;
  try {
    limits = resolveLimits(options.limits);
  } catch (error) {
    return failure('bad_request', `telemetry: ${messageOf(error)}`);
  }
  const opened = await Store.open(data_dir, limits);
  if (!opened.ok) return opened;
  const store = opened.value;
  const sandbox = new SqlSandbox(store, limits);
  try {
    await sandbox.clean();
  } catch (error) {
    await store.close();
    return failure('internal_error', `telemetry: cannot use data directory ${data_dir}: ${messageOf(error)}`);
  }
  const sweep = (now_ms = Date.now()): Promise<void> => store.sweep(now_ms);
  let isSweeping = false;
  const timer = setInterval(() => {
    // One that takes longer than the pause is not joined by others.
    if (isSweeping) return;
    isSweeping = true;
    sweep()
      .catch((error: unknown) => log.warn(`retention sweep failed: ${messageOf(error)}`))
      .finally(() => {
        isSweeping = false;
      });
  }, limits.sweep_interval_ms);
  const close = async (): Promise<void> => {
    clearInterval(timer);
    await sandbox.close();
    await store.close();
  };
  return success({ store, sandbox, requests: new Requests({ store, sandbox, limits }), limits, sweep, close });
}
