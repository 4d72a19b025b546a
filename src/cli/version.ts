import { readFileSync } from 'node:fs';

/** The version of the package this file is part of, as a clone or as installed. */
export function version(): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  return manifest.version;
}
