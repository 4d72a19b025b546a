/** The end of a stream of bytes, up to a bound; what is dropped is counted. */
export class TailBuffer {
  readonly #max_bytes: number;
  #chunks: Buffer[] = [];
  #kept_bytes = 0;
  #dropped_bytes = 0;

  constructor(max_bytes: number) {
    this.#max_bytes = max_bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#kept_bytes += chunk.length;
    // Joining only at twice the bound keeps the work per byte constant.
    if (this.#kept_bytes >= 2 * this.#max_bytes) this.#trim();
  }

  /** The text, invalid bytes replaced; the first line says so when bytes were dropped. */
  toString(): string {
    this.#trim();
    const text = Buffer.concat(this.#chunks).toString('utf8');
    return this.#dropped_bytes === 0 ? text : `[the first ${this.#dropped_bytes} bytes are left out]\n${text}`;
  }

  #trim(): void {
    if (this.#kept_bytes <= this.#max_bytes) return;
    const excess = this.#kept_bytes - this.#max_bytes;
    this.#chunks = [Buffer.concat(this.#chunks).subarray(excess)];
    this.#kept_bytes = this.#max_bytes;
    this.#dropped_bytes += excess;
  }
}
