/**
 * The conformance suite: what a gateway is, whatever it runs on. A runtime's test file calls this with a way to start
 * one, and does nothing else. Cases that need to look inside a process, or that are about one server, stand elsewhere.
 */
import { describe } from 'vitest';
import { accessCases } from './access.ts';
import { backpressureCases } from './backpressure.ts';
import { callCases } from './calls.ts';
import { drainCases } from './drain.ts';
import { eventCases } from './events.ts';
import { frameCases } from './frames.ts';
import { linkCases } from './link.ts';
import { matrixCases } from './matrix.ts';
import { payloadCases } from './payloads.ts';
import { requestCases } from './requests.ts';
import { routeCases } from './routes.ts';
import type { Capabilities, Start } from './start.ts';
import { storeLinkCases } from './store-link.ts';
import { tokenCases } from './tokens.ts';
import { waitCases } from './waits.ts';

/** @param name the runtime's. @param start see `Start`. */
export function conformance(name: string, start: Start, capabilities: Capabilities): void {
  describe(`a gateway on ${name}`, () => {
    describe('routes', () => routeCases(start, capabilities));
    describe('requests', () => requestCases(start, capabilities));
    describe('access', () => accessCases(start));
    describe('tokens', () => tokenCases(start));
    describe('every route with every token', () => matrixCases(start));
    describe('payloads', () => payloadCases(start));
    describe('links', () => linkCases(start));
    describe('frames', () => frameCases(start));
    describe('calls', () => callCases(start));
    describe('the link of a store', () => storeLinkCases(start));
    describe('live updates', () => eventCases(start));
    describe('backpressure', () => backpressureCases(start));
    describe.concurrent('waits that are over', () => waitCases(start));
    if (capabilities.drains) describe('a planned stop', () => drainCases(start));
  });
}
