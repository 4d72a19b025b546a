/** Everything that crosses a process boundary, once. Imports valibot, base/ and nothing else. */

export * from '../base/metrics.ts';
export * from '../base/one-line.ts';
export * from '../base/trace.ts';
export * from '../base/uuid.ts';
export * from './admin.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './link.ts';
export * from './live.ts';
export * from './location.ts';
export * from './node-payload.ts';
export * from './packed/layout.ts';
export * from './packed/pack.ts';
export * from './packed/unpack.ts';
export * from './paths.ts';
export * from './pyspy.ts';
export * from './query.ts';
export * from './reference.ts';
export * from './store-link.ts';
export * from './tables.ts';
export * from './timestamp.ts';
export * from './tokens.ts';
export * from './uid.ts';
export * from './version.ts';
