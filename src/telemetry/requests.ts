/**
 * What the service is asked, however it is asked: the method, its JSON body, and the JSON text of the answer. HTTP
 * (routes.ts) and the link to a gateway (link.ts) only carry it.
 */
import * as v from 'valibot';
import { describeIssues, failure, type Outcome, QueryRequest, type StoreMethod, success } from '../contract/index.ts';
import { Bodies } from './bodies.ts';
import type { TelemetryLimits } from './limits.ts';
import type { SqlSandbox } from './sql/sandbox.ts';
import type { Store } from './store.ts';

export interface RequestPorts {
  readonly store: Store;
  readonly sandbox: SqlSandbox;
  readonly limits: TelemetryLimits;
}

export class Requests {
  /** What all requests hold, over every way they come. */
  readonly bodies: Bodies;
  /** Bounds of single bodies, bytes. */
  readonly max_bytes: Readonly<Record<StoreMethod, number>>;
  readonly limits: TelemetryLimits;
  readonly #ports: RequestPorts;

  constructor(ports: RequestPorts) {
    const { limits } = ports;
    this.#ports = ports;
    this.limits = limits;
    this.bodies = new Bodies(limits.bodies_in_flight_max_bytes);
    this.max_bytes = {
      query: limits.query_body_max_bytes,
      store_dump: limits.dump_body_max_bytes,
      ingest: limits.ingest_body_max_bytes,
    };
  }

  /**
   * Answers one request; writes are answered after their commit.
   * @param signal gives a query up; a write is finished all the same
   * @returns the JSON text; the failures of `Store` and `SqlSandbox`, and `unprocessable` for a query that is none
   */
  async answer(method: StoreMethod, json: unknown, signal?: AbortSignal): Promise<Outcome<string>> {
    const { store, sandbox } = this.#ports;
    if (method === 'query') {
      const parsed = v.safeParse(QueryRequest, json);
      if (!parsed.success) return failure('unprocessable', `query: ${describeIssues(parsed.issues)}`);
      return await sandbox.query(parsed.output.sql, signal);
    }
    const done: Outcome<object> = method === 'ingest' ? await store.ingest(json) : await store.storeDump(json);
    return done.ok ? success(JSON.stringify(done.value)) : done;
  }
}
