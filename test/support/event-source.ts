/** A client of `/v1/events` over a real socket, which can also stop reading. Every event has to fit its schema. */
import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { EVENTS_PATH, LiveEvent } from '../../src/contract/index.ts';
import { answerError } from './answers.ts';

export interface ReceivedEvent {
  readonly id: string;
  readonly data: LiveEvent;
}

export class EventSource {
  readonly events: ReceivedEvent[] = [];
  readonly headers: IncomingHttpHeaders;
  heartbeats = 0;
  received_bytes = 0;
  isOver = false;
  readonly #request: ClientRequest;
  readonly #response: IncomingMessage;
  #rest = '';

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    this.#response = response;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#take(text));
    response.on('error', () => {});
    response.on('close', () => {
      this.isOver = true;
    });
  }

  /** @param after the `Last-Event-ID` to send, default none */
  static open(url: string, after?: string, headers: Readonly<Record<string, string>> = {}): Promise<EventSource> {
    return new Promise((resolve, reject) => {
      const last = after === undefined ? {} : { 'last-event-id': after };
      const request = httpRequest(`${url}${EVENTS_PATH}`, { headers: { ...last, ...headers }, agent: false });
      request.on('error', reject);
      request.on('response', (response) => {
        const { statusCode: status = 0, headers: given } = response;
        const header = (name: string) => String(given[name.toLowerCase()] ?? '') || null;
        const error = answerError({ method: 'GET', path: EVENTS_PATH, status, header, body: null });
        if (error !== null) return reject(new Error(error));
        if (status === 200) return resolve(new EventSource(request, response));
        response.resume();
        reject(new Error(`HTTP ${status}`));
      });
      request.end();
    });
  }

  get lastId(): string {
    return this.events.at(-1)?.id ?? '';
  }

  /** `type label`, the label being what stands before the location. */
  get told(): string[] {
    return this.events.map(({ data }) =>
      data.type === 'snapshot' ? `snapshot ${data.reason}` : `${data.type} ${data.reference.replace(/@.*/, '')}`,
    );
  }

  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  close(): void {
    this.#request.socket?.resetAndDestroy();
  }

  #take(text: string): void {
    this.received_bytes += text.length;
    const frames = (this.#rest + text).split('\n\n');
    this.#rest = frames.pop() ?? '';
    for (const frame of frames) {
      if (frame === ': heartbeat') this.heartbeats += 1;
      const [, id = '', type, data = ''] = /^id: (\S+)\nevent: (\S+)\ndata: (.*)$/.exec(frame) ?? [];
      if (type === undefined) continue;
      const event = v.parse(LiveEvent, JSON.parse(data));
      if (event.type !== type) throw new Error(`the event ${type} holds a ${event.type}`);
      this.events.push({ id, data: event });
    }
  }
}
