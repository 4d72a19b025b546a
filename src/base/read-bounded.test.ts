import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readBounded } from './read-bounded.ts';

const streamOf = (...chunks: string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });

test('a body of the bound is whole, one byte more is too large', async () => {
  const bytes = new TextEncoder().encode('abcd');
  expect(await readBounded(streamOf('ab', 'cd'), 4)).toEqual({ kind: 'whole', bytes });
  expect(await readBounded(streamOf('ab', 'cd'), 3)).toEqual({ kind: 'too_large' });
});

test('no body is an empty one', async () => {
  expect(await readBounded(null, 0)).toEqual({ kind: 'whole', bytes: new Uint8Array() });
});

test('a stream of Node is read like one of the web', async () => {
  const bytes = new TextEncoder().encode('xy');
  expect(await readBounded(Readable.from([Buffer.from('x'), Buffer.from('y')]), 2)).toEqual({ kind: 'whole', bytes });
});

test('the stream is cancelled at the bound', async () => {
  let isCancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(8)),
    cancel: () => {
      isCancelled = true;
    },
  });
  expect(await readBounded(endless, 20)).toEqual({ kind: 'too_large' });
  expect(isCancelled).toBe(true);
});

test('whoever counts chunks may refuse the next', async () => {
  const sizes: number[] = [];
  const onBytes = (size: number): boolean => sizes.push(size) < 2;
  expect(await readBounded(streamOf('a', 'bcd', 'e'), 100, onBytes)).toEqual({ kind: 'too_large' });
  expect(sizes).toEqual([1, 3]);
});

test('an error of the stream is told', async () => {
  const error = new Error('reset');
  const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(error) });
  expect(await readBounded(broken, 10)).toEqual({ kind: 'broken', error });
});
