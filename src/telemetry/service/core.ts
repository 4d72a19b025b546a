/**
 * The telemetry service without a listener: the store, its sandbox and its upkeep (sealing, sweeps), opened and closed as one.
 * Requests reach it over HTTP (service.ts) or over a link to a gateway (link.ts).
 */
import { failure, messageOf, type Outcome, SILENT, success, type WarningLog } from '../../base/index.ts';
import { resolveLimits, type TelemetryLimits } from '../limits.ts';
import type { TelemetryStore } from '../port.ts';
import { SqlSandbox } from '../query/owner/sandbox.ts';
import { Store } from '../store/store.ts';
import { startUpkeep } from '../store/upkeep.ts';
import { OwnTelemetry } from './own-telemetry.ts';
import { Requests } from './requests.ts';

export interface CoreOptions {
  /** Directory of the data file; created with mode 0700 when missing. One service at a time owns it. */
  readonly data_dir: string;
  /** Default: nothing is logged. */
  readonly log?: WarningLog;
  /** Query processes that are kept warm, at most `sql_processes_max`. Default 1. */
  readonly warm_processes?: number;
  /** Replaces single limits; see `limits.ts`. */
  readonly limits?: Partial<TelemetryLimits>;
}

export interface TelemetryCore {
  /** The store as the rest of the service sees it. */
  readonly store: TelemetryStore;
  /** Its query processes. */
  readonly sandbox: SqlSandbox;
  readonly requests: Requests;
  /** The text of `/metrics`. */
  readonly metrics: () => Promise<string>;
  readonly limits: TelemetryLimits;
  /** Deletes rows that exceed their bounds, as the timer does. */
  readonly sweep: (now_ms?: number) => Promise<void>;
  /** Kills the query processes, commits the writes that wait, and closes the data file. To be called once. */
  readonly close: () => Promise<void>;
}

/**
 * @returns failure `bad_request` for limits that make no sense, `service_unavailable` when the data directory is taken (the
 *          message says by what), `internal_error` when the data file cannot be used
 */
export async function openCore(options: CoreOptions): Promise<Outcome<TelemetryCore>> {
  const { data_dir, warm_processes = 1 } = options;
  let limits: TelemetryLimits;
  try {
    limits = resolveLimits(options.limits);
  } catch (error) {
    return failure('bad_request', `telemetry: ${messageOf(error)}`);
  }
  const own = new OwnTelemetry({ log: options.log ?? SILENT, limits });
  const { log } = own;
  const opened = await Store.open(data_dir, limits, log);
  if (!opened.ok) return opened;
  const store = opened.value;
  const sandbox = new SqlSandbox(store, limits);
  try {
    await sandbox.clean();
  } catch (error) {
    await store.close();
    return failure('internal_error', `telemetry: cannot use data directory ${data_dir}: ${messageOf(error)}`);
  }
  sandbox.warm(warm_processes);
  const sweep = (now_ms?: number): Promise<void> => store.sweep(now_ms);
  const stopUpkeep = startUpkeep(store, limits, log);
  const close = async (): Promise<void> => {
    own.close();
    stopUpkeep();
    await sandbox.close();
    await store.close();
  };
  const port = own.observe({
    ingest: (batch) => store.ingest(batch),
    storeDump: (dump) => store.storeDump(dump),
    query: (sql, signal, format) => sandbox.query(sql, signal, format),
    health: () => store.health(),
    get load() {
      return sandbox.load;
    },
    sweep,
    close,
  });
  const requests = new Requests({ store: port, limits });
  return success({ store: port, sandbox, requests, metrics: () => own.text(), limits, sweep, close });
}
