/** `GET /v1/{reference}`: one node of the mesh. */
import type { Outcome } from '../../../base/index.ts';
import type { Mesh } from '../../ports.ts';
import type { GatewaySelf } from '../../self.ts';
import { captureReference } from '../path.ts';
import { failureResponse, jsonResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

export function readNode(mesh: Mesh, self: GatewaySelf): Handler {
  const answer = (request: Request, reference: string, read: Outcome<string>): Response => {
    if (read.ok) return jsonResponse(request, read.value);
    const own = read.failure.code === 'not_found' ? self.read(reference) : null;
    return own === null ? failureResponse(request, read.failure) : jsonResponse(request, own);
  };
  // Not async: most nodes are at hand, and then so is the answer.
  return (c, rest) => {
    const request = c.req.raw;
    const captured = captureReference(rest, 'reference');
    if (!captured.ok) return failureResponse(request, captured.failure);
    const { reference } = captured.value;
    const read = mesh.read(reference, request);
    if (read instanceof Promise) return read.then((outcome) => answer(request, reference, outcome));
    return answer(request, reference, read);
  };
}
