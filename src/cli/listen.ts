/** Where the parts listen, and what may be listened on without TLS. */
import { isIP } from 'node:net';
import type { Failure } from '../base/index.ts';
import { flag, type Invocation, text } from './command.ts';
import { CommandError, usageError } from './exit.ts';
import { LIMITS } from './limits.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const LISTEN_OPTIONS = {
  host: { type: 'string' },
  port: { type: 'string' },
  insecure: { type: 'boolean' },
} as const;

/** @param isEncrypted whether the part serves TLS by itself; then any address will do. Default false */
export function readAddress(invocation: Invocation, defaultPort: number, isEncrypted = false): Address {
  const host = text(invocation, 'host') ?? '127.0.0.1';
  const port = readNumber(invocation, 'port', defaultPort, 0, 65_535);
  if (!isEncrypted && !isLoopback(host) && !flag(invocation, 'insecure')) {
    throw usageError(
      `--host ${host} can be reached from other machines, and the traffic, tokens included, is not encrypted: leave it ` +
        'on loopback behind a TLS proxy, with --allow-host NAME for the name that the proxy serves, or say --insecure on a ' +
        'network that you trust',
    );
  }
  return { host, port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** A whole number given as an option, within its bounds. */
export function readNumber(invocation: Invocation, name: string, otherwise: number, min: number, max: number): number {
  const given = text(invocation, name);
  if (given === undefined) return otherwise;
  const number = Number(given);
  if (given.trim() === '' || !Number.isInteger(number) || number < min || number > max) {
    throw usageError(`--${name} ${given}: must be a whole number from ${min} to ${max}`);
  }
  return number;
}

/** Whether a part failed to start because its port is taken. */
export function isPortTaken(failure: Failure): boolean {
  return (failure.details as { readonly errno?: unknown } | undefined)?.errno === 'EADDRINUSE';
}

/** The end of a command whose port is taken: by what kind of thing, and what to do. */
export async function portTaken(address: Address): Promise<CommandError> {
  const base = `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
  return new CommandError(
    `port ${address.port} on ${address.host} is taken by ${await describeListener(base)}; stop it, or choose another port: ` +
      '--port N, or --port 0 for a free one',
  );
}

async function describeListener(base: string): Promise<string> {
  try {
    const answer = await fetch(`${base}/healthz`, { signal: AbortSignal.timeout(LIMITS.probe_ms), redirect: 'manual' });
    const body = await answer.text();
    const part = /"service"\s*:\s*"(meshscope-[a-z]+)"/.exec(body)?.[1];
    if (part !== undefined) return `another ${part.replace('-', ' ')}`;
    const server = answer.headers.get('server');
    return server === null ? 'an HTTP server that is not meshscope' : `an HTTP server (${server})`;
  } catch {
    return 'a program that does not answer HTTP';
  }
}
