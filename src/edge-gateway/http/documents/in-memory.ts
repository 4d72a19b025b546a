/**
 * The documents that the gateway serves as they are. A runtime that keeps its program small reads them from files, which
 * `scripts/generate-schemas.ts` writes to `assets/`; the others have them in memory.
 */
import {
  ADMIN_INFO_SCHEMA,
  API_ERROR_SCHEMA,
  NODE_PAYLOAD_SCHEMA,
  OPENAPI_DOCUMENT,
} from '../../../contract/generated/schemas.ts';
import type { DocumentName, Documents } from '../../ports.ts';
import { SKILL } from './skill.ts';

/** Every document by name, as the text that is served; `{base}` in the guide stands for the reader's URL. */
export function listDocuments(): Readonly<Record<DocumentName, string>> {
  return {
    'schema.json': JSON.stringify(NODE_PAYLOAD_SCHEMA),
    'schema-admin.json': JSON.stringify(ADMIN_INFO_SCHEMA),
    'schema-error.json': JSON.stringify(API_ERROR_SCHEMA),
    'openapi.json': JSON.stringify(OPENAPI_DOCUMENT),
    'SKILL.md': SKILL,
  };
}

export function documentsInMemory(): Documents {
  const documents = listDocuments();
  return (name) => documents[name];
}
