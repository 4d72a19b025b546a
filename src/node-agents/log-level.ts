/** How much a line of an agent's log matters to whoever reads it. */
export type LogLevel = 'info' | 'warn' | 'error';
