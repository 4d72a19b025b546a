import * as v from 'valibot';

/** What a client may send or a peer may push: any number of fraction digits, `Z` or `+00:00`. */
export const Timestamp = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)$/, 'must be a UTC timestamp'),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'must be a date that exists'),
);
