/**
 * The least that a relay of dumps can be, as a process: `bare-relay.ts`. One WebSocket dials it; each HTTP request asks it
 * for an answer by one message, and is answered with the texts that come until an empty one. Its parent may ask it for
 * `url` and `delay`.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { watchLoopDelay } from './loop-delay.ts';

const waiting: ServerResponse[] = [];
let parts: string[] = [];
const delay = watchLoopDelay();
const server = createServer((request, response) => {
  waiting.push(response);
  for (const client of sockets.clients) client.send(request.url ?? '');
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => {
  socket.on('message', (data) => {
    const part = String(data);
    if (part !== '') return void parts.push(part);
    const body = Buffer.from(parts.join(''));
    parts = [];
    waiting.shift()?.writeHead(200, { 'content-length': body.length }).end(body);
  });
});
server.listen(0, '127.0.0.1');
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (question) => {
  if (question === 'url') process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  if (question === 'delay') process.send?.(delay());
});
