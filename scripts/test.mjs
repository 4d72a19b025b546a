/**
 * `npm test [-- VITEST ARGS]`, the one gate: types, lint and format, tests. Everything runs even when something before
 * it failed, and the last line counts it all. A failed check, or a test file that could not be loaded, counts as one
 * failure, so that the line never says "0 failed" of a run that failed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensure } from './ensure.mjs';
import { launch } from './launch.mjs';
import { cloneEnvironment, findNode, noNodeMessage, root } from './runtime.mjs';

const tool = (path) => join(root, 'node_modules', path);
const reports = mkdtempSync(join(tmpdir(), 'meshscope-test-'));

try {
  await ensure();
  process.exitCode = await test(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode ?? 1;
} finally {
  rmSync(reports, { recursive: true, force: true });
}

async function test(args) {
  const node = findNode();
  if (!node) throw new Error(noNodeMessage());
  const run = (script, ...rest) => launch(node, [tool(script), ...rest], { cwd: root, env: cloneEnvironment() });

  const checks = [
    { name: 'types', code: await run('typescript/bin/tsc', '--noEmit') },
    { name: 'lint and format', code: await run('@biomejs/biome/bin/biome', 'check') },
  ];
  const report = join(reports, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await run('vitest/vitest.mjs', 'run', ...reporters, ...args);

  const counts = count(report);
  const failedChecks = checks.filter((check) => check.code !== 0);
  for (const check of failedChecks) process.stdout.write(`check failed: ${check.name}\n`);
  // Vitest also fails for errors outside any test, which its report does not count.
  const failed = Math.max(counts.failed, code === 0 ? 0 : 1) + failedChecks.length;
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  process.stdout.write(`${counts.passed} passed, ${failed} failed${skipped}\n`);
  if (code > 128) return code;
  return failed === 0 ? 0 : 1;
}

function count(path) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }; // Vitest ended before it could write one; its exit code tells.
  }
  const unloadable = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloadable.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
