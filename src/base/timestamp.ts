/** @returns exactly `YYYY-MM-DDThh:mm:ss.mmmZ`: UTC, milliseconds truncated */
export function timestamp(epoch_ms: number): string {
  return new Date(epoch_ms).toISOString();
}
