/** The schemas, the OpenAPI document, and the guide to the API. */
import type { DocumentName, Documents } from '../../ports.ts';
import { baseUrl } from '../base-url.ts';
import { jsonResponse, textResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

export function serveDocument(documents: Documents, name: Exclude<DocumentName, 'SKILL.md'>): Handler {
  return async (c) => jsonResponse(c.req.raw, await documents(name));
}

/** `GET /SKILL.md`: the guide, with the URL under which the reader reached this gateway. */
export function serveSkill(documents: Documents): Handler {
  return async (c) => {
    const base = baseUrl(c);
    const text = (await documents('SKILL.md')).replaceAll('{base}', () => base);
    return textResponse(c.req.raw, text, 'text/markdown; charset=utf-8');
  };
}
