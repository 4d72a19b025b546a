import * as v from 'valibot';
import { TABLES } from '../../contract/index.ts';
import { CLIENT_HELP, CLIENT_OPTIONS, type Client, createClient, NO_STORE, readAnswer } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { parseExact, stringifyExact } from '../exact-json.ts';
import { CommandError, EXIT } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { formatBytes, formatCount, formatDuration, formatTable, oneLine } from '../render/format.ts';

export const command: Command = {
  arguments: [],
  options: { ...CLIENT_OPTIONS, json: { type: 'boolean' } },
  help: `meshscope status: is telemetry complete?

Usage: meshscope status [OPTIONS]

The gateway and what it counts, the store and what is in it, what agents have waiting, and which producers had to drop rows.
Exit code 1 when there is no store, when it has stored nothing for ${LIMITS.status_silence_ms / 1_000} s, when rows were lost in the last hour,
or when the gateway had batches that no store takes; 4 when the store may not be asked with this token.

  --json             {"ok", "problems", "gateway", "store", "agents", "losses"}
${CLIENT_HELP}`,
  async run(invocation) {
    const client = createClient(invocation);
    const { isRefused, ...status } = await readStatus(client);
    process.stdout.write(flag(invocation, 'json') ? `${stringifyExact(status, 2)}\n` : render(client.url, status));
    if (status.ok) return EXIT.ok;
    return isRefused ? EXIT.unauthorized : EXIT.failure;
  },
};

const Count = v.pipe(
  v.union([v.number(), v.bigint()]),
  v.transform((count) => Number(count)),
);

const Health = v.object({
  hosts: Count,
  links: Count,
  nodes: v.optional(Count, 0),
  followers: v.optional(Count, 0),
  dropped_batches: v.optional(Count, 0),
  poison_batches: v.optional(Count, 0),
  telemetry: v.boolean(),
});

const Store = v.object({
  rows: Count,
  lost_rows: Count,
  lost_last_hour: Count,
  silent_us: v.nullable(Count),
  gateway_version: v.nullable(v.string()),
});

const Agent = v.object({
  host: v.string(),
  rows_waiting: v.nullable(Count),
  bytes_waiting: v.nullable(Count),
  on_disk: v.nullable(Count),
  as_of_us: Count,
});

const Loss = v.object({
  producer: v.nullable(v.string()),
  source: v.nullable(v.string()),
  lost_rows: Count,
  stored_rows: v.nullable(Count),
  heard_us: v.nullable(Count),
});

interface Status {
  readonly ok: boolean;
  /** What is wrong, one line each. */
  readonly problems: readonly string[];
  readonly gateway: v.InferOutput<typeof Health>;
  /** Null when it cannot be asked; `store_trouble` says why. */
  readonly store: v.InferOutput<typeof Store> | null;
  readonly store_trouble: string | null;
  readonly agents: readonly v.InferOutput<typeof Agent>[];
  readonly losses: readonly v.InferOutput<typeof Loss>[];
}

/**
 * The newest row of the tables that something is always written to: the store's own metrics, if nobody else's. What is of
 * the future, by a clock that is wrong, does not count. Null for a store without rows.
 */
const SILENT_SQL = `(select epoch_us(now()) - max(newest_us) from (${['metric_gauges', 'events', 'actor_status_events']
  .map((table) => `select max(timestamp_us) as newest_us from ${table} where timestamp_us <= epoch_us(now())`)
  .join(' union all ')}))`;

/** What was lost lately is what the service's own count has grown by, and no more than what is of producers heard lately. */
const STORE_SQL = `with lost as (select coalesce(sum(lost_rows), 0) as rows,
    coalesce(sum(lost_rows) filter (heard_us > epoch_us(now()) - 3600000000 or heard_us is null), 0) as recent_at_most
    from telemetry_losses),
  before as (select value_u64 as rows from metric_gauges
    where scope_name = 'meshscope.telemetry' and name = 'telemetry.lost_rows'
      and timestamp_us <= epoch_us(now()) - 3600000000 order by timestamp_us desc limit 1)
select ${TABLES.map(({ name }) => `(select count(*) from ${name})`).join(' + ')} as rows, lost.rows as lost_rows,
  greatest(0, least(lost.recent_at_most, lost.rows - coalesce((select rows::hugeint from before), 0))) as lost_last_hour,
  ${SILENT_SQL} as silent_us,
  (select json_extract_string(resource_attributes_json, '$."service.version"') from metric_gauges
    where scope_name = 'meshscope.gateway' order by timestamp_us desc limit 1) as gateway_version
from lost`;

const AGENTS_SQL = `select json_extract_string(resource_attributes_json, '$."host.name"') as host,
  arg_max(value_u64, timestamp_us) filter (name = 'telemetry.rows_waiting') as rows_waiting,
  arg_max(value_u64, timestamp_us) filter (name = 'spool.bytes_waiting') as bytes_waiting,
  arg_max(value_u64, timestamp_us) filter (name = 'spool.on_disk') as on_disk,
  max(timestamp_us) as as_of_us
from metric_gauges where scope_name = 'meshscope.agent' and timestamp_us > epoch_us(now()) - 3600000000
group by host order by host limit ${LIMITS.status_agents_max}`;

const LOSSES_SQL = `select producer, source, lost_rows, stored_rows, heard_us from telemetry_losses
where lost_rows > 0 order by lost_rows desc limit ${LIMITS.status_losses_max}`;

async function readStatus(client: Client): Promise<Status & { readonly isRefused: boolean }> {
  const answer = await client.text('GET', '/healthz', LIMITS.node_wait_ms);
  const gateway = readAnswer(Health, answer, client.url);
  const problems: string[] = [];
  let store: Status['store'] = null;
  let store_trouble: string | null = null;
  let agents: Status['agents'] = [];
  let losses: Status['losses'] = [];
  let isRefused = false;
  try {
    // A gateway without a store is asked all the same: it knows whether there was one, and since when it is gone.
    [store = null] = await ask(client, Store, STORE_SQL);
    losses = await ask(client, Loss, LOSSES_SQL);
    agents = await ask(client, Agent, AGENTS_SQL);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    store_trouble = error.message;
    if (error.message === NO_STORE || (error.exitCode === EXIT.unauthorized && !gateway.telemetry)) {
      store_trouble = 'the gateway has none';
      problems.push(NO_STORE);
    } else if (error.exitCode === EXIT.unauthorized) {
      // Who may not ask does not know whether all is well, and is not told so.
      isRefused = problems.length === 0;
      store_trouble = 'not asked';
      problems.push(`the store may not be asked: ${error.message}`);
    } else {
      problems.push(`the store does not answer: ${error.message}`);
    }
  }
  if (store?.silent_us != null && store.silent_us > LIMITS.status_silence_ms * 1_000) {
    const silent = formatDuration(store.silent_us / 1_000);
    problems.push(`nothing has been stored for ${silent}: the logs of store and gateway say why; is its disk full?`);
  }
  if (store !== null && store.lost_last_hour > 0) {
    const lost = store.lost_last_hour;
    problems.push(`${formatCount(lost, 'row')} ${lost === 1 ? 'was' : 'were'} lost in the last hour`);
  }
  if (gateway.poison_batches > 0) {
    const batches = formatCount(gateway.poison_batches, 'batch', 'batches');
    problems.push(`since the gateway started, ${batches} could never be stored; its log says why`);
  }
  return { ok: problems.length === 0, problems, gateway, store, store_trouble, agents, losses, isRefused };
}

async function ask<const S extends v.GenericSchema>(client: Client, row: S, sql: string): Promise<v.InferOutput<S>[]> {
  const answer = v.object({ rows: v.array(row) });
  return readAnswer(answer, await client.query(sql), client.url, parseExact).rows;
}

function render(url: string, { ok, problems, gateway, store, store_trouble, agents, losses }: Status): string {
  const now_us = Date.now() * 1_000;
  const ago = (time_us: number | null): string =>
    time_us === null ? '-' : `${formatDuration((now_us - time_us) / 1_000)} ago`;
  const version = store?.gateway_version ?? null;
  const { hosts, links, nodes, followers, dropped_batches, poison_batches } = gateway;
  const meshLine = [
    formatCount(hosts, 'host'),
    `${links} linked`,
    formatCount(nodes, 'node'),
    formatCount(followers, 'follower'),
  ];
  const batchLine = `batches not stored: ${dropped_batches} that agents send again, ${poison_batches} refused for good`;
  const storeLine =
    store === null
      ? (store_trouble ?? 'unknown')
      : [
          `${formatCount(store.rows, 'row')}${store.silent_us === null ? '' : `, the newest ${formatDuration(store.silent_us / 1_000)} ago`}`,
          `lost ${store.lost_rows}, in the last hour ${store.lost_last_hour}`,
        ].join('; ');
  const parts = [
    formatTable([
      [`gateway${version === null ? '' : ` ${version}`}`, url],
      ['', meshLine.join(', ')],
      ['', batchLine],
      ['store', oneLine(storeLine)],
    ]),
  ];
  if (agents.length > 0) {
    const rows = agents.map((agent) => [
      oneLine(agent.host, LIMITS.cell_max_chars),
      agent.rows_waiting === null ? '-' : String(agent.rows_waiting),
      formatBytes(agent.bytes_waiting),
      agent.on_disk === null ? '-' : agent.on_disk === 1 ? 'disk' : 'memory',
      ago(agent.as_of_us),
    ]);
    parts.push(formatTable([['AGENT', 'ROWS WAITING', 'SPOOL', 'IN', 'TOLD'], ...rows]));
  }
  if (losses.length > 0) {
    const rows = losses.map((loss) => [
      oneLine(loss.source ?? loss.producer ?? 'producers of long ago', LIMITS.cell_max_chars),
      String(loss.lost_rows),
      loss.stored_rows === null ? '-' : String(loss.stored_rows),
      ago(loss.heard_us),
    ]);
    parts.push(formatTable([['PRODUCER', 'LOST', 'STORED', 'HEARD'], ...rows]));
  }
  parts.push(ok ? 'well\n' : problems.map((problem) => `✗ ${oneLine(problem)}\n`).join(''));
  return parts.join('\n');
}
