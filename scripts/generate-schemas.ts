/**
 * Writes src/contract/generated/schemas.ts: the three schema documents that the gateway serves and its OpenAPI document,
 * all derived from the valibot schemas of the contract (SC-1); and assets/, which holds them and the guide as files. Run
 * `node scripts/generate-schemas.ts` after changing one; a test fails while what is committed is not what this makes (SC-2).
 *
 * The documents describe the structure that every client of a mesh admin API knows. Three things of the valibot schemas
 * are therefore left out: fields that meshscope adds (`process`, `columns`; objects are open, so they stay valid), the
 * bounds of JavaScript integers, and the patterns of text (timestamps, references, UUIDs are plain strings here). That
 * nothing else is left out is what test/contract/schema-agreement.test.ts shows.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import * as contract from '../src/contract/index.ts';
import { errorComponents } from './openapi-errors.ts';
import { openApiRequests, SECURITY_SCHEMES } from './openapi-paths.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Document = Record<string, Json>;

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
/** Identifiers that clients of mesh admin servers know these schemas by. */
const ID_BASE = 'https://monarch.meta.com/schemas/v1';
const ADDED_FIELDS: ReadonlySet<string> = new Set(['process', 'columns']);
const NOTHING: ReadonlySet<string> = new Set();

const NODE_DEFINITIONS = {
  ActiveHandler: contract.ActiveHandler,
  Execution: contract.Execution,
  FailureInfo: contract.FailureInfo,
  InboundOrdering: contract.InboundOrdering,
  NodeProperties: contract.NodeProperties,
  OrderingSessionSnapshot: contract.OrderingSessionSnapshot,
  ProcDebugStats: contract.ProcDebugStats,
  ProcessMemoryStats: contract.ProcessMemoryStats,
};
const PYSPY_DEFINITIONS = {
  PySpyCaptureMode: contract.PySpyCaptureMode,
  PySpyFrame: contract.PySpyFrame,
  PySpyLocalVariable: contract.PySpyLocalVariable,
  PySpyStackTrace: contract.PySpyStackTrace,
};
const LIVE_DEFINITIONS = {
  LiveActor: contract.LiveActor,
  LiveProcess: contract.LiveProcess,
  LiveStatus: contract.LiveStatus,
};

const CAPTURE_MODES: Readonly<Record<contract.PySpyCaptureMode, string>> = {
  python_only: 'Python frames only; native frames were not captured.',
  native: 'Python frames and the native frames of Python threads.',
  native_all: 'Python frames and native frames, threads without Python included.',
};

/** @param leftOut names of fields that the published form does not have. */
function convert(
  schema: v.GenericSchema,
  title: string,
  definitions: Record<string, v.GenericSchema> = {},
  leftOut = ADDED_FIELDS,
): Document {
  const raw: unknown = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
    errorMode: 'ignore',
    definitions,
  });
  const { $schema: _, ...rest } = tidy(JSON.parse(JSON.stringify(raw)), leftOut) as Document;
  return { $schema: DRAFT, title, ...rest };
}

/** Brings a converted schema into the published form, from the leaves up. */
function tidy(json: Json, leftOut: ReadonlySet<string>): Json {
  if (Array.isArray(json)) return json.map((item) => tidy(item, leftOut));
  if (typeof json !== 'object' || json === null) return json;
  const object = json as Document;
  const kept = Object.entries(object).filter(([key]) => key !== 'default' && key !== 'pattern' && key !== 'maximum');
  const tidied = Object.fromEntries(
    kept.map(([key, value]) => [key, key === 'properties' ? fields(value, leftOut) : tidy(value, leftOut)]),
  );
  if (tidied.format === 'int32') delete tidied.minimum;
  if (tidied.format === 'uuid') delete tidied.format;
  if (Array.isArray(tidied.required) && tidied.required.length === 0) delete tidied.required;
  return tidied.anyOf === undefined ? tidied : union(tidied);
}

function fields(properties: Json, leftOut: ReadonlySet<string>): Json {
  const entries = Object.entries(properties as Document).filter(([name]) => !leftOut.has(name));
  return Object.fromEntries(entries.map(([name, schema]) => [name, tidy(schema, leftOut)]));
}

function union(schema: Document): Json {
  const { anyOf, ...rest } = schema;
  const arms = anyOf as readonly Document[];
  const [first = {}, second = {}] = arms;
  if (arms.length === 2 && second.type === 'null') {
    return first.$ref === undefined
      ? { ...rest, ...first, type: [first.type ?? null, 'null'] }
      : { ...rest, anyOf: arms };
  }
  return { ...rest, oneOf: arms };
}

/** Moves a document's definitions next to it and points at them there, as OpenAPI wants it. */
function asComponents(name: string, document: Document): Document {
  const { $schema: _, $id: __, $defs = {}, ...rest } = document;
  const text = JSON.stringify({ ...($defs as Document), [name]: rest });
  return JSON.parse(text.replaceAll('#/$defs/', '#/components/schemas/'));
}

function profileOpts(): Document {
  const document = convert(contract.PySpyProfileOpts, 'PySpyProfileOpts');
  const properties = document.properties as Record<string, Document>;
  return {
    ...document,
    description: `\`duration_s\` is at most ${contract.PROFILE_MAX_S}; \`native\` and \`nonblocking\` cannot both be true.`,
    properties: {
      ...properties,
      duration_s: { ...properties.duration_s, minimum: 1 },
      rate_hz: { ...properties.rate_hz, minimum: 1, maximum: contract.PROFILE_RATE_MAX_HZ },
    },
  };
}

function pyspyResult(): Document {
  const document = convert(contract.PySpyResult, 'PySpyResult', PYSPY_DEFINITIONS);
  const modes = Object.entries(CAPTURE_MODES).map(([mode, description]) => ({
    type: 'string',
    const: mode,
    description,
  }));
  return { ...document, $defs: { ...(document.$defs as Document), PySpyCaptureMode: { oneOf: modes } } };
}

export interface GeneratedSchemas {
  readonly NODE_PAYLOAD_SCHEMA: Document;
  readonly ADMIN_INFO_SCHEMA: Document;
  readonly API_ERROR_SCHEMA: Document;
  readonly OPENAPI_DOCUMENT: Document;
}

export function generateSchemas(): GeneratedSchemas {
  const node = convert(contract.NodePayload, 'NodePayload', NODE_DEFINITIONS);
  const admin = convert(contract.AdminInfo, 'AdminInfo');
  const error = convert(contract.ApiErrorEnvelope, 'ApiErrorEnvelope', { ApiError: contract.ApiError });
  const schemas = {
    ...asComponents('NodePayload', node),
    ...asComponents('AdminInfo', admin),
    ...asComponents('ApiErrorEnvelope', error),
    ...asComponents('PySpyResult', pyspyResult()),
    ...asComponents('PySpyProfileOpts', profileOpts()),
    ...asComponents('ConfigDumpResult', convert(contract.ConfigDumpResult, 'ConfigDumpResult')),
    ...asComponents('LiveEvent', convert(contract.LiveEvent, 'LiveEvent', LIVE_DEFINITIONS, NOTHING)),
    ...asComponents('QueryRequest', convert(contract.QueryRequest, 'QueryRequest')),
    ...asComponents('QueryResponse', convert(contract.QueryResponse, 'QueryResponse')),
    ...asComponents(
      'PyspyDumpAndStoreResponse',
      convert(contract.PyspyDumpAndStoreResponse, 'PyspyDumpAndStoreResponse'),
    ),
  };
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    NODE_PAYLOAD_SCHEMA: { $id: `${ID_BASE}/node_payload`, ...node },
    ADMIN_INFO_SCHEMA: { $id: `${ID_BASE}/admin_info`, ...admin },
    API_ERROR_SCHEMA: { $id: `${ID_BASE}/error`, ...error },
    OPENAPI_DOCUMENT: {
      openapi: '3.1.0',
      info: {
        title: 'meshscope mesh admin API',
        version: '1.0.0',
        description:
          'What a mesh of processes is doing right now. Nodes are named by references; start at /v1/root and follow ' +
          '`children`. Every error is an ApiErrorEnvelope, also on paths that are not listed; decide on `error.code`. ' +
          'HEAD works where GET does.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      ...(openApiRequests() as Document),
      components: {
        schemas: sorted,
        ...(errorComponents() as Document),
        securitySchemes: SECURITY_SCHEMES as Document,
      },
    },
  };
}

/** The text of the generated module. */
export function renderModule(schemas: GeneratedSchemas): string {
  const constants = Object.entries(schemas).map(
    ([name, document]) => `export const ${name}: JsonDocument = ${JSON.stringify(document, null, 1)};\n`,
  );
  return [
    '// biome-ignore-all format: generated\n',
    '// biome-ignore-all lint: generated\n',
    '/** Generated from the schemas beside it by scripts/generate-schemas.ts. Do not edit. */\n',
    'type JsonDocument = Readonly<Record<string, unknown>>;\n\n',
    constants.join('\n'),
  ].join('');
}

export const GENERATED_FILE = fileURLToPath(new URL('../src/contract/generated/schemas.ts', import.meta.url));

export const ASSETS_FOLDER = fileURLToPath(new URL('../assets/', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(GENERATED_FILE, renderModule(generateSchemas()));
  // Only now, for it reads what has just been written.
  const { listDocuments } = await import('../src/edge-gateway/http/documents/in-memory.ts');
  for (const [name, text] of Object.entries(listDocuments())) writeFileSync(ASSETS_FOLDER + name, text);
}
