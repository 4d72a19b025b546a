/** `GET /v1/tree`: the mesh as text for people. */
import type { Mesh } from '../../ports.ts';
import { baseUrl } from '../base-url.ts';
import { failureResponse, textResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

export function showTree(mesh: Mesh): Handler {
  return async (c) => {
    const text = await mesh.tree(baseUrl(c));
    if (!text.ok) return failureResponse(c.req.raw, text.failure);
    return textResponse(c.req.raw, text.value, 'text/plain; charset=utf-8');
  };
}
