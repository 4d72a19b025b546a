/**
 * Why py-spy was not permitted to look into a process, and what to do about it. The kernel says only "not permitted";
 * the reason is found by looking at everything that it decides by (ptrace(2), "Ptrace access mode checking"):
 *
 *  1. A process has one tracer at a time.
 *  2. The Yama module: `kernel.yama.ptrace_scope` 0 no restriction, 1 ancestors only, 2 CAP_SYS_PTRACE only, 3 nobody.
 *     py-spy is started by the agent, so it is never an ancestor of the process.
 *  3. Without CAP_SYS_PTRACE in the process's user namespace: the same user ids, a process that is dumpable, and no
 *     capability of it that py-spy lacks.
 *  4. A seccomp filter may forbid `ptrace` and `process_vm_readv` to whole containers.
 */
import { existsSync, readlinkSync, statSync } from 'node:fs';
import { type ProcessStatus, readProcess, readStatus } from '../../procfs/index.ts';
import { readProcText } from '../../procfs/read-proc-file.ts';

export interface PtraceFacts {
  readonly pid: number;
  /** `kernel.yama.ptrace_scope`, null without the module. */
  readonly yama_ptrace_scope: number | null;
  /** The effective user id of the agent, and so of py-spy. */
  readonly own_uid: number | null;
  /** Whether a program that the agent starts has CAP_SYS_PTRACE. */
  readonly has_sys_ptrace: boolean;
  readonly own_capabilities: bigint;
  /** 0 none, 1 strict, 2 filter. */
  readonly seccomp_mode: number;
  readonly container: 'docker' | 'kubernetes' | 'other' | null;
  /** Real, effective and saved user ids of the process; empty when unknown. */
  readonly target_uids: readonly number[];
  readonly target_capabilities: bigint;
  /** Null when it cannot be read, as for processes of root. */
  readonly target_dumpable: boolean | null;
  /** Name and pid of the process that traces it already. */
  readonly tracer: string | null;
  readonly same_user_namespace: boolean | null;
}

const CAP_SYS_PTRACE = 1n << 19n;

/** One line: what is in the way, and what to change. */
export function diagnosePtrace(facts: PtraceFacts): string {
  const causes = causesOf(facts);
  if (causes.length === 0) {
    return `ptrace is not permitted, and no setting that is known to forbid it was found: another tracer may have held process ${facts.pid} at that moment (try again), or a security module such as SELinux or AppArmor forbids it (see its log)`;
  }
  const remedies = [...new Set(causes.flatMap((cause) => cause.remedies))];
  return `ptrace is not permitted: ${causes.map((cause) => cause.text).join('; ')}. To allow it: ${remedies.join(', or ')}`;
}

interface Cause {
  readonly text: string;
  readonly remedies: readonly string[];
}

function causesOf(facts: PtraceFacts): Cause[] {
  if (facts.tracer !== null) {
    const text = `process ${facts.pid} is traced by ${facts.tracer} already, and a process has one tracer at a time`;
    return [{ text, remedies: ['detach or end that one'] }];
  }
  if (facts.yama_ptrace_scope === 3) {
    const text = 'kernel.yama.ptrace_scope is 3, which forbids it to everybody until the next boot';
    return [{ text, remedies: ['boot with kernel.yama.ptrace_scope set to 0, 1 or 2'] }];
  }
  const causes = facts.has_sys_ptrace ? [] : causesWithoutCapability(facts);
  if (facts.has_sys_ptrace && facts.same_user_namespace === false) {
    const text = `process ${facts.pid} is in another user namespace, where the agent's CAP_SYS_PTRACE does not count`;
    causes.push({ text, remedies: [`run the agent in the container or namespace of process ${facts.pid}`] });
  }
  if (causes.length === 0 && facts.seccomp_mode === 2) {
    const text = 'a seccomp filter is on, and may forbid the system calls ptrace and process_vm_readv';
    causes.push({ text, remedies: [capabilityRemedy(facts.container), 'allow the two calls in the seccomp profile'] });
  }
  return causes;
}

function causesWithoutCapability(facts: PtraceFacts): Cause[] {
  const { pid, own_uid, target_uids, yama_ptrace_scope } = facts;
  const capability = capabilityRemedy(facts.container);
  const causes: Cause[] = [];
  const foreign = target_uids.find((uid) => uid !== own_uid);
  if (foreign !== undefined) {
    const remedies = [`run the agent as uid ${foreign}`, capability];
    causes.push({ text: `the agent runs as uid ${own_uid} and process ${pid} as uid ${foreign}`, remedies });
  } else if (facts.target_dumpable === false) {
    const text = `process ${pid} is not dumpable (it dropped privileges, or its program is not readable to its user)`;
    causes.push({ text, remedies: [capability] });
  } else if ((facts.target_capabilities & ~facts.own_capabilities) !== 0n) {
    causes.push({ text: `process ${pid} has capabilities that the agent lacks`, remedies: [capability] });
  }
  if (yama_ptrace_scope === 1) {
    const text = 'kernel.yama.ptrace_scope is 1, which permits it to ancestors of a process only';
    causes.push({ text, remedies: ['sysctl kernel.yama.ptrace_scope=0', capability] });
  }
  if (yama_ptrace_scope === 2) {
    const text = 'kernel.yama.ptrace_scope is 2, which demands CAP_SYS_PTRACE, and the agent lacks it';
    causes.push({ text, remedies: ['sysctl kernel.yama.ptrace_scope=0', capability] });
  }
  return causes;
}

function capabilityRemedy(container: PtraceFacts['container']): string {
  if (container === 'docker') return 'start the container with --cap-add SYS_PTRACE';
  if (container === 'kubernetes') return 'add "SYS_PTRACE" to securityContext.capabilities.add of the container';
  if (container === 'other') return 'give the container the capability SYS_PTRACE';
  return 'give py-spy the capability (setcap cap_sys_ptrace+ep on its file)';
}

/** Looks at the machine, the agent and the process. What cannot be read counts as no hindrance. */
export function gatherPtraceFacts(pid: number): PtraceFacts {
  const own = readStatus('self');
  const target = readStatus(pid);
  const own_uid = own?.uids[1] ?? null;
  const inherited = inheritedCapabilities(own, own_uid);
  return {
    pid,
    yama_ptrace_scope: yamaPtraceScope(),
    own_uid,
    has_sys_ptrace: (inherited & CAP_SYS_PTRACE) !== 0n,
    own_capabilities: inherited,
    seccomp_mode: own?.seccomp_mode ?? 0,
    container: containerKind(),
    target_uids: target?.uids.slice(0, 3) ?? [],
    target_capabilities: target?.permitted_capabilities ?? 0n,
    target_dumpable: isDumpable(pid, target),
    tracer: tracerOf(target),
    same_user_namespace: isInSameUserNamespace(pid),
  };
}

/** A program started by root gets what root has; one started by another user only the ambient capabilities. */
function inheritedCapabilities(own: ProcessStatus | null, own_uid: number | null): bigint {
  return (own_uid === 0 ? own?.effective_capabilities : own?.ambient_capabilities) ?? 0n;
}

function yamaPtraceScope(): number | null {
  const text = readProcText('/proc/sys/kernel/yama/ptrace_scope')?.trim() ?? '';
  return /^[0-9]$/.test(text) ? Number(text) : null;
}

/** The kernel gives the files of a process that is not dumpable to root, whoever runs it; its folder it does not. */
function isDumpable(pid: number, target: ProcessStatus | null): boolean | null {
  const effective_uid = target?.uids[1];
  if (effective_uid === undefined || effective_uid === 0) return null;
  try {
    return statSync(`/proc/${pid}/environ`).uid === effective_uid;
  } catch {
    return null;
  }
}

function tracerOf(target: ProcessStatus | null): string | null {
  const tracer_pid = target?.tracer_pid ?? 0;
  return tracer_pid === 0 ? null : `${readProcess(tracer_pid)?.comm ?? 'a process'} (pid ${tracer_pid})`;
}

function isInSameUserNamespace(pid: number): boolean | null {
  try {
    return readlinkSync('/proc/self/ns/user') === readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return null;
  }
}

function containerKind(): PtraceFacts['container'] {
  const cgroup = readProcText('/proc/self/cgroup') ?? '';
  if (process.env.KUBERNETES_SERVICE_HOST !== undefined || cgroup.includes('kubepods')) return 'kubernetes';
  if (existsSync('/.dockerenv') || cgroup.includes('docker')) return 'docker';
  return existsSync('/run/.containerenv') || /containerd|lxc|libpod/.test(cgroup) ? 'other' : null;
}
