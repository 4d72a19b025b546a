import { describe, expect, it } from 'vitest';
import { captureMode, dumpArguments, HTTP_DUMP_OPTS, profileArguments } from './arguments.ts';
import { candidates, firstPresent } from './candidates.ts';
import { resolveOptions } from './options.ts';

const ON_PATH = { program: 'py-spy', label: 'py-spy on PATH' };

describe('candidates (PS-3)', () => {
  it('are py-spy on PATH alone when nothing, or nothing but emptiness, is configured', () => {
    expect(candidates(undefined)).toEqual([ON_PATH]);
    expect(candidates('')).toEqual([ON_PATH]);
  });

  it('begin with the configured one, unmodified', () => {
    expect(candidates('/opt/x y/py-spy')).toEqual([
      { program: '/opt/x y/py-spy', label: 'PYSPY_BIN=/opt/x y/py-spy' },
      ON_PATH,
    ]);
  });

  it('are tried until one is present, and listed up to it', async () => {
    const tried: string[] = [];
    const attempt = (present: string) => (program: string) => {
      tried.push(program);
      return Promise.resolve(program === present ? program : null);
    };
    expect(await firstPresent('a', attempt('a'))).toEqual({ found: 'a' });
    expect(await firstPresent('a', attempt('py-spy'))).toEqual({ found: 'py-spy' });
    expect(await firstPresent('a', attempt('none'))).toEqual({ searched: ['PYSPY_BIN=a', 'py-spy on PATH'] });
    expect(tried).toEqual(['a', 'a', 'py-spy', 'a', 'py-spy']);
  });
});

describe('argument lists', () => {
  it('of a dump have their flags in order', () => {
    expect(dumpArguments(7, HTTP_DUMP_OPTS)).toEqual('dump --pid 7 --json --native --native-all'.split(' '));
    const all = { threads: true, native: true, native_all: true, nonblocking: true };
    expect(dumpArguments(7, all).slice(4)).toEqual(['--threads', '--native', '--native-all', '--nonblocking']);
    const none = { threads: false, native: false, native_all: false, nonblocking: false };
    expect(dumpArguments(7, none)).toEqual(['dump', '--pid', '7', '--json']);
  });

  it('of a profile have them in another one', () => {
    const opts = { duration_s: 3, rate_hz: 100, native: true, threads: true, nonblocking: true };
    expect(profileArguments(7, opts, '/t/profile.svg').join(' ')).toBe(
      'record --pid 7 --duration 3 --rate 100 --format flamegraph --output /t/profile.svg --native --threads --nonblocking',
    );
    const few = { ...opts, native: false, threads: false, nonblocking: false };
    expect(profileArguments(7, few, 'x').at(-1)).toBe('x');
  });

  it('say how the stacks are walked', () => {
    const none = { threads: true, native: false, native_all: false, nonblocking: false };
    expect(captureMode(none)).toBe('python_only');
    expect(captureMode({ ...none, native: true })).toBe('native');
    expect(captureMode({ ...none, native: true, native_all: true })).toBe('native_all');
  });
});

describe('options', () => {
  it('have the documented defaults', () => {
    expect(resolveOptions({})).toMatchObject({
      limits: {
        dump_timeout_ms: 10_000,
        profile_margin_ms: 15_000,
        dumps_running_max: 4,
        dumps_waiting_max: 64,
        profiles_running_max: 4,
        profiles_waiting_max: 8,
      },
      environment: {},
    });
  });

  it.each([
    ['dump_timeout_ms', 0],
    ['dump_timeout_ms', 2 ** 31],
    ['dump_timeout_ms', 1.5],
    ['dumps_running_max', 0],
    ['dumps_waiting_max', -1],
    ['profiles_running_max', Number.NaN],
  ])('are refused by name and value: %s %d', (name, value) => {
    expect(() => resolveOptions({ limits: { [name]: value } })).toThrow(new RegExp(`${name}.*${value}`));
  });

  it('read the configured binary anew each time', () => {
    let bin = 'a';
    const { pyspy_bin } = resolveOptions({ pyspy_bin: () => bin });
    bin = 'b';
    expect(pyspy_bin()).toBe('b');
  });
});
