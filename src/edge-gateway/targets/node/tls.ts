/**
 * TLS on Node. With a CA every client must show a certificate that it signed: a connection without one ends in the
 * handshake, before any HTTP. The name in a certificate (its CN, else its alternative names, else its fingerprint) is who the
 * request comes from, unless it brings a token.
 */
import { createSecureContext, type PeerCertificate, TLSSocket } from 'node:tls';
import { failure, type Outcome, success } from '../../../base/index.ts';

/** PEM texts. */
export interface NodeTls {
  /** The server's certificate, with those between it and its CA. */
  readonly cert: string;
  readonly key: string;
  /** CA of the client certificates. Default: clients need none. */
  readonly ca?: string;
}

/** What `https.createServer` takes. Fails with `bad_request` when certificate, key or CA cannot be used. */
export function tlsOptions({ cert, key, ca }: NodeTls): Outcome<object> {
  try {
    createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  } catch (error) {
    return failure('bad_request', `TLS certificate, key or CA: ${(error as Error).message}`);
  }
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    return failure('bad_request', 'TLS CA: there is no PEM certificate in it');
  }
  const clients = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
  return success({ cert, key, minVersion: 'TLSv1.2', ...clients });
}

const names = new WeakMap<TLSSocket, string | null>();

/** The name in the client's verified certificate; undefined when the connection has none. */
export function peerOf({ socket }: { readonly socket: unknown }): { readonly peer?: string } {
  if (!(socket instanceof TLSSocket)) return {};
  let name = names.get(socket);
  if (name === undefined) {
    name = socket.authorized ? nameIn(socket.getPeerCertificate()) : null;
    names.set(socket, name);
  }
  return name === null ? {} : { peer: name };
}

function nameIn({ subject, subjectaltname, fingerprint256 }: PeerCertificate): string {
  const common: string | string[] | undefined = subject?.CN;
  return (Array.isArray(common) ? common.join('+') : common) || subjectaltname || fingerprint256;
}
