/** Numbers of a vector as JSON texts, read from its memory as it is: integers of up to 64 bits, and doubles. */
import { DuckDBTypeId } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';

/**
 * @param rows of the vector
 * @returns gives the text of a row, which means nothing where the row is null; null for other types
 */
export function numberReader(
  vector: duckdb.Vector,
  rows: number,
  type: DuckDBTypeId,
): ((row: number) => string) | null {
  const data = (width: number): [ArrayBufferLike, number, number] => {
    const { buffer, byteOffset } = duckdb.vector_get_data(vector, rows * width);
    return [buffer, byteOffset, rows];
  };
  switch (type) {
    case DuckDBTypeId.TINYINT:
      return integers(new Int8Array(...data(1)));
    case DuckDBTypeId.UTINYINT:
      return integers(new Uint8Array(...data(1)));
    case DuckDBTypeId.SMALLINT:
      return integers(new Int16Array(...data(2)));
    case DuckDBTypeId.USMALLINT:
      return integers(new Uint16Array(...data(2)));
    case DuckDBTypeId.INTEGER:
      return integers(new Int32Array(...data(4)));
    case DuckDBTypeId.UINTEGER:
      return integers(new Uint32Array(...data(4)));
    case DuckDBTypeId.DOUBLE: {
      const values = new Float64Array(...data(8));
      return (row) => {
        const value = values[row] ?? 0;
        return Number.isFinite(value) ? String(value) : 'null';
      };
    }
    case DuckDBTypeId.BIGINT:
      return wideIntegers(new BigInt64Array(...data(8)));
    case DuckDBTypeId.UBIGINT:
      return wideIntegers(new BigUint64Array(...data(8)));
    default:
      return null;
  }
}

function integers(values: ArrayLike<number>): (row: number) => string {
  return (row) => String(values[row]);
}

function wideIntegers(values: BigInt64Array | BigUint64Array): (row: number) => string {
  const halves = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  return (row) => {
    const high = halves[row * 2 + 1] ?? 0;
    // Exact as a number, which is written in a third of the time.
    if (high < 0x20_0000) return String(high * 0x1_0000_0000 + (halves[row * 2] ?? 0));
    return String(values[row]);
  };
}
