/**
 * The conformance suite: what a gateway is, whatever it runs on. A runtime's test file calls this with a way to start
 * one, and does nothing else. Cases that need to look inside a process, or that are about one server, stand elsewhere.
 */
import { describe } from 'vitest';
import { accessCases } from './access.ts';
import { linkCases } from './link.ts';
import { payloadCases } from './payloads.ts';
import { requestCases } from './requests.ts';
import { routeCases } from './routes.ts';
import type { Capabilities, Start } from './start.ts';

/** @param name the runtime's. @param start see `Start`. */
export function conformance(name: string, start: Start, capabilities: Capabilities): void {
  describe(`a gateway on ${name}`, () => {
    describe('routes', () => routeCases(start));
    describe('requests', () => requestCases(start, capabilities));
    describe('access', () => accessCases(start));
    describe('payloads', () => payloadCases(start));
    describe('links', () => linkCases(start));
  });
}
