/**
 * Writes every table of a store at rest into a folder, one file each, with a `manifest.json` of rows, columns and checksums.
 * The folder appears by one rename when everything in it is on the disk.
 */
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure, messageOf, type Outcome, success } from '../../base/index.ts';
import { TABLES, VERSION } from '../../contract/index.ts';
import { quoteIdentifier, quoteText } from '../database/ddl.ts';
import { sha256, sync } from '../segments/files.ts';
import { readShape, type ShapeTable } from '../segments/shape.ts';
import { exists, type ToolOptions, withDatabase } from './tool.ts';

export const EXPORT_FORMATS = ['parquet', 'csv', 'json'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

const COPY_OPTIONS: Readonly<Record<ExportFormat, string>> = {
  parquet: 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480',
  csv: 'FORMAT csv, HEADER true',
  // One object a line.
  json: 'FORMAT json',
};

interface ExportedTable {
  readonly name: string;
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly columns: ShapeTable['columns'];
}

export interface Exported {
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
}

/**
 * @param to a folder that does not exist yet, in one that does
 * @returns `bad_request` when it exists already, `not_found` when there is no store, `service_unavailable` when it is in use or the
 *          export was stopped, `internal_error` when the disk or the data file fails
 */
export async function exportStore(
  options: ToolOptions & { readonly to: string; readonly format: ExportFormat },
): Promise<Outcome<Exported>> {
  const { to, format, signal, onProgress = () => undefined } = options;
  const partial = join(dirname(to), `.${basename(to)}.${process.pid}.partial`);
  try {
    if (await exists(to)) return failure('bad_request', `${to} exists already; name a folder that does not`);
    return await withDatabase(options, { read_only: true }, async ({ connection }) => {
      await mkdir(partial, { mode: 0o700 });
      const shape = new Map((await readShape(connection)).map(({ name, columns }) => [name, columns]));
      const tables: ExportedTable[] = [];
      for (const { name } of TABLES) {
        signal?.throwIfAborted();
        onProgress(name);
        const file = `${name}.${format}`;
        const path = join(partial, file);
        const source = `main.${quoteIdentifier(name)}`;
        await connection.run(`COPY ${source} TO ${quoteText(path)} (${COPY_OPTIONS[format]})`);
        const rows = Number((await connection.runAndReadAll(`SELECT count(*) FROM ${source}`)).getRows()[0]?.[0]);
        await sync(path);
        const { size: bytes } = await stat(path);
        tables.push({ name, file, rows, bytes, sha256: await sha256(path), columns: shape.get(name) ?? [] });
      }
      const manifest = { meshscope: VERSION, exported_at: new Date().toISOString(), format, tables };
      const path = join(partial, 'manifest.json');
      await writeFile(path, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
      await sync(path);
      await sync(partial);
      signal?.throwIfAborted();
      await rename(partial, to);
      await sync(dirname(to));
      const sum = (key: 'rows' | 'bytes'): number => tables.reduce((total, table) => total + table[key], 0);
      return success({ tables: tables.length, rows: sum('rows'), bytes: sum('bytes') });
    });
  } catch (error) {
    return failure('internal_error', `cannot export to ${to}: ${messageOf(error)}`);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}
