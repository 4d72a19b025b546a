/** What `npm start` leans on: the launcher's handling of ends and signals, and the lock around installations. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

type Child = ChildProcessByStdio<Writable, Readable, null>;

const scripts = new URL('../scripts/', import.meta.url);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'meshscope-scripts-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the launcher', () => {
  test.each([
    ['the code of a child that exits', 'process.exit(7)', 7],
    ['128 + n for a child that a signal ended', "process.kill(process.pid, 'SIGKILL')", 137],
  ])('exits with %s', async (_, child, code) => {
    expect(await exitCode(launcherOf(child))).toBe(code);
  });

  test('turns any number of signals into one SIGTERM, and waits for the child', async () => {
    const launcher = launcherOf(
      `const seen = [];
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => seen.push(signal));
      console.log('ready');
      // The end of the input may be told before a signal that came first.
      const report = () => {
        if (seen.length === 0) return setTimeout(report, 10);
        console.log(seen.join());
        process.exit(5);
      };
      process.stdin.on('end', () => setTimeout(report)).resume();`,
      "for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => console.log('handled'));",
    );
    await firstOutput(launcher);
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      launcher.kill(signal);
      await firstOutput(launcher);
    }
    const rest = text(launcher.stdout);
    launcher.stdin.end();
    expect(await exitCode(launcher)).toBe(5);
    expect((await rest).trim()).toBe('SIGTERM');
  });

  test('lets the child notice that the launcher was killed', async () => {
    const launcher = launcherOf(`
      const { Socket } = require('node:net');
      const parent = new Socket({ fd: Number(process.env.MESHSCOPE_PARENT_FD) });
      parent.on('end', () => { console.log('orphaned'); process.exit(); }).resume();
      console.log('ready');
    `);
    await firstOutput(launcher);
    const rest = text(launcher.stdout);
    launcher.kill('SIGKILL');
    expect((await rest).trim()).toBe('orphaned');
  });
});

describe('the lock', () => {
  test('lets one in at a time', async () => {
    // Each holder reads a counter and writes it back later, which loses counts if two are ever inside together.
    writeFileSync(join(folder, 'counter'), '0');
    const work = `async () => {
      const count = Number(fs.readFileSync('counter', 'utf8'));
      await new Promise((resolve) => setTimeout(resolve, 50));
      fs.writeFileSync('counter', String(count + 1));
    }`;
    const holders = Array.from({ length: 4 }, () => lockerOf(work));
    expect(await Promise.all(holders.map(exitCode))).toEqual([0, 0, 0, 0]);
    expect(readFileSync(join(folder, 'counter'), 'utf8')).toBe('4');
    expect(readdirSync(folder)).toEqual(['counter']);
  });

  test('passes on from an owner that was killed', async () => {
    const killed = lockerOf("() => new Promise(() => { setInterval(() => {}, 1e6); console.log('inside'); })");
    await firstOutput(killed);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(readdirSync(folder)).toEqual(['lock']);
    expect(await exitCode(lockerOf('() => {}'))).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.skipIf(process.platform !== 'linux')('is not kept by a pid that another process uses by now', async () => {
    mkdirSync(join(folder, 'lock'));
    writeFileSync(join(folder, 'lock', `${process.pid}.1`), '');
    expect(await exitCode(lockerOf('() => {}'))).toBe(0);
  });
});

/** A process that launches `child`; `meanwhile` is code of the launching process itself. */
function launcherOf(child: string, meanwhile = ''): Child {
  return node(`
    const { launch } = await import('${new URL('launch.mjs', scripts)}');
    const launched = launch(process.execPath, ['-e', ${JSON.stringify(child)}]);
    ${meanwhile}
    process.exitCode = await launched;
  `);
}

function lockerOf(work: string): Child {
  return node(`
    import fs from 'node:fs';
    const { withLock } = await import('${new URL('lock.mjs', scripts)}');
    await withLock('${join(folder, 'lock')}', () => {}, ${work});
  `);
}

function node(module: string): Child {
  const args = ['--input-type=module', '-e', module];
  return spawn(process.execPath, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
}

async function exitCode(child: Child): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

async function firstOutput(child: Child): Promise<void> {
  await once(child.stdout, 'data');
}
