/** Adds to py-spy's own error message what the reader can do about it. */
import { readlinkSync } from 'node:fs';
import path from 'node:path';
import type { ProcessIdentity } from '../../procfs/index.ts';
import { diagnosePtrace, gatherPtraceFacts } from './ptrace.ts';
import { isPermissionFailure, isWithoutPython } from './stderr.ts';
import { lookAtTarget } from './target.ts';

/** py-spy's text, followed by a line that says why it could not look at the process, when the reason is known. */
export function explainFailure(stderr: string, target: ProcessIdentity): string {
  const state = lookAtTarget(target);
  if (state.kind === 'gone') return joinLines(stderr, state.reason);
  if (state.kind === 'stopped') {
    return joinLines(
      stderr,
      `process ${target.pid} is stopped by a signal, and cannot be paused for a look; continue it with: kill -CONT ${target.pid}`,
    );
  }
  if (isPermissionFailure(stderr)) return joinLines(stderr, diagnosePtrace(gatherPtraceFacts(target.pid)));
  if (!isWithoutPython(stderr)) return stderr;
  return joinLines(stderr, `no Python was found in process ${target.pid}${programOf(target.pid)}`);
}

/** The program that a process runs, in parentheses; nothing where that may not be known. */
function programOf(pid: number): string {
  try {
    return ` (${path.basename(readlinkSync(`/proc/${pid}/exe`))})`;
  } catch {
    return '';
  }
}

function joinLines(text: string, line: string): string {
  return text === '' || text.endsWith('\n') ? `${text}${line}\n` : `${text}\n${line}\n`;
}
