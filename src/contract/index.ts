/** Everything that crosses a process boundary, once. Imports valibot and nothing else. */
export * from './admin.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './link.ts';
export * from './live.ts';
export * from './location.ts';
export * from './node-payload.ts';
export * from './pyspy.ts';
export * from './query.ts';
export * from './reference.ts';
export * from './store-link.ts';
export * from './tables.ts';
export * from './timestamp.ts';
export * from './tokens.ts';
export * from './uid.ts';
export * from './uuid.ts';
export * from './version.ts';
