/** Loaded ahead of an agent whose gateway is killed again and again: it dials at once, however often that was in vain. */
import { LINK_LIMITS } from '../../src/link/index.ts';

Object.assign(LINK_LIMITS, { backoff_first_ms: 20, backoff_max_ms: 20 });
