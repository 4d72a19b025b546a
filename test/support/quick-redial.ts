/** Loaded ahead of an agent whose gateway is killed again and again: it dials at once, however often that was in vain. */
import { LIMITS } from '../../src/node-agents/limits.ts';

Object.assign(LIMITS, { backoff_first_ms: 20, backoff_max_ms: 20 });
