/** The paths of the OpenAPI document: one operation each, with every status it can answer. */

const ERROR_TEXTS: Readonly<Record<number, string>> = {
  400: 'The input is wrong: an empty or undecodable reference, something that is not a proc reference where one is needed, bad JSON, or options out of range.',
  401: 'A token is needed, or the token is wrong.',
  403: 'The Host or Origin header is not allowed.',
  404: 'Nothing of that name is there.',
  413: 'The body is larger than 2 MiB.',
  415: 'The body is not declared as JSON.',
  422: 'The JSON has the wrong shape; the message names the field.',
  500: 'Something failed here, on the host, or in the telemetry service; the code says where.',
  503: 'A bound was reached (see Retry-After), or py-spy is not installed on the host.',
  504: 'The host or its agent did not answer in time.',
};

interface Operation {
  readonly path: string;
  readonly method: 'get' | 'post';
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameter?: 'reference' | 'proc_reference';
  readonly body?: string;
  /** Takes the `Last-Event-ID` header. */
  readonly lastEventId?: boolean;
  /** Content of the 200 answer. */
  readonly content: Readonly<Record<string, unknown>>;
  readonly errors: readonly number[];
}

const ACCESS = [401, 403];
const BODY = [413, 415, 422];

function reference(name: string): Readonly<Record<string, unknown>> {
  return { $ref: `#/components/schemas/${name}` };
}

function json(name: string): Readonly<Record<string, unknown>> {
  return { 'application/json': { schema: reference(name) } };
}

const CONFIG_CONTENT = {
  'application/json': {
    schema: {
      type: 'object',
      properties: {
        entries: {
          type: 'array',
          items: {
            type: 'object',
            properties: {
              name: { type: 'string' },
              value: { type: 'string' },
              default_value: { type: ['string', 'null'] },
              source: { type: 'string' },
              changed_from_default: { type: 'boolean' },
              env_var: { type: ['string', 'null'] },
            },
          },
        },
      },
    },
  },
};

const OPERATIONS: readonly Operation[] = [
  {
    path: '/v1/admin',
    method: 'get',
    id: 'getAdminInfo',
    summary: 'What this server says of itself',
    description: 'Its own actor and proc in the mesh, and the URL it is reached by.',
    content: json('AdminInfo'),
    errors: ACCESS,
  },
  {
    path: '/v1/config/{proc_reference}',
    method: 'get',
    id: 'getConfig',
    summary: 'Configuration of a proc',
    description: 'Effective values, defaults and where each value came from, sorted by name.',
    parameter: 'proc_reference',
    content: CONFIG_CONTENT,
    errors: [400, ...ACCESS, 404, 500, 503, 504],
  },
  {
    path: '/v1/events',
    method: 'get',
    id: 'followEvents',
    summary: 'Live updates of topology and status',
    description:
      'Server-sent events without end: each `data` is a JSON object with a `type`, each `id` goes into the Last-Event-ID ' +
      'header of a client that comes back. An event `snapshot` says to read the mesh again, from /v1/root.',
    lastEventId: true,
    content: { 'text/event-stream': { schema: { type: 'string' } } },
    errors: [...ACCESS, 500, 503],
  },
  {
    path: '/v1/pyspy/{proc_reference}',
    method: 'get',
    id: 'getPyspy',
    summary: 'Python stacks of a proc, now',
    description: 'Answers 200 whatever became of the dump: Ok, BinaryNotFound or Failed.',
    parameter: 'proc_reference',
    content: json('PySpyResult'),
    errors: [400, ...ACCESS, 404, 500, 503, 504],
  },
  {
    path: '/v1/pyspy_dump/{proc_reference}',
    method: 'post',
    id: 'pyspyDumpAndStore',
    summary: 'Take the Python stacks of a proc and store them',
    description: 'Only a dump that was captured is stored. A body is not looked at.',
    parameter: 'proc_reference',
    content: json('PyspyDumpAndStoreResponse'),
    errors: [400, ...ACCESS, 404, 500, 503, 504],
  },
  {
    path: '/v1/pyspy_profile_svg/{proc_reference}',
    method: 'post',
    id: 'pyspyProfileSvg',
    summary: 'Profile a proc, as a flame graph',
    description: 'Samples for duration_s seconds (at most 300) and answers when the flame graph is drawn.',
    parameter: 'proc_reference',
    body: 'PySpyProfileOpts',
    content: { 'image/svg+xml': {} },
    errors: [400, ...ACCESS, 404, ...BODY, 500, 503, 504],
  },
  {
    path: '/v1/query',
    method: 'post',
    id: 'queryProxy',
    summary: 'SQL over stored events, snapshots and dumps',
    description: 'One read-only statement. 64-bit integers are bare JSON numbers.',
    body: 'QueryRequest',
    content: json('QueryResponse'),
    errors: [400, ...ACCESS, 404, ...BODY, 500, 503, 504],
  },
  {
    path: '/v1/root',
    method: 'get',
    id: 'getRoot',
    summary: 'The root node',
    content: json('NodePayload'),
    errors: [...ACCESS, 500, 503, 504],
  },
  {
    path: '/v1/schema',
    method: 'get',
    id: 'getSchema',
    summary: 'JSON Schema of NodePayload',
    content: { 'application/json': {} },
    errors: ACCESS,
  },
  {
    path: '/v1/schema/admin',
    method: 'get',
    id: 'getAdminSchema',
    summary: 'JSON Schema of AdminInfo',
    content: { 'application/json': {} },
    errors: ACCESS,
  },
  {
    path: '/v1/schema/error',
    method: 'get',
    id: 'getErrorSchema',
    summary: 'JSON Schema of the error envelope',
    content: { 'application/json': {} },
    errors: ACCESS,
  },
  {
    path: '/v1/tree',
    method: 'get',
    id: 'getTree',
    summary: 'The whole mesh as text, a link per line',
    content: { 'text/plain': {} },
    errors: [...ACCESS, 500, 503, 504],
  },
  {
    path: '/v1/{reference}',
    method: 'get',
    id: 'resolveReference',
    summary: 'Any node by its reference',
    parameter: 'reference',
    content: json('NodePayload'),
    errors: [400, ...ACCESS, 404, 500, 503, 504],
  },
];

const PARAMETER_TEXTS = {
  reference: 'Percent-encoded reference of a node, as found in `children`.',
  proc_reference: 'Percent-encoded reference of a proc.',
};

export function openApiPaths(): Readonly<Record<string, unknown>> {
  return Object.fromEntries(OPERATIONS.map((operation) => [operation.path, { [operation.method]: render(operation) }]));
}

const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The `id` of the last event that was read: the events after it follow.',
  schema: { type: 'string' },
};

function render({ id, summary, description, parameter, body, lastEventId, content, errors }: Operation): unknown {
  const failures = errors.map((status) => [
    String(status),
    { description: ERROR_TEXTS[status], content: json('ApiErrorEnvelope') },
  ]);
  return {
    summary,
    operationId: id,
    ...(description === undefined ? {} : { description }),
    ...(parameter === undefined
      ? {}
      : {
          parameters: [
            {
              name: parameter,
              in: 'path',
              required: true,
              description: PARAMETER_TEXTS[parameter],
              schema: { type: 'string' },
            },
          ],
        }),
    ...(lastEventId === true ? { parameters: [LAST_EVENT_ID] } : {}),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: reference(body) } } } }),
    responses: Object.fromEntries([['200', { description: 'Success.', content }], ...failures]),
  };
}
