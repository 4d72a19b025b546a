/** An open WebSocket as the runtime of a gateway hands it over. */

/** The sending half. Neither call throws; both do nothing once the socket has closed. */
export interface Link {
  send(text: string): void;
  close(code: number, reason: string): void;
  /**
   * Wall clock of the last heartbeat that the runtime answered by itself, milliseconds since the epoch; null before the
   * first. Only for hubs with an external timer. Default: the runtime answers none.
   */
  heardAt_ms?(): number | null;
}

/** The receiving half, which the runtime calls: once per text message, and once at the end. */
export interface LinkReceiver {
  receive(text: string): void;
  closed(): void;
}
