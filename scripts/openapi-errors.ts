/** Refusals and failures in the OpenAPI document: each once, as a component, and which paths can answer which. */

type Json = Readonly<Record<string, unknown>>;

interface ErrorAnswer {
  readonly name: string;
  readonly description: string;
  readonly headers?: readonly string[];
}

const ENVELOPE = { 'application/json': { schema: { $ref: '#/components/schemas/ApiErrorEnvelope' } } };

const HEADERS: Readonly<Record<string, Json>> = {
  Allow: {
    description: 'The methods that this path takes.',
    required: true,
    schema: { type: 'string' },
    example: 'GET,HEAD',
  },
  'Retry-After': {
    description: 'Seconds after which to come again; there when a bound was reached.',
    schema: { type: 'integer', minimum: 1 },
  },
  'WWW-Authenticate': {
    description: 'How to say who you are.',
    required: true,
    schema: { type: 'string' },
    example: 'Bearer realm="meshscope"',
  },
};

const ERRORS: Readonly<Record<number, ErrorAnswer>> = {
  400: {
    name: 'BadRequest',
    description:
      'The input is wrong: an empty or undecodable reference, something that is not a proc reference where one is needed, bad JSON, options out of range, or a head that cannot be read.',
  },
  401: {
    name: 'Unauthorized',
    description: 'A token is needed, or the token is wrong or has expired.',
    headers: ['WWW-Authenticate'],
  },
  403: { name: 'Forbidden', description: 'The Host or Origin header is not allowed, or the token may not do this.' },
  404: { name: 'NotFound', description: 'Nothing of that name is there.' },
  405: { name: 'MethodNotAllowed', description: 'The path takes another method.', headers: ['Allow'] },
  408: { name: 'RequestTimeout', description: 'The request took too long to come.' },
  413: { name: 'PayloadTooLarge', description: 'The body is larger than 2 MiB.' },
  415: { name: 'UnsupportedMediaType', description: 'The body is not declared as JSON.' },
  422: { name: 'Unprocessable', description: 'The JSON has the wrong shape; the message names the field.' },
  431: { name: 'HeadTooLarge', description: 'Request line and headers are too large.' },
  500: {
    name: 'Failed',
    description: 'Something failed here, on the host, or in the telemetry service; the code says where.',
  },
  503: {
    name: 'Unavailable',
    description: 'A bound was reached (then Retry-After is given), or py-spy is not installed on the host.',
    headers: ['Retry-After'],
  },
  504: { name: 'TooLate', description: 'The host or its agent did not answer in time.' },
};

/** What any request can meet, whatever it asks for. */
export const ANY_REQUEST: readonly number[] = [400, 403, 405, 408, 431, 500];
/** ... where a token may be needed. */
export const GUARDED: readonly number[] = [...ANY_REQUEST, 401];
/** ... where the state of the mesh is read. */
export const MESH: readonly number[] = [...GUARDED, 503, 504];
/** ... where one node is asked for. */
export const NODE: readonly number[] = [...MESH, 404];
/** ... where the body is JSON. */
export const JSON_BODY: readonly number[] = [413, 415, 422];

/** The failures of one operation, as references to the components. */
export function errorResponses(statuses: readonly number[]): Json {
  const sorted = [...new Set(statuses)].sort((a, b) => a - b);
  return Object.fromEntries(
    sorted.map((status) => [String(status), { $ref: `#/components/responses/${ERRORS[status]?.name}` }]),
  );
}

/** `components.responses` and `components.headers`. */
export function errorComponents(): { readonly responses: Json; readonly headers: Json } {
  const responses = Object.values(ERRORS).map(({ name, description, headers = [] }) => [
    name,
    {
      description,
      ...(headers.length === 0
        ? {}
        : { headers: Object.fromEntries(headers.map((header) => [header, refTo(header)])) }),
      content: ENVELOPE,
    },
  ]);
  return { responses: Object.fromEntries(responses), headers: HEADERS };
}

function refTo(header: string): Json {
  return { $ref: `#/components/headers/${header}` };
}
