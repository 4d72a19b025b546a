/**
 * FlatBuffers, as much as Arrow's metadata needs: tables, texts, and lists of tables or of structs of two 64-bit integers.
 *
 * 1. A buffer begins with the offset of its root table. All offsets are unsigned, count from where they stand, and point
 *    forwards, so whatever refers to something is written before it and patched when its place is known.
 * 2. A table is a signed 32-bit distance back to its vtable, then its fields, each aligned to its own size. Its vtable (sizes
 *    of vtable and table, then for each field its place in the table or 0 for an absent one) stands right before it.
 * 3. A list is a 32-bit count and its elements, a text likewise, of bytes, and with a NUL behind it.
 *
 * Everything is little-endian. Tables begin at multiples of 8, so what is aligned in a table is aligned in the buffer.
 */

/** What a field of a table can be; null is absent. */
export type Field =
  | { readonly kind: 'scalar'; readonly size_bytes: 1 | 2 | 4 | 8; readonly value: number }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'table'; readonly fields: readonly (Field | null)[] }
  | { readonly kind: 'tables'; readonly tables: readonly (readonly (Field | null)[])[] }
  | { readonly kind: 'pairs'; readonly pairs: readonly (readonly [number, number])[] };

export const u8 = (value: number): Field => ({ kind: 'scalar', size_bytes: 1, value });
export const i16 = (value: number): Field => ({ kind: 'scalar', size_bytes: 2, value });
export const i32 = (value: number): Field => ({ kind: 'scalar', size_bytes: 4, value });
export const i64 = (value: number): Field => ({ kind: 'scalar', size_bytes: 8, value });
export const text = (value: string): Field => ({ kind: 'text', text: value });
export const table = (...fields: (Field | null)[]): Field => ({ kind: 'table', fields });

/** The buffer whose root is the table of these fields, padded to a multiple of 8 bytes. */
export function flatbuffer(root: readonly (Field | null)[]): Uint8Array {
  const writer = new FlatWriter();
  writer.refer(writer.reserve(4, 4), () => writer.table(root));
  return writer.finish();
}

class FlatWriter {
  #bytes = new Uint8Array(1_024);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;

  /** Room for a number of bytes at the next place where `at + lead` is a multiple of `align`; gives the place. */
  reserve(size_bytes: number, align: number, lead = 0): number {
    const at = this.#end + ((align - ((this.#end + lead) % align)) % align);
    this.#end = at + size_bytes;
    if (this.#end > this.#bytes.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#end)));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  /** Writes something behind, and its offset at a place that was reserved for it. */
  refer(place: number, write: () => number): void {
    const at = write();
    this.#view.setUint32(place, at - place, true);
  }

  table(fields: readonly (Field | null)[]): number {
    const places: number[] = [];
    let size = 4;
    for (const field of fields) {
      const width = field === null ? 0 : field.kind === 'scalar' ? field.size_bytes : 4;
      if (width > 0) size += -size & (width - 1);
      places.push(width === 0 ? 0 : size);
      size += width;
    }
    const vtableSize = 4 + 2 * fields.length;
    const vtable = this.reserve(vtableSize + size, 8, vtableSize);
    const at = vtable + vtableSize;
    this.#view.setUint16(vtable, vtableSize, true);
    this.#view.setUint16(vtable + 2, size, true);
    for (const [index, place] of places.entries()) this.#view.setUint16(vtable + 4 + 2 * index, place, true);
    this.#view.setInt32(at, vtableSize, true);
    for (const [index, field] of fields.entries()) {
      if (field !== null) this.#field(field, at + (places[index] ?? 0));
    }
    return at;
  }

  finish(): Uint8Array {
    this.reserve(0, 8);
    return this.#bytes.slice(0, this.#end);
  }

  #field(field: Field, place: number): void {
    if (field.kind === 'scalar') this.#scalar(place, field.size_bytes, field.value);
    else if (field.kind === 'text') this.refer(place, () => this.#text(field.text));
    else if (field.kind === 'table') this.refer(place, () => this.table(field.fields));
    else if (field.kind === 'tables') this.refer(place, () => this.#tables(field.tables));
    else this.refer(place, () => this.#pairs(field.pairs));
  }

  #scalar(place: number, size_bytes: number, value: number): void {
    if (size_bytes === 1) this.#view.setUint8(place, value);
    else if (size_bytes === 2) this.#view.setInt16(place, value, true);
    else if (size_bytes === 4) this.#view.setInt32(place, value, true);
    else this.#view.setBigInt64(place, BigInt(value), true);
  }

  #text(value: string): number {
    const bytes = new TextEncoder().encode(value);
    const at = this.reserve(4 + bytes.length + 1, 4);
    this.#view.setUint32(at, bytes.length, true);
    this.#bytes.set(bytes, at + 4);
    return at;
  }

  #tables(tables: readonly (readonly (Field | null)[])[]): number {
    const at = this.reserve(4 + 4 * tables.length, 4);
    this.#view.setUint32(at, tables.length, true);
    for (const [index, fields] of tables.entries()) this.refer(at + 4 + 4 * index, () => this.table(fields));
    return at;
  }

  #pairs(pairs: readonly (readonly [number, number])[]): number {
    const at = this.reserve(4 + 16 * pairs.length, 8, 4);
    this.#view.setUint32(at, pairs.length, true);
    for (const [index, [first, second]] of pairs.entries()) {
      this.#scalar(at + 4 + 16 * index, 8, first);
      this.#scalar(at + 12 + 16 * index, 8, second);
    }
    return at;
  }
}
