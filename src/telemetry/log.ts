/** Where lines for the operator go. */
export interface Log {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
