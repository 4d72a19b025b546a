/** What every part stands on. Imports nothing of ours, and no runtime: it serves in browsers and Workers too. */
export * from './error-message.ts';
export * from './log.ts';
export * from './metrics.ts';
export * from './one-line.ts';
export * from './outcome.ts';
export * from './read-bounded.ts';
export * from './retry.ts';
export * from './rows.ts';
export * from './self-report.ts';
export * from './sleep.ts';
export * from './timestamp.ts';
export * from './trace.ts';
export * from './uuid.ts';
