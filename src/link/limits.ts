/** Every bound of a link that both of its kinds have, with its number. Times in milliseconds, sizes as their names say. */
export const LINK_LIMITS = {
  /** Longest wait for a connection and its welcome. Then the dial has failed. */
  dial_timeout_ms: 10_000,
  /** Longest wait for the gateway's word on why it did not take a connection. Then the dial has failed without a reason. */
  explain_timeout_ms: 2_000,
  /** Wait after the first failed dial, at most. It doubles with each further one; half of it is left to chance. */
  backoff_first_ms: 250,
  /** Longest wait between two dials. */
  backoff_max_ms: 15_000,
  /** Uptime of a link after which the next dial starts again at the first wait, and a drained link is dialled again at once. */
  backoff_reset_ms: 10_000,
  /** Within this time those who had a link to a gateway that drained dial again, each at a moment of its own. */
  drained_spread_ms: 200,
  /** Bytes that may wait in the socket of whoever dialled. Beyond it the link is closed and synchronized anew. */
  send_buffer_max_bytes: 32 * 1024 * 1024,
  /** Frames that may arrive between the welcome and whoever listens for them. Beyond it the link is closed. */
  early_frames_max: 1_024,
  /** How long the peer has to answer a close. Then the socket is destroyed. */
  close_wait_ms: 1_000,
};

export type LinkLimits = Readonly<typeof LINK_LIMITS>;
