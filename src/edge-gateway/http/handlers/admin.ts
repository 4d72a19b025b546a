/** `GET /v1/admin`: the gateway's own place in the mesh. */
import type { GatewaySelf } from '../../self.ts';
import { jsonResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

export function describeAdmin(self: GatewaySelf): Handler {
  return (c) => jsonResponse(c.req.raw, JSON.stringify(self.adminInfo()));
}
