/** The paths of the OpenAPI document: one operation each, with every status it can answer. `HEAD` goes with `GET`. */
import { ANY_REQUEST, errorResponses, GUARDED, JSON_BODY, MESH, NODE } from './openapi-errors.ts';

type Json = Readonly<Record<string, unknown>>;

interface Operation {
  readonly path: string;
  readonly method: 'get' | 'post';
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Json[];
  readonly body?: Json;
  /** Default: what the document says of all operations. */
  readonly security?: readonly Json[];
  /** The answer of success. */
  readonly success: Json;
  readonly errors: readonly number[];
}

const TAGS = {
  topology: 'What there is: hosts, procs, actors.',
  processes: 'Stacks, profiles and configuration of one process, asked of its host.',
  telemetry: 'What is stored, by SQL.',
  links: 'How host agents and the telemetry service reach this server.',
  about: 'This server and its contract.',
};

/** Where `--anonymous` lets one in without a token, the last alternative is open. */
const SECURITY: readonly Json[] = [{ bearer: [] }, { mutualTLS: [] }, {}];

function ok(content: Json, description = 'Success.'): Json {
  return { '200': { description, content } };
}

function opened(description: string): Json {
  return {
    '101': { description },
    default: { description: 'Anything else is a refusal.', content: json('ApiErrorEnvelope') },
  };
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function json(name: string): Json {
  return { 'application/json': { schema: reference(name) } };
}

const TEXT = { type: 'string' };
const JSON_SCHEMA = {
  'application/json': {
    schema: { type: 'object', required: ['$id', '$schema'], properties: { $id: TEXT, $schema: TEXT } },
  },
};
const OPENAPI = {
  'application/json': {
    schema: {
      type: 'object',
      required: ['openapi', 'paths'],
      properties: { openapi: TEXT, paths: { type: 'object' } },
    },
  },
};

function parameter(name: string, description: string, example: string): Json {
  return { name, in: 'path', required: true, description, schema: { type: 'string' }, example };
}

const REFERENCE = parameter(
  'reference',
  'Percent-encoded reference of a node, as found in `children`.',
  'host:host_agent.service@ipc://gpu-7',
);
const PROC_REFERENCE = parameter(
  'proc_reference',
  'Percent-encoded reference of a proc.',
  'trainer-0<BLs6T7ZaDRB>@ipc://gpu-7',
);
const LOCALS = {
  name: 'locals',
  in: 'query',
  required: false,
  description: 'Whether to take the values of local variables too. They may hold secrets.',
  schema: { type: 'boolean', default: false },
};
const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The `id` of the last event that was read: the events after it follow.',
  schema: { type: 'string' },
};
const LINK_HOST = {
  name: 'host',
  in: 'query',
  required: false,
  description: 'The host that the link is for; its `hello` must name the same.',
  schema: { type: 'string' },
  example: 'gpu-7',
};

/** Bytes of a stream, of which `contentSchema` describes the `data` of each event. */
const EVENT_STREAM = {
  'text/event-stream': {
    schema: { type: 'string', contentMediaType: 'application/json', contentSchema: reference('LiveEvent') },
  },
};

const COUNT = { type: 'integer', minimum: 0 };
const HEALTH = {
  'application/json': {
    schema: {
      type: 'object',
      required: ['ok', 'service', 'hosts', 'links', 'telemetry'],
      properties: {
        ok: { const: true },
        service: { type: 'string' },
        telemetry: { type: 'boolean', description: 'Whether a store is configured.' },
        hosts: COUNT,
        links: COUNT,
      },
    },
  },
};

const OPERATIONS: readonly Operation[] = [
  {
    path: '/SKILL.md',
    method: 'get',
    id: 'getGuide',
    tag: 'about',
    summary: 'The guide to this API',
    success: ok({ 'text/markdown': {} }),
    errors: GUARDED,
  },
  {
    path: '/healthz',
    method: 'get',
    id: 'getHealth',
    tag: 'about',
    summary: 'Whether this server is up, and what it counts',
    security: [],
    success: ok(HEALTH),
    errors: [...ANY_REQUEST, 503, 504],
  },
  {
    path: '/metrics',
    method: 'get',
    id: 'getMetrics',
    tag: 'about',
    summary: 'What this server measures of itself',
    description: 'The Prometheus text format. On Workers, the counts of the mesh alone.',
    success: ok({ 'text/plain': {} }),
    errors: MESH,
  },
  {
    path: '/v1/admin',
    method: 'get',
    id: 'getAdminInfo',
    tag: 'about',
    summary: 'What this server says of itself',
    description: 'Its own actor and proc in the mesh, and the URL it is reached by.',
    success: ok(json('AdminInfo')),
    errors: GUARDED,
  },
  {
    path: '/v1/config/{proc_reference}',
    method: 'get',
    id: 'getConfig',
    tag: 'processes',
    summary: 'Configuration of a proc',
    description: 'Effective values, defaults and where each value came from, sorted by name.',
    parameters: [PROC_REFERENCE],
    success: ok(json('ConfigDumpResult')),
    errors: NODE,
  },
  {
    path: '/v1/events',
    method: 'get',
    id: 'followEvents',
    tag: 'topology',
    summary: 'Live updates of topology and status',
    description:
      'Server-sent events without end: each `data` is a LiveEvent, each `id` goes into the Last-Event-ID header of a ' +
      'client that comes back. An event `snapshot` says to read the mesh again, from /v1/root.',
    parameters: [LAST_EVENT_ID],
    success: ok(EVENT_STREAM),
    errors: MESH,
  },
  {
    path: '/v1/link',
    method: 'get',
    id: 'openLink',
    tag: 'links',
    summary: 'Where host agents dial in, by WebSocket',
    description: 'Subprotocol `meshscope.link.1`. Always needs a token.',
    parameters: [LINK_HOST],
    security: SECURITY.slice(0, 2),
    success: opened('The link is open: the agent says hello.'),
    errors: MESH,
  },
  {
    path: '/v1/openapi.json',
    method: 'get',
    id: 'getOpenApi',
    tag: 'about',
    summary: 'This document',
    success: ok(OPENAPI),
    errors: GUARDED,
  },
  {
    path: '/v1/pyspy/{proc_reference}',
    method: 'get',
    id: 'getPyspy',
    tag: 'processes',
    summary: 'Python stacks of a proc, now',
    description: 'Answers 200 whatever became of the dump: Ok, BinaryNotFound or Failed.',
    parameters: [PROC_REFERENCE, LOCALS],
    success: ok(json('PySpyResult')),
    errors: NODE,
  },
  {
    path: '/v1/pyspy_dump/{proc_reference}',
    method: 'post',
    id: 'pyspyDumpAndStore',
    tag: 'processes',
    summary: 'Take the Python stacks of a proc and store them',
    description: 'Only a dump that was captured is stored. A body is not looked at.',
    parameters: [PROC_REFERENCE, LOCALS],
    success: ok(json('PyspyDumpAndStoreResponse')),
    errors: NODE,
  },
  {
    path: '/v1/pyspy_profile_svg/{proc_reference}',
    method: 'post',
    id: 'pyspyProfileSvg',
    tag: 'processes',
    summary: 'Profile a proc, as a flame graph',
    description: 'Samples for duration_s seconds (at most 300) and answers when the flame graph is drawn.',
    parameters: [PROC_REFERENCE],
    body: json('PySpyProfileOpts'),
    success: ok({ 'image/svg+xml': {} }),
    errors: [...NODE, ...JSON_BODY],
  },
  {
    path: '/v1/query',
    method: 'post',
    id: 'queryProxy',
    tag: 'telemetry',
    summary: 'SQL over stored events, snapshots and dumps',
    description:
      'One read-only statement. 64-bit integers are bare JSON numbers. Accept chooses CSV or an Arrow IPC stream instead of JSON.',
    body: { 'application/json': { schema: reference('QueryRequest'), example: { sql: 'SELECT 1 AS n' } } },
    success: ok({
      'application/json': { schema: reference('QueryResponse'), example: { rows: [{ n: 1 }] } },
      'text/csv': {},
      'application/vnd.apache.arrow.stream': {},
    }),
    errors: [...NODE, ...JSON_BODY],
  },
  {
    path: '/v1/root',
    method: 'get',
    id: 'getRoot',
    tag: 'topology',
    summary: 'The root node',
    success: ok(json('NodePayload')),
    errors: MESH,
  },
  {
    path: '/v1/schema',
    method: 'get',
    id: 'getSchema',
    tag: 'about',
    summary: 'JSON Schema of NodePayload',
    success: ok(JSON_SCHEMA),
    errors: GUARDED,
  },
  {
    path: '/v1/schema/admin',
    method: 'get',
    id: 'getAdminSchema',
    tag: 'about',
    summary: 'JSON Schema of AdminInfo',
    success: ok(JSON_SCHEMA),
    errors: GUARDED,
  },
  {
    path: '/v1/schema/error',
    method: 'get',
    id: 'getErrorSchema',
    tag: 'about',
    summary: 'JSON Schema of the error envelope',
    success: ok(JSON_SCHEMA),
    errors: GUARDED,
  },
  {
    path: '/v1/store',
    method: 'get',
    id: 'openStore',
    tag: 'links',
    summary: 'Where a telemetry service dials in, by WebSocket',
    description: 'Subprotocol `meshscope.store.1`. Always needs a token.',
    security: SECURITY.slice(0, 2),
    success: opened('The link is open: the service says hello.'),
    errors: MESH,
  },
  {
    path: '/v1/tree',
    method: 'get',
    id: 'getTree',
    tag: 'topology',
    summary: 'The whole mesh as text, a link per line',
    success: ok({ 'text/plain': {} }),
    errors: MESH,
  },
  {
    path: '/v1/{reference}',
    method: 'get',
    id: 'resolveReference',
    tag: 'topology',
    summary: 'Any node by its reference',
    parameters: [REFERENCE],
    success: ok(json('NodePayload')),
    errors: NODE,
  },
];

/** The parts of the document that are about requests, its `components` aside. */
export function openApiRequests(): { readonly security: readonly Json[]; readonly tags: Json[]; readonly paths: Json } {
  return {
    security: SECURITY,
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: Object.fromEntries(
      OPERATIONS.map((operation) => [operation.path, { [operation.method]: render(operation) }]),
    ),
  };
}

export const SECURITY_SCHEMES: Json = {
  bearer: { type: 'http', scheme: 'bearer', description: 'The token that the server names at its start.' },
  mutualTLS: { type: 'mutualTLS', description: 'A client certificate, where the server asks for one.' },
};

function render(operation: Operation): Json {
  const { summary, id, tag, description, parameters, body, security, success, errors } = operation;
  return {
    summary,
    operationId: id,
    tags: [tag],
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: body } }),
    ...(security === undefined ? {} : { security }),
    responses: { ...success, ...errorResponses(errors) },
  };
}
