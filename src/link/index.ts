/**
 * Both ends of the WebSocket between a gateway and whoever dials in, agents and stores: dialling, accepting, and the calls
 * that go over it. What is spoken is in contract/link.ts and contract/store-link.ts.
 *
 * The dialling side is imported by its own path, `dialling/index.ts`: it needs Node, which a gateway may not have.
 */
export { AcceptedLink, type AcceptedLinkOwner, type LinkPhase } from './accepting/accepted-link.ts';
export type { Link, LinkReceiver } from './accepting/socket.ts';
export { Answerer, type AnswererLimits, type AnsweringLink } from './calls/answerer.ts';
export { AskWindow, type StoreQuestion } from './calls/ask-window.ts';
export {
  Asker,
  type AskerLimits,
  type BudgetLimits,
  CallBudget,
  type CallEnd,
  type Fault,
  type FullBound,
  type Questions,
  type StartedCall,
} from './calls/asker.ts';
export { AGENT_LINK, type Grammar, STORE_LINK } from './grammar.ts';
export { LINK_LIMITS, type LinkLimits } from './limits.ts';
