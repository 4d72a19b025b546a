/**
 * Columns of an Arrow record batch, filled value by value.
 *
 * DuckDB's types become Arrow's as follows; every column may hold nulls.
 *
 *     BOOLEAN                          bool
 *     TINYINT … BIGINT, UTINYINT … UBIGINT   int8 … int64, uint8 … uint64
 *     HUGEINT                          decimal128(38, 0); a value of 39 digits is refused, since it has no place there
 *     DECIMAL(w, s)                    decimal128(w, s)
 *     FLOAT, DOUBLE                    float32, float64, those that are not finite included
 *     DATE                             date32
 *     TIMESTAMP, …_S, …_MS, WITH TIME ZONE   timestamp(us, UTC); TIMESTAMP_NS: timestamp(ns, UTC); infinities are null
 *     everything else                  utf8, of its JSON rendering without quotes (render.ts)
 */
import {
  DuckDBDateValue,
  type DuckDBDecimalType,
  DuckDBDecimalValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
} from '@duckdb/node-api';
import { type Field, i16, i32, table, text, u8 } from './flatbuffer.ts';
import { renderText } from './render.ts';
import type { Room } from './room.ts';

/** Thrown for a value that its column's type has no room for; the message says what to do. */
export class NoArrowValue extends Error {}

/** Arrow's type of a column: its number among the types, and its parameters. */
export interface ArrowType {
  readonly number: number;
  readonly parameters: Field;
}

export interface ArrowColumn {
  readonly type: ArrowType;
  /** @throws NoArrowValue for a value that the type has no room for */
  add(value: DuckDBValue): void;
  /** The buffers of what was added since the last time, in Arrow's order; the column is empty afterwards. */
  take(): { readonly nulls: number; readonly buffers: readonly Uint8Array[] };
}

/**
 * @param rows_max rows that are added at most before they are taken
 * @param textRoom of the bytes of texts; adding throws NoRoom when there are more
 */
export function arrowColumn(type: DuckDBType, rows_max: number, textRoom: Room): ArrowColumn {
  const make = FIXED[type.typeId];
  return make === undefined ? new TextColumn(rows_max, textRoom) : new FixedColumn(make(type), rows_max);
}

interface FixedKind {
  readonly type: ArrowType;
  /** Bytes of one value; 0 for one bit. */
  readonly width_bytes: number;
  /** Null for a value that is none in Arrow. */
  readonly put: (view: DataView, at: number, value: DuckDBValue) => boolean;
}

const INT = 2;
const FLOAT = 3;
const UTF8 = 5;
const BOOL = 6;
const DECIMAL = 7;
const DATE = 8;
const TIMESTAMP = 10;
const HUGE_LIMIT = 10n ** 38n;

function int(bits: number, isSigned: boolean, put: FixedKind['put']): () => FixedKind {
  const kind: FixedKind = {
    type: { number: INT, parameters: table(i32(bits), u8(isSigned ? 1 : 0)) },
    width_bytes: bits / 8,
    put,
  };
  return () => kind;
}

function float(precision: number, width_bytes: number, put: FixedKind['put']): () => FixedKind {
  return () => ({ type: { number: FLOAT, parameters: table(i16(precision)) }, width_bytes, put });
}

function decimal(width: number, scale: number, scaledOf: (value: DuckDBValue) => bigint): FixedKind {
  return {
    type: { number: DECIMAL, parameters: table(i32(width), i32(scale), i32(128)) },
    width_bytes: 16,
    put: (view, at, value) => {
      const scaled = scaledOf(value);
      view.setBigUint64(at, BigInt.asUintN(64, scaled), true);
      view.setBigInt64(at + 8, scaled >> 64n, true);
      return true;
    },
  };
}

function hugeint(value: DuckDBValue): bigint {
  const whole = BigInt(value as bigint);
  if (whole >= HUGE_LIMIT || whole <= -HUGE_LIMIT) {
    throw new NoArrowValue(
      `${whole} has more than 38 digits, which Arrow's decimal128 has no room for: cast it to VARCHAR`,
    );
  }
  return whole;
}

function timestamp(unit: number): () => FixedKind {
  return () => ({
    type: { number: TIMESTAMP, parameters: table(i16(unit), text('UTC')) },
    width_bytes: 8,
    put: (view, at, value) => {
      const count = unitsOf(value);
      if (count === null || count !== BigInt.asIntN(64, count)) return false;
      view.setBigInt64(at, count, true);
      return true;
    },
  });
}

/** Since the epoch, in microseconds, or nanoseconds where the type has them; null for the infinities. */
function unitsOf(value: DuckDBValue): bigint | null {
  if (value instanceof DuckDBTimestampValue) return value.isFinite ? value.micros : null;
  if (value instanceof DuckDBTimestampTZValue) return value.isFinite ? value.micros : null;
  if (value instanceof DuckDBTimestampSecondsValue) return value.isFinite ? value.seconds * 1_000_000n : null;
  if (value instanceof DuckDBTimestampMillisecondsValue) return value.isFinite ? value.millis * 1_000n : null;
  if (value instanceof DuckDBTimestampNanosecondsValue) return value.isFinite ? value.nanos : null;
  return null;
}

function always(put: (view: DataView, at: number, value: DuckDBValue) => void): FixedKind['put'] {
  return (view, at, value) => {
    put(view, at, value);
    return true;
  };
}

const MICROSECOND = 2;
const NANOSECOND = 3;

const FIXED: Partial<Record<DuckDBTypeId, (type: DuckDBType) => FixedKind>> = {
  [DuckDBTypeId.BOOLEAN]: () => ({
    type: { number: BOOL, parameters: table() },
    width_bytes: 0,
    put: always((view, at, value) => {
      if (value === true) view.setUint8(at >> 3, view.getUint8(at >> 3) | (1 << (at & 7)));
    }),
  }),
  [DuckDBTypeId.TINYINT]: int(
    8,
    true,
    always((view, at, value) => view.setInt8(at, value as number)),
  ),
  [DuckDBTypeId.SMALLINT]: int(
    16,
    true,
    always((view, at, value) => view.setInt16(at, value as number, true)),
  ),
  [DuckDBTypeId.INTEGER]: int(
    32,
    true,
    always((view, at, value) => view.setInt32(at, value as number, true)),
  ),
  [DuckDBTypeId.BIGINT]: int(
    64,
    true,
    always((view, at, value) => view.setBigInt64(at, value as bigint, true)),
  ),
  [DuckDBTypeId.UTINYINT]: int(
    8,
    false,
    always((view, at, value) => view.setUint8(at, value as number)),
  ),
  [DuckDBTypeId.USMALLINT]: int(
    16,
    false,
    always((view, at, value) => view.setUint16(at, value as number, true)),
  ),
  [DuckDBTypeId.UINTEGER]: int(
    32,
    false,
    always((view, at, value) => view.setUint32(at, value as number, true)),
  ),
  [DuckDBTypeId.UBIGINT]: int(
    64,
    false,
    always((view, at, value) => view.setBigUint64(at, value as bigint, true)),
  ),
  [DuckDBTypeId.FLOAT]: float(
    1,
    4,
    always((view, at, value) => view.setFloat32(at, value as number, true)),
  ),
  [DuckDBTypeId.DOUBLE]: float(
    2,
    8,
    always((view, at, value) => view.setFloat64(at, value as number, true)),
  ),
  [DuckDBTypeId.HUGEINT]: () => decimal(38, 0, hugeint),
  [DuckDBTypeId.DECIMAL]: (type) => {
    const { width, scale } = type as DuckDBDecimalType;
    return decimal(width, scale, (value) => (value instanceof DuckDBDecimalValue ? value.value : 0n));
  },
  [DuckDBTypeId.DATE]: () => ({
    type: { number: DATE, parameters: table(i16(0)) },
    width_bytes: 4,
    put: (view, at, value) => {
      if (!(value instanceof DuckDBDateValue) || !value.isFinite) return false;
      view.setInt32(at, value.days, true);
      return true;
    },
  }),
  [DuckDBTypeId.TIMESTAMP]: timestamp(MICROSECOND),
  [DuckDBTypeId.TIMESTAMP_S]: timestamp(MICROSECOND),
  [DuckDBTypeId.TIMESTAMP_MS]: timestamp(MICROSECOND),
  [DuckDBTypeId.TIMESTAMP_TZ]: timestamp(MICROSECOND),
  [DuckDBTypeId.TIMESTAMP_NS]: timestamp(NANOSECOND),
};

/** Which rows have a value: one bit each. */
class Validity {
  readonly #bits: Uint8Array;
  nulls = 0;

  constructor(rows_max: number) {
    this.#bits = new Uint8Array(Math.ceil(rows_max / 8));
  }

  note(row: number, isValid: boolean): void {
    if (isValid) this.#bits[row >> 3] = (this.#bits[row >> 3] ?? 0) | (1 << (row & 7));
    else this.nulls += 1;
  }

  /** No bits at all where nothing is null. */
  take(rows: number): { nulls: number; bits: Uint8Array } {
    const { nulls } = this;
    const bits = nulls === 0 ? new Uint8Array(0) : this.#bits.slice(0, Math.ceil(rows / 8));
    this.#bits.fill(0);
    this.nulls = 0;
    return { nulls, bits };
  }
}

class FixedColumn implements ArrowColumn {
  readonly type: ArrowType;
  readonly #kind: FixedKind;
  readonly #values: DataView;
  readonly #validity: Validity;
  #rows = 0;

  constructor(kind: FixedKind, rows_max: number) {
    this.type = kind.type;
    this.#kind = kind;
    this.#values = new DataView(new ArrayBuffer(this.#sizeOf(rows_max)));
    this.#validity = new Validity(rows_max);
  }

  add(value: DuckDBValue): void {
    const { put, width_bytes } = this.#kind;
    const isValid = value !== null && put(this.#values, this.#rows * (width_bytes || 1), value);
    this.#validity.note(this.#rows, isValid);
    this.#rows += 1;
  }

  take(): { nulls: number; buffers: Uint8Array[] } {
    const { nulls, bits } = this.#validity.take(this.#rows);
    const whole = new Uint8Array(this.#values.buffer);
    const values = whole.slice(0, this.#sizeOf(this.#rows));
    whole.fill(0);
    this.#rows = 0;
    return { nulls, buffers: [bits, values] };
  }

  #sizeOf(rows: number): number {
    return this.#kind.width_bytes === 0 ? Math.ceil(rows / 8) : rows * this.#kind.width_bytes;
  }
}

class TextColumn implements ArrowColumn {
  readonly type: ArrowType = { number: UTF8, parameters: table() };
  readonly #validity: Validity;
  readonly #rowsMax: number;
  readonly #room: Room;
  #texts: Buffer[] = [];
  #offsets: Int32Array;

  constructor(rows_max: number, room: Room) {
    this.#rowsMax = rows_max;
    this.#room = room;
    this.#validity = new Validity(rows_max);
    this.#offsets = new Int32Array(rows_max + 1);
  }

  add(value: DuckDBValue): void {
    const rendered = renderText(value);
    const row = this.#texts.length;
    const bytes = Buffer.from(rendered ?? '');
    this.#room.take(bytes.length);
    this.#validity.note(row, rendered !== null);
    this.#texts.push(bytes);
    this.#offsets[row + 1] = (this.#offsets[row] ?? 0) + bytes.length;
  }

  take(): { nulls: number; buffers: Uint8Array[] } {
    const rows = this.#texts.length;
    const { nulls, bits } = this.#validity.take(rows);
    const offsets = new Uint8Array(this.#offsets.buffer, 0, 4 * (rows + 1));
    const buffers = [bits, offsets, Buffer.concat(this.#texts)];
    this.#texts = [];
    this.#offsets = new Int32Array(this.#rowsMax + 1);
    return { nulls, buffers };
  }
}
