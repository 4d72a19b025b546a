/** What is said when looking into a process was not permitted: one row per reason. */
import { describe, expect, it } from 'vitest';
import { diagnosePtrace, gatherPtraceFacts, type PtraceFacts } from './ptrace.ts';

/** An agent that nothing hinders. */
const FREE: PtraceFacts = {
  pid: 7,
  yama_ptrace_scope: null,
  own_uid: 1000,
  has_sys_ptrace: false,
  own_capabilities: 0n,
  seccomp_mode: 0,
  container: null,
  target_uids: [1000, 1000, 1000],
  target_capabilities: 0n,
  target_dumpable: true,
  tracer: null,
  same_user_namespace: true,
};
const CAPABLE = { has_sys_ptrace: true, own_uid: 0, own_capabilities: 1n << 19n };

const CASES: readonly (readonly [name: string, facts: Partial<PtraceFacts>, said: readonly string[]])[] = [
  ['nothing that can be seen', {}, ['no setting that is known', 'another tracer', 'SELinux']],
  ['Yama 0 is no reason', { yama_ptrace_scope: 0 }, ['no setting that is known']],
  [
    'Yama 1',
    { yama_ptrace_scope: 1 },
    ['kernel.yama.ptrace_scope is 1', 'sysctl kernel.yama.ptrace_scope=0', 'cap_sys_ptrace'],
  ],
  ['Yama 2', { yama_ptrace_scope: 2 }, ['kernel.yama.ptrace_scope is 2', 'CAP_SYS_PTRACE']],
  ['Yama 3', { yama_ptrace_scope: 3, ...CAPABLE }, ['kernel.yama.ptrace_scope is 3', 'boot']],
  ['another user', { target_uids: [0, 0, 0] }, ['runs as uid 1000', 'as uid 0', 'run the agent as uid 0']],
  ['a saved uid of another user', { target_uids: [1000, 1000, 5] }, ['as uid 5']],
  ['root without the capability', { own_uid: 0, container: 'docker' }, ['as uid 1000', '--cap-add SYS_PTRACE']],
  ['a process that is not dumpable', { target_dumpable: false }, ['not dumpable', 'cap_sys_ptrace']],
  ['a process with more capabilities', { target_capabilities: 1n }, ['capabilities that the agent lacks']],
  ['a tracer that is there', { tracer: 'gdb (pid 9)', ...CAPABLE }, ['traced by gdb (pid 9)', 'detach']],
  [
    'a seccomp filter',
    { seccomp_mode: 2, container: 'docker' },
    ['seccomp', '--cap-add SYS_PTRACE', 'process_vm_readv'],
  ],
  ['a seccomp filter on root', { seccomp_mode: 2, ...CAPABLE }, ['seccomp']],
  ['another user namespace', { same_user_namespace: false, ...CAPABLE }, ['another user namespace']],
  ['Kubernetes', { yama_ptrace_scope: 1, container: 'kubernetes' }, ['securityContext.capabilities.add']],
  ['some other container', { yama_ptrace_scope: 1, container: 'other' }, ['give the container the capability']],
  ['two reasons at once', { yama_ptrace_scope: 1, target_uids: [5, 5, 5] }, ['as uid 5', 'ptrace_scope is 1']],
];

describe('diagnosePtrace', () => {
  it.each(CASES)('names %s', (_, facts, said) => {
    const line = diagnosePtrace({ ...FREE, ...facts });
    for (const words of said) expect(line).toContain(words);
    expect(line).not.toContain('\n');
  });

  it('gives each remedy once', () => {
    const line = diagnosePtrace({ ...FREE, yama_ptrace_scope: 1, target_uids: [5, 5, 5] });
    expect(line.split('cap_sys_ptrace')).toHaveLength(2);
  });

  it('does not blame what the capability overrides', () => {
    const line = diagnosePtrace({
      ...FREE,
      ...CAPABLE,
      yama_ptrace_scope: 1,
      target_uids: [5, 5, 5],
      target_dumpable: false,
    });
    expect(line).toContain('no setting that is known');
  });
});

describe('gatherPtraceFacts', () => {
  it('finds this process to be its own owner, untraced and in its own namespace', () => {
    const facts = gatherPtraceFacts(process.pid);
    expect(facts).toMatchObject({
      pid: process.pid,
      own_uid: process.geteuid?.(),
      tracer: null,
      same_user_namespace: true,
    });
    expect(facts.target_uids).toEqual([process.getuid?.(), process.geteuid?.(), expect.any(Number)]);
  });

  it('knows nothing of a process that is not there', () => {
    expect(gatherPtraceFacts(2 ** 30)).toMatchObject({
      target_uids: [],
      target_dumpable: null,
      same_user_namespace: null,
    });
  });
});
