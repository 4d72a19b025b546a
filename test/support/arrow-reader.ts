/**
 * Reads Arrow IPC streams (https://arrow.apache.org/docs/format/Columnar.html), as much of them as query results are made of:
 * written from the format's description, and knowing nothing of who writes them here.
 */

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

interface Column extends ArrowField {
  read(buffers: Uint8Array[], rows: number): unknown[];
  readonly buffers: number;
}

export function readArrow(bytes: Uint8Array): ArrowTable {
  let at = 0;
  let columns: Column[] | null = null;
  const batches: number[] = [];
  const values: Record<string, unknown[]> = {};
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
      columns = message.table(2).tables(1).map(readColumn);
      for (const { name } of columns) values[name] = [];
    } else {
      if (columns === null) throw new Error('a batch before the schema');
      const batch = message.table(2);
      const rows = batch.int(0, 64, 0);
      batches.push(rows);
      readBatch(columns, batch, rows, body, values);
    }
  }
  if (at + 8 !== bytes.length) throw new Error(`${bytes.length - at - 8} bytes behind the end`);
  const fields = (columns ?? []).map(({ name, type, nullable }) => ({ name, type, nullable }));
  return { fields, batches, columns: values };
}

function readBatch(
  columns: Column[],
  batch: FlatTable,
  rows: number,
  body: Uint8Array,
  values: Record<string, unknown[]>,
): void {
  const nodes = batch.pairs(1);
  const places = batch.pairs(2);
  if (nodes.length !== columns.length) throw new Error('another number of nodes than columns');
  for (const [index, column] of columns.entries()) {
    const [length = 0, nulls = 0] = nodes[index] ?? [];
    if (length !== rows) throw new Error('a node of another length than its batch');
    const [validity = new Uint8Array(0), ...buffers] = places.splice(0, 1 + column.buffers).map(([offset, size]) => {
      if (offset % 8 !== 0 || offset + size > body.length) throw new Error('a buffer in the wrong place');
      return body.slice(offset, offset + size);
    });
    const isValid = (row: number): boolean => nulls === 0 || (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 1;
    const read = column.read(buffers, rows).map((value, row) => (isValid(row) ? value : null));
    if (read.filter((value) => value === null).length !== nulls)
      throw new Error('another number of nulls than was said');
    values[column.name]?.push(...read);
  }
  if (places.length > 0) throw new Error('buffers of no column');
}

function readColumn(field: FlatTable): Column {
  const name = field.text(0) ?? '';
  const nullable = field.int(1, 8, 0) === 1;
  const parameters = field.table(3);
  if (field.tables(5).length > 0) throw new Error('children');
  const fixed = (type: string, bytes: number, get: (view: DataView, at: number) => unknown): Column => ({
    name,
    nullable,
    type,
    buffers: 1,
    read: ([values = new Uint8Array(0)], rows) => {
      if (values.length !== rows * bytes) throw new Error(`${name}: ${values.length} bytes for ${rows} rows`);
      const view = new DataView(values.buffer, values.byteOffset);
      return Array.from({ length: rows }, (_, row) => get(view, row * bytes));
    },
  });
  switch (field.int(2, 8, 0)) {
    case 2: {
      const bits = parameters.int(0, 32, 0);
      const isSigned = parameters.int(1, 8, 0) === 1;
      const methods = {
        int8: 'getInt8',
        int16: 'getInt16',
        int32: 'getInt32',
        int64: 'getBigInt64',
        uint8: 'getUint8',
        uint16: 'getUint16',
        uint32: 'getUint32',
        uint64: 'getBigUint64',
      } as const;
      const type = `${isSigned ? '' : 'u'}int${bits}` as keyof typeof methods;
      return fixed(type, bits / 8, (view, at) => view[methods[type]](at, true));
    }
    case 3:
      return parameters.int(0, 16, 0) === 2
        ? fixed('float64', 8, (view, at) => view.getFloat64(at, true))
        : fixed('float32', 4, (view, at) => view.getFloat32(at, true));
    case 5:
      return {
        name,
        nullable,
        type: 'utf8',
        buffers: 2,
        read: ([offsets = new Uint8Array(0), data = new Uint8Array(0)], rows) => {
          const places = new Int32Array(offsets.slice().buffer);
          if (places.length !== rows + 1 || places[0] !== 0 || places[rows] !== data.length) throw new Error('offsets');
          const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
          return Array.from({ length: rows }, (_, row) => decoder.decode(data.slice(places[row], places[row + 1])));
        },
      };
    case 6:
      return {
        name,
        nullable,
        type: 'bool',
        buffers: 1,
        read: ([bits = new Uint8Array(0)], rows) =>
          Array.from({ length: rows }, (_, row) => (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) === 1),
      };
    case 7:
      if (parameters.int(2, 32, 128) !== 128) throw new Error('a decimal of other than 128 bits');
      return fixed(
        `decimal(${parameters.int(0, 32, 0)}, ${parameters.int(1, 32, 0)})`,
        16,
        (view, at) => (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true),
      );
    case 8:
      if (parameters.int(0, 16, 1) !== 0) throw new Error('a date that is not of days');
      return fixed('date32', 4, (view, at) => view.getInt32(at, true));
    case 10: {
      const unit = ['s', 'ms', 'us', 'ns'][parameters.int(0, 16, 0)];
      return fixed(`timestamp(${unit}, ${parameters.text(1)})`, 8, (view, at) => view.getBigInt64(at, true));
    }
    default:
      throw new Error(`${name}: type ${field.int(2, 8, 0)}`);
  }
}
