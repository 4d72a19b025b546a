/** Lines for the people who run a part, on standard error: standard output is for results. */

import { oneLine } from '../base/index.ts';
import { isBehind, writeText } from './patient-output.ts';

export interface CliLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** One line for each message, whatever somebody else's words are in it. @param part who speaks: `gateway`, `agent`, … */
export function createLog(part: string): CliLog {
  const write = (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const detail = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
    // What nobody reads must not pile up.
    if (!isBehind('stderr')) writeText('stderr', `${oneLine(`${part}: ${level}${message}${detail.join('')}`)}\n`);
  };
  return {
    info: (message, fields) => write('', message, fields),
    warn: (message, fields) => write('warning: ', message, fields),
    error: (message, fields) => write('error: ', message, fields),
  };
}
