/** How things on a host get their names: uids from what a process is, labels from what it runs. */
import path from 'node:path';
import {
  type ActorRef,
  actorIn,
  type HostRef,
  hostLocation,
  type ProcRef,
  stripLabel,
  type Uid,
} from '../../contract/index.ts';
import { hashUid } from '../producer/hash-uid.ts';

const SERVICE: Uid = { kind: 'singleton', label: 'service' };
const HOST_AGENT: Uid = { kind: 'singleton', label: 'host_agent' };
const PROC_AGENT: Uid = { kind: 'singleton', label: 'proc_agent' };

export interface HostRefs {
  readonly host: HostRef;
  readonly service: ProcRef;
  readonly host_agent: ActorRef;
}

export function hostRefs(hostName: string): HostRefs {
  const service: ProcRef = { kind: 'proc', proc: SERVICE, location: hostLocation(hostName) };
  const host_agent = actorIn(service, HOST_AGENT);
  return { host: { kind: 'host', agent: host_agent }, service, host_agent };
}

export interface ProcRefs {
  readonly proc: ProcRef;
  readonly proc_agent: ActorRef;
  readonly command: ActorRef;
}

/**
 * The references of a proc and its two actors.
 *
 * @param label the proc's name, decoration of the uid
 * @param program the label of the command's actor
 */
export function procRefs(hostName: string, label: string, program: string, number: bigint): ProcRefs {
  const proc: ProcRef = {
    kind: 'proc',
    proc: { kind: 'instance', number, label },
    location: hostLocation(hostName),
  };
  const command: Uid = { kind: 'instance', number: hashUid('command', number.toString()), label: program };
  return { proc, proc_agent: actorIn(proc, PROC_AGENT), command: actorIn(proc, command) };
}

const SCRIPT_HOSTS = /^(python|pypy|node|deno|bun|ruby|perl|bash|sh|dash|zsh)[0-9.]*$/;

/** The label of what a command runs: the script or module for an interpreter, the program otherwise. */
export function programLabel(command: readonly string[]): string {
  const [program = '', ...args] = command;
  const base = path.basename(program);
  if (!SCRIPT_HOSTS.test(base)) return stripLabel(withoutExtension(base));
  const module = args.indexOf('-m');
  const script = args.findIndex((argument) => !argument.startsWith('-'));
  if (module >= 0 && (script < 0 || module < script))
    return stripLabel((args[module + 1] ?? base).split('.').pop() ?? base);
  // The argument of `-c` is code, not a name.
  if (args.includes('-c') || script < 0) return stripLabel(base);
  return stripLabel(withoutExtension(path.basename(args[script] ?? base)));
}

function withoutExtension(name: string): string {
  return name.replace(/\.(py|pyc|js|mjs|cjs|ts|mts|sh|rb|pl)$/, '');
}
