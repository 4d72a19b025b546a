/** How long and how much the store keeps: the options of `telemetry`, and of `up`, which must not load the store for them. */
import { type Invocation, text } from './command.ts';
import { usageError } from './exit.ts';
import { LIMITS } from './limits.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const RETENTION_OPTIONS = { retention: { type: 'string' }, 'max-bytes': { type: 'string' } } as const;

export const RETENTION_HELP = `  --retention AGE    age at which rows go: 90s, 30m, 12h, 7d; 0 is never. Default 24h, captures 1h, stored dumps 30d
  --max-bytes SIZE   what the store may hold before compression, as in 500M or 4G; beyond, the oldest rows go.
                     Default 2000M
`;

export interface Retention {
  /** 0 is for ever. Default: the store's own. */
  readonly retention_ms: number | undefined;
  readonly max_bytes: number | undefined;
}

export function readRetention(invocation: Invocation): Retention {
  return { retention_ms: readAge(text(invocation, 'retention')), max_bytes: readBytes(text(invocation, 'max-bytes')) };
}

function readAge(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (given === '0') return 0;
  const [, count = '', unit = ''] = /^([1-9]\d{0,8})([smhd])$/.exec(given) ?? [];
  const age_ms = Number(count) * (UNITS_MS[unit] ?? 0);
  if (age_ms > 0 && age_ms <= LIMITS.retention_max_days * 86_400_000) return age_ms;
  throw usageError(`--retention ${given}: must be like 90s, 30m, 12h or 7d, up to ten years, or 0 for never`);
}

function readBytes(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const [, count = '', unit = ''] = /^(\d{1,9})([MG])$/i.exec(given) ?? [];
  const bytes = Number(count) * 1024 ** (unit.toUpperCase() === 'G' ? 3 : 2);
  if (bytes >= LIMITS.store_min_bytes && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw usageError(
    `--max-bytes ${given}: must be a size of at least ${LIMITS.store_min_bytes / 1024 ** 2}M, as in 500M or 4G`,
  );
}
