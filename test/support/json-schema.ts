/** An independent judge of JSON documents: JSON Schema 2020-12, with the integer formats of the contract as ranges. */
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js';

/**
 * Bounds of each integer format, both inclusive. Those of 64 bits are the nearest numbers: a document is read into
 * numbers before it is judged.
 */
export const INTEGER_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint: [0, 2 ** 64],
  uint64: [0, 2 ** 64],
  uint32: [0, 2 ** 32 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
};

export type Judge = ValidateFunction;

export function createJudge(): Ajv2020.default {
  const judge = new Ajv2020.default({ strict: false, allErrors: false });
  for (const [format, [min, max]] of Object.entries(INTEGER_RANGES)) {
    judge.addFormat(format, { type: 'number', validate: (number: number) => number >= min && number <= max });
  }
  return judge;
}
