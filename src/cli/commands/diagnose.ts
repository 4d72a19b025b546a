import { CLIENT_HELP, CLIENT_OPTIONS, createClient } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { diagnose, type Report, summaryOf } from '../diagnosis.ts';
import { EXIT } from '../exit.ts';
import { runSelfTest, type SelfTestResult } from '../self-test.ts';

export const command: Command = {
  arguments: [],
  options: { ...CLIENT_OPTIONS, json: { type: 'boolean' } },
  help: `meshscope diagnose: is everything reachable, and does the gateway keep its contract?

Usage: meshscope diagnose [OPTIONS]

Runs the self-test of the gateway's guide (/SKILL.md), then probes root, every host, every proc and, in each proc, the
infrastructure and one of the user's actors. Exit code 0 when all is well.

  --json             {"self_test": [...], "checks": [...], "timed_out", "summary"}
${CLIENT_HELP}`,
  async run(invocation) {
    const client = createClient(invocation);
    const selfTest = await runSelfTest(client);
    const report = await diagnose(client);
    const isWell = summaryOf(report).healthy && selfTest.every((result) => result.problem === null);
    const shown = flag(invocation, 'json')
      ? `${JSON.stringify({ self_test: selfTest, ...report, summary: summaryOf(report) }, null, 2)}\n`
      : render(selfTest, report);
    process.stdout.write(shown);
    return isWell ? EXIT.ok : EXIT.failure;
  },
};

function render(selfTest: readonly SelfTestResult[], report: Report): string {
  const points = selfTest.map(({ point, problem }) =>
    problem === null ? `✓ ${point}\n` : `✗ ${point}\n    ${problem}\n`,
  );
  const checks = report.checks.map(({ label, outcome }) => {
    if ('Fail' in outcome) return `✗ ${label}  ${outcome.Fail.elapsed_ms} ms\n    ${outcome.Fail.error}\n`;
    const [mark, { elapsed_ms }] = 'Pass' in outcome ? ['✓', outcome.Pass] : ['⚠', outcome.Slow];
    return `${mark} ${label}  ${elapsed_ms} ms\n`;
  });
  const { passed, total, healthy } = summaryOf(report);
  const passedPoints = selfTest.filter((result) => result.problem === null).length;
  const verdict = `Self-test ${passedPoints}/${selfTest.length}, nodes ${passed}/${total}${report.timed_out ? ', timed out' : ''}`;
  const isWell = healthy && passedPoints === selfTest.length;
  return `Self-test\n${points.join('')}\nNodes\n${checks.join('')}\n${verdict}: ${isWell ? 'healthy' : 'NOT healthy'}\n`;
}
