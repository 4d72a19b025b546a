/** The telemetry store behind the directory of a sharded gateway, by way of peer.ts. */
import { type Outcome, success } from '../../contract/index.ts';
import type { Telemetry } from '../ports.ts';
import { ask, type Peer } from './peer.ts';

export function telemetryOfPeer(directory: Peer): Telemetry {
  const post = (path: string, body: unknown, signal?: AbortSignal) => ask(directory, `/store/${path}`, body, signal);
  const ignoring = async (answer: Promise<Outcome<string>>): Promise<Outcome<void>> => {
    const outcome = await answer;
    return outcome.ok ? success(undefined) : outcome;
  };
  return {
    query: (sql, signal) => post('query', { sql }, signal),
    storeDump: (request) => ignoring(post('dumps', request)),
    ingest: (batch) => ignoring(post('ingest', batch)),
    absent: async () => {
      const asked = await ask(directory, '/store/absent');
      return asked.ok ? null : asked.failure;
    },
  };
}
