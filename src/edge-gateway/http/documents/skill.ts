/**
 * `GET /SKILL.md`: the guide to this API, for people and for programs that read prose. `{base}` is replaced by the URL
 * under which the reader reached the gateway; every other brace stays as it is.
 */
import { ERROR_STATUS, PROFILE_MAX_S } from '../../../contract/index.ts';

const CODE_MEANINGS: Readonly<Record<keyof typeof ERROR_STATUS, string>> = {
  not_found: 'the reference does not parse, or nothing of that name is there; do not retry, go on with the walk',
  bad_request: 'the input is wrong; the message says how',
  gateway_timeout:
    'the host or its agent did not answer in time; it may still exist, retry. `details.last_known` holds the last payload of a host that is out of reach',
  service_unavailable:
    'a bound was reached (then `Retry-After` says when to come again), or py-spy is not installed on the host',
  internal_error: 'a defect, here or in an agent',
  proxy_error: 'the telemetry service could not be reached or gave an unusable answer',
  pyspy_failed: 'py-spy ran and could not capture the stack; the message holds what it said',
  profile_failed: 'py-spy ran and could not profile, or the process was idle all the time',
  profile_output_unusable: 'the flame graph is missing, empty or too large',
  unauthorized: 'a token is needed, or the token is wrong or has expired',
  forbidden: 'the `Host` or `Origin` header is not allowed here, or the token has not the role that the message names',
  method_not_allowed: 'another method is needed; see the `Allow` header',
  payload_too_large: 'the body is larger than 2 MiB',
  unsupported_media_type: 'send `Content-Type: application/json`',
  unprocessable: 'the JSON is fine but its shape is not; the message names the field',
};

const CODES = Object.entries(ERROR_STATUS)
  .map(([code, status]) => `| \`${code}\` | ${status} | ${CODE_MEANINGS[code as keyof typeof ERROR_STATUS]} |`)
  .join('\n');

export const SKILL = `# meshscope: what is my job doing right now, and why is it stuck?

Base URL: \`{base}\`

This server shows a mesh of processes as a graph of nodes. Start at \`root\`, resolve it, follow \`children\`. The levels
are root, host, proc (a process), actor (something that runs in a process). Nothing here changes the job.

## Access

- \`/healthz\` needs no token. Topology (root, hosts, procs, actors, tree, schemas, this guide) may be open to readers
  without one; stacks, profiles, configuration and SQL usually are not.
- Send the token as \`Authorization: Bearer <token>\`. The server prints at its start where the token is kept.
- A token has roles: \`read\` for topology, \`inspect\` for stacks, profiles, configuration and SQL as well, \`operate\` for
  writes too. One without the role that is needed is refused with 403, and the message names it: do not retry.
- A wrong or expired token is refused with 401 even where none is needed. Requests from foreign web pages are refused
  with 403.
- Where the server speaks TLS, give your client the CA it needs: \`curl --cacert ca.pem\`, and
  \`--cert client.pem --key client.key\` where client certificates are required.

## Contract documents

| Request | Gives |
|---|---|
| \`GET {base}/v1/schema\` | JSON Schema 2020-12 of every node, \`NodePayload\` |
| \`GET {base}/v1/schema/error\` | JSON Schema of the error envelope |
| \`GET {base}/v1/schema/admin\` | JSON Schema of \`/v1/admin\` |
| \`GET {base}/v1/openapi.json\` | OpenAPI 3.1 of the whole API |
| \`GET {base}/SKILL.md\` | this guide |

Read the schema first and validate what you get; objects may gain fields, so ignore those you do not know.

## Errors

Every answer that is not a success is JSON of this form; \`details\` is there only when it says something:

\`\`\`json
{"error": {"code": "not_found", "message": "invalid reference 'xyzzy': missing '@' separator between id and location"}}
\`\`\`

Decide on \`error.code\`. These codes are stable:

| Code | HTTP | Meaning |
|---|---|---|
${CODES}

## Requests

| Request | Gives |
|---|---|
| \`GET {base}/healthz\` | \`{"ok":true,"hosts":…,"links":…,"telemetry":…}\` |
| \`GET {base}/metrics\` | what this server measures of itself, for Prometheus |
| \`GET {base}/v1/root\` | the root node |
| \`GET {base}/v1/{reference}\` | any node; the reference is percent-encoded |
| \`GET {base}/v1/tree\` | the whole mesh as text, with a link per line |
| \`GET {base}/v1/events\` | live updates, as server-sent events |
| \`GET {base}/v1/admin\` | \`{"actor_id","proc_id","host","url"}\` of this server |
| \`GET {base}/v1/pyspy/{proc_reference}\` | the Python stacks of a proc, now; \`?locals=true\` adds the values of variables, which may be secrets |
| \`POST {base}/v1/pyspy_profile_svg/{proc_reference}\` | a flame graph, \`image/svg+xml\` |
| \`POST {base}/v1/pyspy_dump/{proc_reference}\` | takes the stacks and stores them: \`{"dump_id"}\`; \`?locals=true\` as above |
| \`GET {base}/v1/config/{proc_reference}\` | the configuration of a proc: \`{"entries":[…]}\`, sorted by name |
| \`POST {base}/v1/query\` | SQL over stored events, snapshots and dumps: \`{"rows":[…]}\` |

Other query parameters are not looked at. \`HEAD\` works where \`GET\` does. Host agents dial in at
\`{base}/v1/link\`, a telemetry service at \`{base}/v1/store\`.

## References

A reference is opaque: take it from \`children\`, \`parent\` or \`identity\`, and encode every byte but
\`A-Z a-z 0-9 - _ . ~\` before putting it into a path. \`host:host_agent.service@ipc://gpu-7\` travels as
\`host%3Ahost_agent.service%40ipc%3A%2F%2Fgpu-7\`. What follows \`ipc://\` is the name of the host. The number in angle
brackets is the identity of an instance, the label in front of it is only for reading.

## Nodes

\`\`\`json
{"identity": "…", "properties": {"Proc": {…}}, "children": ["…"], "parent": "…", "as_of": "2026-03-02T09:20:11.655Z"}
\`\`\`

| Field | Meaning |
|---|---|
| \`identity\` | the node's own reference |
| \`properties\` | exactly one key: \`Root\`, \`Host\`, \`Proc\`, \`Actor\` or \`Error\` |
| \`children\` | references to go on with |
| \`parent\` | what contains the node; null for root |
| \`as_of\` | when this was true on its host; compare it with the clock before you call something current |

| Key field | Where | Meaning |
|---|---|---|
| \`num_hosts\`, \`started_at\`, \`started_by\` | Root | size of the mesh, start of this server |
| \`addr\`, \`num_procs\`, \`memory\` | Host | name, procs, memory of the host agent |
| \`proc_name\`, \`num_actors\`, \`failed_actor_count\`, \`is_poisoned\`, \`debug\` | Proc | name, actors, failures, memory and queues |
| \`system_children\` | Proc | infrastructure; skip it when you look for your own work |
| \`stopped_children\` | Proc | actors that have ended and are kept for reading |
| \`process\` | Proc, Actor | pid, command, rank, start, end, exit code or signal, where there is a process |
| \`actor_status\` | Actor | \`idle\`, \`… processing for Nms\`, \`stopped: …\`, \`failed: …\` and others; tell them by prefix |
| \`failure_info\` | Actor | why it failed, root cause first; null unless it did |
| \`queue_depth\`, \`messages_processed\`, \`execution\` | Actor | what waits, what is done, what runs at this moment |
| \`flight_recorder\` | Actor | the last events, as a JSON array inside a string |
| \`inbound_ordering\` | Actor | messages held back because an earlier one is missing |

## The walk

1. \`GET {base}/v1/root\`, then resolve each of its \`children\` with \`GET {base}/v1/{url_encode(reference)}\`.
2. Go on with the children of each node. Keep a set of what you have seen: an actor can be listed by its proc and by
   the actor that supervises it.
3. On \`not_found\` go on, the node has ended meanwhile. On \`gateway_timeout\` note it and try again later.

\`\`\`sh
curl -s {base}/v1/root
curl -s {base}/v1/tree
curl -s {base}/v1/host%3Ahost_agent.service%40ipc%3A%2F%2Fgpu-7
\`\`\`

## What is stuck, what has failed?

1. \`GET {base}/v1/tree\`: is every host there? \`(unreachable)\` marks one whose link is gone.
2. Failed: look for procs with \`is_poisoned\`, then for actors whose \`failure_info\` is not null. For a command it holds
   exit code or signal and the last lines of its stderr.
3. Stuck in a handler: \`actor_status\` says \`processing for Nms\` with a large N, or \`execution.active_handlers\` has an
   old \`oldest_since\`. Ask twice: the same start and no more \`messages_processed\` means that it stands still.
4. Waiting for a message that never came: \`inbound_ordering\` with \`snapshot_complete\` true and a session whose
   \`buffered_count\` is above 0; \`expected_next_seq\` is the missing one and \`sender\` owes it. When
   \`snapshot_complete\` is false, ignore the rest of it and ask again.
5. Then look at the stack of the process.

## Live updates

\`\`\`sh
curl -sN {base}/v1/events
\`\`\`

A stream without end of server-sent events. \`data\` is one JSON object: \`type\` (also the name of the event), \`reference\`,
\`kind\`, \`host\` and \`as_of\`; of nodes also \`parent\`, \`num_children\`, \`since\` and \`status\`, which has the one key
\`Host\`, \`Proc\`, \`Actor\` or \`Error\`.

| \`type\` | Meaning |
|---|---|
| \`snapshot\` | read the mesh again from \`root\`; \`reason\` is \`start\`, \`unknown_id\`, \`too_old\` or \`too_slow\` |
| \`host_linked\` | a host came, or came back; with \`read_again\` read what is below it, else what differs follows |
| \`host_lost\`, \`host_removed\` | its link broke and its last state stays; it has left with everything below it |
| \`node_added\`, \`node_changed\`, \`node_removed\` | a host, proc or actor; a change is one of its status or its children |

1. Open the stream first, read the mesh when \`snapshot\` comes, then apply what follows: nothing is missed. An event gives
   the new state, so one whose news you have already read does no harm.
2. After a break send the last \`id\` as \`Last-Event-ID\`: what you missed follows, or one \`snapshot\`.
3. Memory, queues and counters change without an event: read the node. A comment comes every few seconds of silence; when
   it stays away, the connection is dead.

## Stacks and profiles

\`\`\`sh
curl -s -H "Authorization: Bearer $TOKEN" {base}/v1/pyspy/{encoded_proc_ref}
curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -o profile.svg \\
  -d '{"duration_s":5,"rate_hz":100,"native":false,"threads":true,"nonblocking":false}' \\
  {base}/v1/pyspy_profile_svg/{encoded_proc_ref}
\`\`\`

- A dump answers 200 with one of \`Ok\`, \`BinaryNotFound\`, \`Failed\`. \`Ok\` has \`pid\`, \`binary\`, \`capture_mode\`,
  \`stack_traces\` (one per thread, \`frames\` innermost first, \`active\`, \`owns_gil\`) and \`warnings\`.
- \`capture_mode\` is \`python_only\`, \`native\` or \`native_all\`. A stack without native frames is only then a proof that
  there are none when native frames were captured.
- Two dumps a few seconds apart that end in the same frame: that is where it hangs. No thread with \`owns_gil\` and none
  active: it waits.
- A profile needs all five options: \`duration_s\` 1 to ${PROFILE_MAX_S}, \`rate_hz\` 1 to 1000, and not both \`native\` and
  \`nonblocking\`. A process that is idle all the time gives \`profile_failed\`: take a dump instead.

## Stored dumps and SQL

\`\`\`sh
curl -s -X POST -H "Authorization: Bearer $TOKEN" {base}/v1/pyspy_dump/{encoded_proc_ref}
curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{"sql":"SELECT name, filename, line FROM pyspy_frames ORDER BY frame_depth LIMIT 20"}' {base}/v1/query
\`\`\`

- One read-only statement per request. \`SELECT table_name FROM information_schema.tables\` lists the tables.
- \`pyspy_dumps\`, \`pyspy_stack_traces\`, \`pyspy_frames\` and \`pyspy_local_variables\` are joined by \`dump_id\`.
- \`snapshots\` has one row per capture of the topology; \`nodes\`, \`children\` and the tables per kind are joined by
  \`snapshot_id\` and \`node_id\`.
- Times are microseconds since 1970, UTC. 64-bit integers are bare numbers: read them with a parser that keeps them.

## Self-test

One point each:

1. \`GET {base}/v1/schema\` is 200 and JSON, and its \`$id\` contains \`v1\`.
2. \`GET {base}/v1/schema/error\` is 200 and JSON with a \`$id\`.
3. \`GET {base}/v1/root\` is 200, its \`properties\` has the key \`Root\`, its \`children\` is not empty.
4. The first child, percent-encoded, resolves with one of the five keys in \`properties\`.
5. The \`parent\` of that child is not null.
6. The root answer validates against the schema.
7. The child's answer validates against it too.
8. \`GET {base}/v1/nonexistent_ref_xxxx\` has a JSON body with \`error.code\`.
9. That code is exactly \`not_found\`.
10. None of these bodies contains \`PortId\`, \`PortRef\`, \`MailboxSender\` or \`ChannelTransport\`.
`;
