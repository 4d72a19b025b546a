/** Reading a body of bytes whole, but no more of it than a bound allows. */

export type BoundedBody =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'too_large' }
  /** The stream ended with an error before it was whole. */
  | { readonly kind: 'broken'; readonly error: unknown };

/**
 * @param body null: an empty one. The web's streams and those of Node are both read; at the bound the body is cancelled
 * @param max_bytes the most that is accepted, bytes
 * @param onBytes is called with the size of each chunk before it is held; false refuses the body as too large
 */
export async function readBounded(
  body: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array> | null | undefined,
  max_bytes: number,
  onBytes: (bytes: number) => boolean = () => true,
): Promise<BoundedBody> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body ?? []) {
      size += chunk.byteLength;
      // Leaving the loop cancels the stream.
      if (size > max_bytes || !onBytes(chunk.byteLength)) return { kind: 'too_large' };
      chunks.push(chunk);
    }
  } catch (error) {
    return { kind: 'broken', error };
  }
  return { kind: 'whole', bytes: joined(chunks, size) };
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
