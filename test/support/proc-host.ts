/** What procs of a host need of it, for tests in which there is no agent. */
import { createPySpy } from '../../src/node-agents/inspect/pyspy/index.ts';
import { LIMITS } from '../../src/node-agents/limits.ts';
import { hostRefs } from '../../src/node-agents/procs/identity.ts';
import type { ProcHost } from '../../src/node-agents/procs/process-proc.ts';

export function testProcHost(): ProcHost {
  const config = () => ({ entries: [] });
  return { name: 'host', refs: hostRefs('host'), pyspy: createPySpy(), config, limits: LIMITS };
}
