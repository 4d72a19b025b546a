/** Where lines for the people who run a part go. */

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
}

/** For parts whose log has nothing but trouble in it. */
export type WarningLog = Pick<Log, 'warn'>;

export const SILENT: Log = { info: () => {}, warn: () => {} };

/** How much a line matters to whoever reads it. */
export type LogLevel = 'info' | 'warn' | 'error';
