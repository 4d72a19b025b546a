/**
 * Values of lists, arrays, structs, maps and unions as JSON texts, read from the vectors they are made of. A value object of
 * them would lose entries: a JavaScript object has no order for keys that are numbers, and no two keys of one name.
 *
 * 1. Lists and arrays are arrays. Structs are objects with their entries in order; those of `row(…)` have no names, and are
 *    arrays too. Maps are objects, their keys the plain texts of what they are in DuckDB. A union is the value that it has.
 * 2. What no row shows is not read: under a null, memory may hold anything.
 */
import {
  type DuckDBArrayType,
  type DuckDBDataChunk,
  type DuckDBListType,
  type DuckDBMapType,
  type DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBUnionType,
  type DuckDBValue,
  DuckDBVector,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { renderText, renderValue } from './render.ts';
import { numberReader } from './render-numbers.ts';
import type { Room } from './room.ts';

/** Gives the JSON text of a row, and takes its characters from the room that was given. */
export type NestedReader = (row: number) => string;

const NESTED: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.LIST,
  DuckDBTypeId.ARRAY,
  DuckDBTypeId.STRUCT,
  DuckDBTypeId.MAP,
  DuckDBTypeId.UNION,
]);

function isNested(type: DuckDBType): boolean {
  return NESTED.has(type.typeId);
}

/**
 * The reader of a column, or null where it is not nested.
 *
 * @param room that the texts must fit into; reading throws NoRoom when they do not
 */
export function nestedColumn(chunk: DuckDBDataChunk, index: number, type: DuckDBType, room: Room): NestedReader | null {
  if (!isNested(type)) return null;
  return nestedReader(duckdb.data_chunk_get_vector(chunk.chunk, index), chunk.rowCount, type, room);
}

/**
 * The values of a column for the forms that are not JSON: those of nested types are their JSON texts, without the quotes of
 * a union's text.
 */
export function plainColumn(
  chunk: DuckDBDataChunk,
  index: number,
  type: DuckDBType,
  room: Room,
): (row: number) => DuckDBValue {
  const nested = nestedColumn(chunk, index, type, room);
  if (nested === null) {
    const vector = chunk.getColumnVector(index);
    return (row) => vector.getItem(row) as DuckDBValue;
  }
  return (row) => {
    const json = nested(row);
    if (json === 'null') return null;
    return json.startsWith('"') ? (JSON.parse(json) as string) : json;
  };
}

/**
 * @param rows of the vector
 * @param room that the texts must fit into; reading throws NoRoom when they do not
 */
function nestedReader(vector: duckdb.Vector, rows: number, type: DuckDBType, room: Room): NestedReader {
  // A list without items has a vector without memory.
  if (rows === 0) return () => 'null';
  const read = readerOf(vector, rows, type, room) ?? numbersOf(vector, rows, type, room);
  if (read === null) {
    const values = DuckDBVector.create(vector, rows, type);
    return (row) => took(renderValue(values.getItem(row) as DuckDBValue), room);
  }
  const bits = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null;
  return (row) => {
    const isNull = bits !== null && ((bits[row >> 3] ?? 0) & (1 << (row & 7))) === 0;
    return isNull ? took('null', room) : read(row);
  };
}

/** For rows that are not null; null for types that are not nested. */
function readerOf(vector: duckdb.Vector, rows: number, type: DuckDBType, room: Room): NestedReader | null {
  switch (type.typeId) {
    case DuckDBTypeId.LIST: {
      const rangeOf = listRanges(vector, rows);
      const size = duckdb.list_vector_get_size(vector);
      const item = nestedReader(duckdb.list_vector_get_child(vector), size, (type as DuckDBListType).valueType, room);
      return (row) => array(...rangeOf(row), item, room);
    }
    case DuckDBTypeId.ARRAY: {
      const { length, valueType } = type as DuckDBArrayType;
      const item = nestedReader(duckdb.array_vector_get_child(vector), rows * length, valueType, room);
      return (row) => array(row * length, length, item, room);
    }
    case DuckDBTypeId.STRUCT:
      return structReader(vector, rows, type as DuckDBStructType, room);
    case DuckDBTypeId.MAP:
      return mapReader(vector, rows, type as DuckDBMapType, room);
    case DuckDBTypeId.UNION: {
      const { memberTypes } = type as DuckDBUnionType;
      const { buffer, byteOffset } = duckdb.vector_get_data(duckdb.struct_vector_get_child(vector, 0), rows);
      const tags = new Uint8Array(buffer, byteOffset, rows);
      const members = memberTypes.map((member, index) =>
        nestedReader(duckdb.struct_vector_get_child(vector, index + 1), rows, member, room),
      );
      return (row) => members[tags[row] ?? 0]?.(row) ?? 'null';
    }
    default:
      return null;
  }
}

/** For rows that are not null; null for types that are no numbers. */
function numbersOf(vector: duckdb.Vector, rows: number, type: DuckDBType, room: Room): NestedReader | null {
  const number = numberReader(vector, rows, type.typeId);
  return number === null ? null : (row) => took(number(row), room);
}

function structReader(vector: duckdb.Vector, rows: number, type: DuckDBStructType, room: Room): NestedReader {
  const entries = type.entryTypes.map((entry, index) =>
    nestedReader(duckdb.struct_vector_get_child(vector, index), rows, entry, room),
  );
  const isUnnamed = type.entryNames.every((name) => name === '');
  const heads = type.entryNames.map((name, index) => {
    const comma = index === 0 ? '' : ',';
    return isUnnamed ? comma : `${comma}${JSON.stringify(name)}:`;
  });
  const headChars = heads.reduce((sum, head) => sum + head.length, 2);
  return (row) => {
    room.take(headChars);
    let text = '';
    for (const [index, read] of entries.entries()) text += `${heads[index]}${read(row)}`;
    return isUnnamed ? `[${text}]` : `{${text}}`;
  };
}

/** A map is a list of structs of two entries. */
function mapReader(
  vector: duckdb.Vector,
  rows: number,
  { keyType, valueType }: DuckDBMapType,
  room: Room,
): NestedReader {
  const rangeOf = listRanges(vector, rows);
  const size = duckdb.list_vector_get_size(vector);
  const pairs = duckdb.list_vector_get_child(vector);
  if (size === 0) return () => took('{}', room);
  const keyVector = duckdb.struct_vector_get_child(pairs, 0);
  const keys = isNested(keyType) ? null : DuckDBVector.create(keyVector, size, keyType);
  const nestedKey = nestedReader(keyVector, size, keyType, room);
  const keyOf = (index: number): string => {
    if (keys !== null) return took(JSON.stringify(renderText(keys.getItem(index) as DuckDBValue)), room);
    const key = nestedKey(index);
    const quoted = JSON.stringify(key);
    room.take(quoted.length - key.length);
    return quoted;
  };
  const value = nestedReader(duckdb.struct_vector_get_child(pairs, 1), size, valueType, room);
  return (row) => {
    const [start, length] = rangeOf(row);
    room.take(1 + Math.max(1, 2 * length));
    return `{${joined(start, length, (index) => `${keyOf(index)}:${value(index)}`)}}`;
  };
}

/** Where the items of a row begin among those of all rows, and how many they are. */
function listRanges(vector: duckdb.Vector, rows: number): (row: number) => readonly [number, number] {
  const { buffer, byteOffset } = duckdb.vector_get_data(vector, rows * 16);
  const entries = new BigUint64Array(buffer, byteOffset, rows * 2);
  return (row) => [Number(entries[row * 2]), Number(entries[row * 2 + 1])];
}

function array(start: number, length: number, item: NestedReader, room: Room): string {
  room.take(1 + Math.max(1, length));
  return `[${joined(start, length, item)}]`;
}

/** In one piece: a text that grows by appending keeps its pieces, which take ten times the memory. */
function joined(start: number, length: number, item: (index: number) => string): string {
  const items = new Array<string>(length);
  for (let index = 0; index < length; index += 1) items[index] = item(start + index);
  return items.join(',');
}

function took(text: string, room: Room): string {
  room.take(text.length);
  return text;
}
