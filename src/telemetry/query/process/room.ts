/** How much of a result may still be written, so that a result that is too long is noticed while it is being written. */

/** Thrown by `Room`; its owner catches it and says what was too long. */
export class NoRoom extends Error {}

export class Room {
  #left: number;

  /** @param size what fits, in characters or bytes */
  constructor(size: number) {
    this.#left = size;
  }

  /** @throws NoRoom when that is more than is left */
  take(size: number): void {
    this.need(size);
    this.#left -= size;
  }

  /** @throws NoRoom when that is more than is left; takes nothing */
  need(size: number): void {
    if (size > this.#left) throw new NoRoom();
  }
}
