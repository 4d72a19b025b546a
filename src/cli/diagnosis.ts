/**
 * The walk of `meshscope diagnose`, in the order and with the report of the mesh admin API's own diagnostic.
 *
 * Root, then every host; in a host, every proc; in a proc, its infrastructure and the first of the user's actors. One
 * probe at a time, children in the order the gateway gave them.
 */
import type { NodePayload } from '../contract/index.ts';
import { parseNodeRef, renderUid } from '../contract/index.ts';
import type { Client } from './client.ts';
import { CommandError } from './exit.ts';

const SLOW_MS = 500;
const WHOLE_RUN_MS = 120_000;

export type CheckOutcome =
  | { readonly Pass: { readonly elapsed_ms: number } }
  | { readonly Slow: { readonly elapsed_ms: number } }
  | { readonly Fail: { readonly elapsed_ms: number; readonly error: string } };

type Phase = 'AdminInfra' | 'Mesh';

export interface Check {
  readonly label: string;
  readonly reference: string;
  /** The part that the node plays, or null. */
  readonly note: string | null;
  readonly phase: Phase;
  readonly outcome: CheckOutcome;
}

export interface Report {
  readonly checks: readonly Check[];
  readonly timed_out: boolean;
}

export interface Summary {
  readonly total: number;
  readonly passed: number;
  readonly failed: number;
  readonly admin_infra_total: number;
  readonly admin_infra_passed: number;
  readonly mesh_total: number;
  readonly mesh_passed: number;
  readonly healthy: boolean;
}

export async function diagnose(client: Client): Promise<Report> {
  const checks: Check[] = [];
  const deadline_ms = Date.now() + WHOLE_RUN_MS;
  let timed_out = false;

  const probe = async (
    reference: string,
    phase: Phase,
    note: string | null,
    indent = '',
  ): Promise<NodePayload | null> => {
    if (Date.now() >= deadline_ms) {
      timed_out = true;
      return null;
    }
    const started_ms = performance.now();
    const node = await client.tryNode(reference);
    const elapsed_ms = Math.floor(performance.now() - started_ms);
    if (node instanceof CommandError) {
      const outcome = { Fail: { elapsed_ms, error: node.message } };
      checks.push({ label: indent + reference, reference, note, phase, outcome });
      return null;
    }
    const outcome = elapsed_ms < SLOW_MS ? { Pass: { elapsed_ms } } : { Slow: { elapsed_ms } };
    checks.push({ label: indent + labelOf(node), reference, note, phase, outcome });
    return node;
  };

  const root = await probe('root', 'AdminInfra', 'AdminServer');
  for (const hostReference of root?.children ?? []) {
    const host = await probe(hostReference, 'AdminInfra', 'HostAgent');
    for (const procReference of host?.children ?? []) {
      const proc = await probe(procReference, 'Mesh', 'UserProc', '  ');
      if (proc === null || !('Proc' in proc.properties)) continue;
      const system = proc.properties.Proc.system_children;
      const firstUserActor = proc.children.find((child) => !system.includes(child));
      for (const actor of system) await probe(actor, 'Mesh', noteOf(actor), '    ');
      if (firstUserActor !== undefined) await probe(firstUserActor, 'Mesh', 'UserActor', '    ');
    }
  }
  return { checks, timed_out };
}

export function summaryOf({ checks, timed_out }: Report): Summary {
  const count = (phase: Phase | null, onlyPassed: boolean): number =>
    checks.filter((check) => (phase === null || check.phase === phase) && (!onlyPassed || !('Fail' in check.outcome)))
      .length;
  const [total, passed] = [count(null, false), count(null, true)];
  return {
    total,
    passed,
    failed: total - passed,
    admin_infra_total: count('AdminInfra', false),
    admin_infra_passed: count('AdminInfra', true),
    mesh_total: count('Mesh', false),
    mesh_passed: count('Mesh', true),
    healthy: passed === total && !timed_out,
  };
}

function labelOf(node: NodePayload): string {
  const { properties } = node;
  if ('Host' in properties) return properties.Host.addr;
  if ('Proc' in properties) return properties.Proc.proc_name;
  if ('Error' in properties) return properties.Error.message;
  const ref = parseNodeRef(node.identity);
  return ref.ok && ref.value.kind === 'actor' ? renderUid(ref.value.actor) : node.identity;
}

function noteOf(actor: string): string | null {
  if (actor.startsWith('cast')) return 'CastActor';
  if (actor.startsWith('proc_agent')) return 'ProcAgent';
  return actor.startsWith('host_agent') ? 'ActorLifecycleManager' : null;
}
