/** What is added to py-spy's own words when it failed, so that the reader knows what to change. */
import type { ProcessIdentity } from '../procfs/index.ts';
import { diagnosePtrace, gatherPtraceFacts, isPermissionFailure } from './ptrace.ts';
import { lookAtTarget } from './target.ts';

/** py-spy's text, and a line saying why it was not allowed or not able to look at the process, when that can be told. */
export function explainFailure(stderr: string, target: ProcessIdentity): string {
  const state = lookAtTarget(target);
  if (state.kind === 'gone') return joinLines(stderr, state.reason);
  if (state.kind === 'stopped') {
    return joinLines(
      stderr,
      `process ${target.pid} is stopped by a signal, and cannot be paused for a look; continue it with: kill -CONT ${target.pid}`,
    );
  }
  return isPermissionFailure(stderr) ? joinLines(stderr, diagnosePtrace(gatherPtraceFacts(target.pid))) : stderr;
}

function joinLines(text: string, line: string): string {
  return text === '' || text.endsWith('\n') ? `${text}${line}\n` : `${text}\n${line}\n`;
}
