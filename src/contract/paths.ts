/** Paths that more than the gateway has to know. */
export const EVENTS_PATH = '/v1/events';
/** Where host agents dial in. */
export const LINK_PATH = '/v1/link';
/** Where a telemetry service dials in. */
export const STORE_PATH = '/v1/store';
