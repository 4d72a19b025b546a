/** Bare node:http that sends ready bodies: `bare-http.ts BODIES`, a file of JSON with pairs of path and body. Tells its URL. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const bodies = new Map<string, string>(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
const server = createServer(({ url = '' }, response) => {
  const body = bodies.get(url) ?? '';
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  response.writeHead(200, headers).end(body);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.on('message', () => process.send?.(`http://127.0.0.1:${port}`));
});
