/** The telemetry store behind the directory of a sharded gateway, by way of peer.ts. */
import { type Outcome, success } from '../../base/index.ts';
import type { Telemetry } from '../ports.ts';
import { ask, askFor, type Peer } from './peer.ts';

export function telemetryOfPeer(directory: Peer): Telemetry {
  const post = (path: string, body: unknown) => ask(directory, `/store/${path}`, body);
  const ignoring = async (answer: Promise<Outcome<string>>): Promise<Outcome<void>> => {
    const outcome = await answer;
    return outcome.ok ? success(undefined) : outcome;
  };
  return {
    query: (sql, accept, signal) =>
      askFor(directory, '/store/query', { sql, accept }, signal ?? null, (answer) => new Response(answer.body, answer)),
    storeDump: (request) => ignoring(post('dumps', request)),
    ingest: (batch) => ignoring(post('ingest', batch)),
    absent: async () => {
      const asked = await ask(directory, '/store/absent');
      return asked.ok ? null : asked.failure;
    },
  };
}
