/** `npm start [-- ARGS]`: installs what is missing, then runs `meshscope up ARGS` from the sources. */
import { runCli } from './cli.mjs';
import { ensure } from './ensure.mjs';

// npm runs scripts in the package's folder; INIT_CWD is where the user typed, and where `train.py` lies.
const cwd = process.env.npm_lifecycle_event === 'start' ? process.env.INIT_CWD : undefined;

try {
  await ensure();
  process.exitCode = await runCli(['up', ...process.argv.slice(2)], { cwd });
} catch (error) {
  process.stderr.write(`meshscope: ${error.message}\n`);
  process.exitCode = error.exitCode ?? 1;
}
