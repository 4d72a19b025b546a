/** The documentation says what is so: links, files and functions, commands, numbers, the example of a mesh file. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describe, expect, test } from 'vitest';
import { LIMITS_FILE, renderLimits, SECTIONS } from '../scripts/generate-limits-doc.ts';
import type { Command } from '../src/cli/command.ts';
import { EXIT } from '../src/cli/exit.ts';
import { PROFILE_MAX_S } from '../src/contract/index.ts';
import { LIMITS as GATEWAY_LIMITS } from '../src/edge-gateway/limits.ts';
import { parseMeshFile } from '../src/node-agents/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const PAGES = ['README.md', 'CONTRIBUTING.md', ...readdirSync(path.join(root, 'docs')).map((name) => `docs/${name}`)];
const SOURCES = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.includes('.test.'))
  .map((file) => read(`src/${file}`))
  .join('\n');

describe.each(PAGES)('%s', (page) => {
  const text = read(page);

  test('links to files and headings that exist', () => {
    const broken = linksOf(text).filter(({ target }) => linkError(page, target) !== null);
    expect(broken.map(({ target }) => linkError(page, target))).toEqual([]);
  });

  test('shows only commands and options that exist', async () => {
    const errors = await Promise.all(commandsIn(text).map(commandError));
    expect(errors.filter((error) => error !== null)).toEqual([]);
  });

  test('names only npm scripts, files and variables that exist', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const unknownScripts = [...text.matchAll(/npm run ([\w:-]+)|`(bench:[\w-]+)`/g)]
      .map(([, run, bench]) => run ?? bench ?? '')
      .filter((name) => !Object.hasOwn(scripts, name));
    const unknownFiles = [...text.matchAll(/\b(?:scripts|test|src|docs|examples)\/[\w./-]*\.(?:ts|mjs|md|json|py)\b/g)]
      .map(([file]) => file)
      .filter((file) => !existsSync(path.join(root, file)));
    const unknownVariables = [...text.matchAll(/\b(?:MESHSCOPE_[A-Z]+|PYSPY_BIN)\b/g)]
      .map(([name]) => name)
      .filter((name) => !SOURCES.includes(name));
    expect({ unknownScripts, unknownFiles, unknownVariables }).toEqual({
      unknownScripts: [],
      unknownFiles: [],
      unknownVariables: [],
    });
  });

  test('names no machine and no registry', () => {
    const found = text.match(
      /\/(?:root|home|tmp|work|Users|private)\/\S*|registry\.(?!ts\b)[a-z]\S*|npmjs\.\w+|pypi\.\w+|artifactory/gi,
    );
    expect(found).toBeNull();
  });
});

test('a command that does not exist, or has other options, would be found', async () => {
  const wrong = [
    'meshscope show x',
    'meshscope tree --depth 3',
    'meshscope stack',
    'meshscope tree x',
    'meshscope get x',
  ];
  const errors = await Promise.all(commandsIn(`\`\`\`\n${wrong.join('\n')}\n\`\`\``).map(commandError));
  expect(errors.map((error) => error === null)).toEqual([false, false, false, false, true]);
});

test('every function named behind a file in the architecture page is defined in that file', () => {
  const text = read('docs/architecture.md');
  const named = [...text.matchAll(/\]\(\.\.\/([\w./-]+\.ts)\)((?:(?:\s|,|and|or)+`#?[A-Za-z]\w*`)+)/g)].flatMap(
    ([, file = '', names = '']) => [...names.matchAll(/`(#?\w+)`/g)].map(([, name = '']) => ({ file, name })),
  );
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter(({ file, name }) => !isDefined(read(file), name))).toEqual([]);
});

test('other words in code of the walks stand in the file that was named last', () => {
  const walks = read('docs/architecture.md')
    .split(/^## /m)
    .filter((part) => part.startsWith('One '));
  expect(walks).toHaveLength(2);
  const missing = walks.flatMap((walk) =>
    [...walk.matchAll(/\]\(\.\.\/([\w./-]+\.ts)\)((?:(?!\]\(|\n\n).)*)/gs)].flatMap(([, file = '', after = '']) =>
      [...after.matchAll(/`#?([A-Za-z]\w*)`/g)]
        .filter(([, word = '']) => !new RegExp(`\\b${word}\\b`).test(read(file)))
        .map(([, word]) => `${file}: ${word}`),
    ),
  );
  expect(missing).toEqual([]);
});

test('the page of limits is what its script makes of the limits', () => {
  expect(readFileSync(LIMITS_FILE, 'utf8'), 'run: npx node scripts/generate-limits-doc.ts').toBe(renderLimits());
});

test('the page of limits has every file of limits', () => {
  const files = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const listed = SECTIONS.flatMap(({ sources }) => sources.map(({ file }) => file));
  expect(listed).toEqual(
    expect.arrayContaining(files.filter((file) => file.endsWith('limits.ts')).map((file) => `src/${file}`)),
  );
});

test('the example of a mesh file is one, and its bounds are those that are told', () => {
  const page = read('docs/mesh-file.md');
  const [, example = ''] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
  const specs = parseMeshFile(example);
  expect(specs.ok && specs.value.map(({ name, procs }) => [name, procs])).toEqual([
    ['trainer', 4],
    ['loader', 1],
  ]);
  const isValid = (...procs: object[]): boolean => parseMeshFile(JSON.stringify({ procs })).ok;
  const command = ['true'];
  expect(page).toContain('1 to 256');
  expect([256, 257].map((count) => isValid(...Array.from({ length: count }, () => ({ command }))))).toEqual([
    true,
    false,
  ]);
  expect(page).toContain('1 to 1,024');
  expect([1_024, 1_025].map((procs) => isValid({ command, procs }))).toEqual([true, false]);
  expect(page).toContain('of all commands together at most 1,024');
  expect([512, 513].map((procs) => isValid({ command, procs: 512 }, { command, procs }))).toEqual([true, false]);
  expect(page).toContain('at most 56 characters');
  expect([56, 57].map((length) => isValid({ command, name: 'a'.repeat(length) }))).toEqual([true, false]);
});

describe('the page of deployment', () => {
  const page = read('docs/deploy.md');
  const files = readdirSync(path.join(root, 'deploy'), { recursive: true, encoding: 'utf8' })
    .map((file) => `deploy/${file}`)
    .filter((file) => statSync(path.join(root, file)).isFile() && !file.endsWith('.dockerignore'));

  test('links to every file in deploy/', () => {
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((file) => !page.includes(`](../${file})`))).toEqual([]);
  });

  test('has units that start what there is', async () => {
    const starts = files.flatMap((file) => [...read(file).matchAll(/^ExecStart=(.*)$/gm)].map(([, line = '']) => line));
    const own = starts.filter((line) => line.startsWith('/usr/local/bin/meshscope '));
    expect(starts.length - own.length).toBe(1);
    expect(starts.filter((line) => !own.includes(line))).toEqual([expect.stringContaining('deno task start ')]);
    const errors = await Promise.all(own.map((line) => commandError(shellWords(line).slice(1))));
    expect(errors.filter((error) => error !== null)).toEqual([]);
  });

  test('tells of every variable that the Worker reads, as wrangler.toml does', () => {
    const source = read('src/edge-gateway/targets/worker/options.ts');
    const variables = [...source.matchAll(/readonly (MESHSCOPE_\w+)\?:/g)].map(([, name = '']) => name);
    expect(variables.length).toBeGreaterThan(8);
    expect(variables.filter((name) => !page.includes(name))).toEqual([]);
    expect(variables.filter((name) => !read('wrangler.toml').includes(name))).toEqual([]);
  });

  test('has proxies that take what the gateway takes', () => {
    const nginx = read('deploy/proxy/nginx.conf');
    expect(nginx).toContain(`client_max_body_size ${GATEWAY_LIMITS.body_max_bytes / 1024 ** 2}m;`);
    expect(nginx).toContain(`large_client_header_buffers 4 ${GATEWAY_LIMITS.head_max_bytes / 1024}k;`);
    const longest_s = PROFILE_MAX_S + GATEWAY_LIMITS.profile_extra_wait_ms / 1_000;
    for (const file of ['deploy/proxy/nginx.conf', 'deploy/proxy/Caddyfile']) {
      const [, wait_s] = /(?:proxy_read_timeout|response_header_timeout) (\d+)s/.exec(read(file)) ?? [];
      expect(Number(wait_s)).toBeGreaterThan(longest_s);
    }
  });
});

test('the README lists the exit codes that there are', () => {
  const [, table = ''] = /\| exit code \|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)/.exec(read('README.md')) ?? [];
  const listed = [...table.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  expect(listed).toEqual(Object.values(EXIT));
});

test('every dependency is listed with its reason', () => {
  const page = read('CONTRIBUTING.md');
  const manifests = ['package.json', 'tools/runtime/package.json'].map((file) => JSON.parse(read(file)));
  const names = manifests.flatMap((manifest) =>
    Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }),
  );
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

interface Link {
  readonly target: string;
}

function linksOf(text: string): Link[] {
  const prose = text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ target }));
}

/** What is wrong with a relative link; null when nothing is. */
function linkError(page: string, target: string): string | null {
  if (/^[a-z]+:/.test(target)) return null;
  const [file = '', anchor] = target.split('#');
  const found = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
  if (!existsSync(path.join(root, found))) return `${target}: no such file`;
  if (anchor === undefined) return null;
  const isPage = statSync(path.join(root, found)).isFile() && found.endsWith('.md');
  return isPage && headingsOf(read(found)).includes(anchor) ? null : `${target}: no such heading`;
}

/** The anchors of a page's headings, as GitHub makes them. */
function headingsOf(text: string): string[] {
  return [...text.replace(/```[\s\S]*?```/g, '').matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The words of each `meshscope …` in code: whole blocks and code inside a line, up to the end of the command. */
function commandsIn(text: string): string[][] {
  const blocks = [...text.matchAll(/```\w*\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  return [...blocks, ...inline].flatMap((code) =>
    [...code.matchAll(/(?<=^|[\s("$])meshscope (?=[a-z-])/gm)].map(({ index }) =>
      shellWords(code.slice(index)).slice(1),
    ),
  );
}

/** Words as a shell reads them, quotes taken off, up to the end of the command. */
function shellWords(code: string): string[] {
  const words: string[] = [];
  const token = /[ \t]*(?:\\\n)?(#|[\n|;)&<>]|(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'|;)&<>\\])+)/y;
  for (let match = token.exec(code); match !== null; match = token.exec(code)) {
    const [, word = ''] = match;
    if (/^[#\n|;)&<>]$/.test(word)) break;
    words.push(word.replace(/["']/g, ''));
  }
  return words;
}

async function commandError(words: readonly string[]): Promise<string | null> {
  const [name = '', ...args] = words;
  const shown = `meshscope ${words.join(' ')}`;
  if (name.startsWith('-')) return ['--help', '--version'].includes(name) ? null : `${shown}: no such option`;
  if (!existsSync(path.join(root, 'src/cli/commands', `${name}.ts`))) return `${shown}: no such command`;
  const { command }: { command: Command } = await import(`../src/cli/commands/${name}.ts`);
  const separator = args.indexOf('--');
  if (separator >= 0 && command.takesCommand !== true) return `${shown}: takes no command`;
  const own = separator < 0 ? args : args.slice(0, separator);
  try {
    const options = { ...command.options, help: { type: 'boolean' } } as const;
    const { positionals, values } = parseArgs({ args: own, options, allowPositionals: true, strict: true });
    if (values.help === true || isMention(words)) return null;
    const required = command.arguments.filter((argument) => !argument.endsWith('?')).length;
    const isFit = positionals.length >= required && positionals.length <= command.arguments.length;
    return isFit ? null : `${shown}: ${positionals.length} arguments`;
  } catch (error) {
    return `${shown}: ${(error as Error).message}`;
  }
}

/** A command that is named to speak about it, with an ellipsis where its arguments would be. */
function isMention(words: readonly string[]): boolean {
  return words.at(-1) === '…';
}

/** Whether a name is a function, method, class, constant, type or property of a source text. */
function isDefined(source: string, name: string): boolean {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return new RegExp(
    `\\b(?:function\\*?|class|const|let|interface|type) ${name}\\b|(?:^|\\s)(?:async )?${name}(?:<[^>]*>)?\\(|(?:^|[\\s{])${name}:`,
    'm',
  ).test(code);
}
