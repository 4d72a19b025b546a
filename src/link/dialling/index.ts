/** The side of a link that dials a gateway, on Node. Start reading at `dialler.ts`. */
export { Connection, type ConnectionEnd } from './connection.ts';
export { type Dialler, type DiallerEvents, keepDialling } from './dialler.ts';
export { type DialOptions, type DialTarget, type DialTls, linkUrl } from './options.ts';
