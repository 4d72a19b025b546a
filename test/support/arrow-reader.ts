/**
 * Reads Arrow IPC streams of query results. Values come from `@uwdata/flechette`; what it does not look at is checked here, by
 * the format's description (https://arrow.apache.org/docs/format/Columnar.html) and knowing nothing of who writes it: that
 * everything lies where it must, aligned, as long as it must be, and nothing behind the end.
 */
import { type DataType, type TimeUnit_, Type, tableFromIPC } from '@uwdata/flechette';

export interface ArrowField {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

export interface ArrowTable {
  readonly fields: readonly ArrowField[];
  /** Rows of each record batch. */
  readonly batches: readonly number[];
  readonly columns: Readonly<Record<string, unknown[]>>;
}

const DAY_MS = 86_400_000;

/** A table of a FlatBuffer, its fields by their numbers. */
class FlatTable {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
  }

  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return new FlatTable(view, view.getUint32(0, true));
  }

  #place(field: number): number | null {
    const vtable = this.#at - this.#view.getInt32(this.#at, true);
    if (4 + 2 * field >= this.#view.getUint16(vtable, true)) return null;
    const offset = this.#view.getUint16(vtable + 4 + 2 * field, true);
    return offset === 0 ? null : this.#at + offset;
  }

  int(field: number, bits: 8 | 16 | 32 | 64, absent: number): number {
    const place = this.#place(field);
    if (place === null) return absent;
    if (bits === 8) return this.#view.getUint8(place);
    if (bits === 16) return this.#view.getInt16(place, true);
    if (place % (bits / 8) !== 0) throw new Error(`a field of ${bits} bits at ${place}`);
    return bits === 32 ? this.#view.getInt32(place, true) : Number(this.#view.getBigInt64(place, true));
  }

  #target(field: number): number | null {
    const place = this.#place(field);
    return place === null ? null : place + this.#view.getUint32(place, true);
  }

  table(field: number): FlatTable {
    const at = this.#target(field);
    if (at === null) throw new Error(`table ${field} is absent`);
    return new FlatTable(this.#view, at);
  }

  text(field: number): string | null {
    const at = this.#target(field);
    if (at === null) return null;
    const length = this.#view.getUint32(at, true);
    if (this.#view.getUint8(at + 4 + length) !== 0) throw new Error('a text without its NUL');
    return new TextDecoder('utf-8', { fatal: true }).decode(
      new Uint8Array(this.#view.buffer, this.#view.byteOffset + at + 4, length),
    );
  }

  tables(field: number): FlatTable[] {
    const at = this.#target(field);
    if (at === null) throw new Error(`list ${field} is absent`);
    return Array.from({ length: this.#view.getUint32(at, true) }, (_, index) => {
      const place = at + 4 + 4 * index;
      return new FlatTable(this.#view, place + this.#view.getUint32(place, true));
    });
  }

  pairs(field: number): [number, number][] {
    const at = this.#target(field);
    if (at === null) throw new Error(`list ${field} is absent`);
    if ((at + 4) % 8 !== 0) throw new Error('structs that are not aligned');
    return Array.from({ length: this.#view.getUint32(at, true) }, (_, index) => [
      Number(this.#view.getBigInt64(at + 4 + 16 * index, true)),
      Number(this.#view.getBigInt64(at + 12 + 16 * index, true)),
    ]);
  }
}

export function readArrow(bytes: Uint8Array): ArrowTable {
  const table = tableFromIPC(bytes, { useBigInt: true, useBigIntTimestamp: true, useDecimalInt: true });
  const { fields } = table.schema;
  const batches = checkFrames(
    bytes,
    fields.map(({ type }) => type),
  );
  const columns: Record<string, unknown[]> = {};
  for (const [index, { name, type }] of fields.entries()) {
    const column = table.getChildAt(index);
    const values = Array.from(column) as unknown[];
    if (values.filter((value) => value === null).length !== column.nullCount) {
      throw new Error(`${name}: another number of nulls than was said`);
    }
    // It gives days as milliseconds.
    columns[name] = type.typeId === Type.Date ? values.map((day) => day && Number(day) / DAY_MS) : values;
  }
  return {
    fields: fields.map(({ name, type, nullable }) => ({ name, type: nameOf(type), nullable })),
    batches,
    columns,
  };
}

/** @returns the rows of each batch */
function checkFrames(bytes: Uint8Array, types: readonly DataType[]): number[] {
  let at = 0;
  let hasSchema = false;
  const batches: number[] = [];
  for (;;) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    if (view.getUint32(0, true) !== 0xffff_ffff) throw new Error(`no continuation at ${at}`);
    const length = view.getUint32(4, true);
    if (length === 0) break;
    if (length % 8 !== 0) throw new Error(`metadata of ${length} bytes`);
    const message = FlatTable.root(bytes.slice(at + 8, at + 8 + length));
    if (message.int(0, 16, 0) !== 4) throw new Error('not metadata version 5');
    const body_bytes = message.int(3, 64, 0);
    const body = bytes.slice(at + 8 + length, at + 8 + length + body_bytes);
    at += 8 + length + body_bytes;
    if (message.int(1, 8, 0) === 1) {
      checkFields(message.table(2).tables(1));
      hasSchema = true;
    } else {
      if (!hasSchema) throw new Error('a batch before the schema');
      batches.push(checkBatch(message.table(2), body, types));
    }
  }
  if (at + 8 !== bytes.length) throw new Error(`${bytes.length - at - 8} bytes behind the end`);
  return batches;
}

function checkFields(fields: readonly FlatTable[]): void {
  for (const field of fields) {
    if (field.text(0) === null) throw new Error('a field without a name');
    // Some readers insist on the list.
    if (field.tables(5).length > 0) throw new Error('children');
    field.table(3);
  }
}

function checkBatch(batch: FlatTable, body: Uint8Array, types: readonly DataType[]): number {
  const rows = batch.int(0, 64, 0);
  const nodes = batch.pairs(1);
  const places = batch.pairs(2);
  if (nodes.length !== types.length) throw new Error('another number of nodes than columns');
  for (const [index, type] of types.entries()) {
    const [length = 0, nulls = 0] = nodes[index] ?? [];
    if (length !== rows) throw new Error('a node of another length than its batch');
    const isText = type.typeId === Type.Utf8;
    const [validity, first, second] = places.splice(0, isText ? 3 : 2).map(([offset, size]) => {
      if (offset % 8 !== 0 || offset + size > body.length) throw new Error('a buffer in the wrong place');
      return body.slice(offset, offset + size);
    });
    if (validity?.length !== (nulls === 0 ? 0 : Math.ceil(rows / 8))) {
      throw new Error(`${validity?.length} bytes of validity for ${rows} rows`);
    }
    checkNulls(validity ?? new Uint8Array(0), rows, nulls);
    if (isText) checkOffsets(first, second, rows);
    else if (first?.length !== Math.ceil((rows * bitsOf(type)) / 8)) {
      throw new Error(`${first?.length} bytes for ${rows} rows of ${nameOf(type)}`);
    }
  }
  if (places.length > 0) throw new Error('buffers of no column');
  return rows;
}

function checkNulls(validity: Uint8Array, rows: number, nulls: number): void {
  if (nulls === 0) return;
  let found = 0;
  for (let row = 0; row < rows; row += 1) if ((((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) found += 1;
  if (found !== nulls) throw new Error(`${nulls} nulls said, ${found} found`);
}

function checkOffsets(offsets = new Uint8Array(0), text = new Uint8Array(0), rows: number): void {
  const places = new Int32Array(offsets.slice().buffer);
  if (places.length !== rows + 1 || places[0] !== 0 || places[rows] !== text.length) throw new Error('offsets');
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let row = 0; row < rows; row += 1) decoder.decode(text.subarray(places[row], places[row + 1]));
}

function bitsOf(type: DataType): number {
  switch (type.typeId) {
    case Type.Int:
    case Type.Decimal:
      return type.bitWidth;
    case Type.Float:
      return [16, 32, 64][type.precision] ?? 0;
    case Type.Bool:
      return 1;
    case Type.Date:
      return 32;
    case Type.Timestamp:
      return 64;
    default:
      throw new Error(`type ${type.typeId}`);
  }
}

function nameOf(type: DataType): string {
  switch (type.typeId) {
    case Type.Int:
      return `${type.signed ? '' : 'u'}int${type.bitWidth}`;
    case Type.Float:
      return `float${bitsOf(type)}`;
    case Type.Utf8:
      return 'utf8';
    case Type.Bool:
      return 'bool';
    case Type.Decimal:
      if (type.bitWidth !== 128) throw new Error('a decimal of other than 128 bits');
      return `decimal(${type.precision}, ${type.scale})`;
    case Type.Date:
      if (type.unit !== 0) throw new Error('a date that is not of days');
      return 'date32';
    case Type.Timestamp:
      return `timestamp(${unitName(type.unit)}, ${type.timezone})`;
    default:
      throw new Error(`type ${type.typeId}`);
  }
}

function unitName(unit: TimeUnit_): string {
  return ['s', 'ms', 'us', 'ns'][unit] ?? '?';
}
