/** The rows that the telemetry benchmark stores: messages and what became of them, as batches that are encoded once. */

import { constants, zstdCompressSync } from 'node:zlib';
import type { Row } from '../src/base/index.ts';
import { pack, unpack } from '../src/contract/index.ts';

const RESTAMP_MS = 1_000;
const ENDPOINTS = Array.from({ length: 24 }, (_, index) => `endpoint_${index}`);
const ACTORS = Array.from({ length: 512 }, (_, index) => scattered(index));
const STATUSES = ['queued', 'active', 'complete'];

/** An id spread over 64 bits, as hashed ids are. */
function scattered(number: number): string {
  return String(BigInt.asUintN(64, BigInt(number + 1) * 0x9e37_79b9_7f4a_7c15n));
}

/** @param number makes the rows of one batch differ from those of another */
export function eventRows(rows: number, number: number): { messages: Row[]; message_status_events: Row[] } {
  const messages: Row[] = [];
  const message_status_events: Row[] = [];
  const at_us = Date.now() * 1_000;
  for (let index = 0; messages.length + message_status_events.length < rows; index += 1) {
    const id = scattered(number * 1_000_003 + index);
    const actor = (salt: number) => ACTORS[(index * 31 + salt) % ACTORS.length] ?? '0';
    messages.push([id, at_us + index * 7, actor(number), actor(number + 97), ENDPOINTS[index % 24] ?? '', null]);
    for (const [place, status] of STATUSES.entries()) {
      if (messages.length + message_status_events.length >= rows) break;
      message_status_events.push([scattered(number * 7_000_003 + index * 3 + place), at_us + index * 7, id, status]);
    }
  }
  return { messages, message_status_events };
}

/** A batch as it is sent, again and again; its rows are at most RESTAMP_MS old, so that they also grow old in order. */
export class EncodedBatch {
  /** What `pack` wrote. */
  readonly bytes: Uint8Array;
  readonly #times: readonly BigInt64Array[];
  #packed = '';
  #stampedAt_ms = 0;

  /** @param number makes the rows of one batch differ from those of another */
  constructor(rows: number, number: number) {
    const packed = pack(eventRows(rows, number));
    if (!packed.ok) throw new Error(packed.failure.message);
    this.bytes = packed.value;
    const tables = unpack(this.bytes);
    if (!tables.ok) throw new Error(tables.failure.message);
    this.#times = tables.value.map(({ table, columns }) => {
      const index = table.columns.findIndex(({ name }) => name === 'timestamp_us');
      return columns[index]?.values as BigInt64Array;
    });
  }

  /** `bytes`, zstd, base64: what `packed` of an event batch holds. */
  packed(): string {
    const now_ms = Date.now();
    if (now_ms - this.#stampedAt_ms < RESTAMP_MS) return this.#packed;
    this.#stampedAt_ms = now_ms;
    for (const times of this.#times) {
      const later_us = BigInt(now_ms) * 1_000n - (times[0] ?? 0n);
      for (const [index, time_us] of times.entries()) times[index] = time_us + later_us;
    }
    const compressed = zstdCompressSync(this.bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
    this.#packed = compressed.toString('base64');
    return this.#packed;
  }
}
