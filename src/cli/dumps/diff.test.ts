import { describe, expect, it } from 'vitest';
import { renderDumpDiff } from '../render/dumps.ts';
import type { ShownFrame, ShownTrace } from '../render/stack.ts';
import { diffDumps } from './diff.ts';
import type { StoredDump } from './read.ts';

function frame(name: string, line = 1): ShownFrame {
  return {
    name,
    filename: `/app/${name}.py`,
    module: null,
    short_filename: `${name}.py`,
    line,
    locals: null,
    is_entry: false,
  };
}

function thread(
  id: number | bigint,
  name: string | null,
  frames: ShownFrame[],
  marks: Partial<ShownTrace> = {},
): ShownTrace {
  return {
    pid: 1,
    thread_id: id,
    thread_name: name,
    os_thread_id: null,
    active: false,
    owns_gil: false,
    frames,
    ...marks,
  };
}

function dump(stored_at_ms: number, stack_traces: ShownTrace[], pid = 1): StoredDump {
  const result = { pid, binary: 'py-spy', capture_mode: 'native', stack_traces, warnings: [] };
  return { dump_id: `dump-${stored_at_ms}`, proc_ref: 'p<ZG3F>@ipc://h', stored_at_ms, result };
}

const fates = (before: StoredDump, after: StoredDump) =>
  diffDumps(before, after).threads.map(({ thread_id, fate, frame: at }) => [thread_id, fate, at?.depth ?? null]);

describe('threads of one process', () => {
  it('are matched by id, whatever their names: same, moved, gone, new', () => {
    const before = dump(0, [
      thread(1, 'main', [frame('a'), frame('b')]),
      thread(2, 'pool', [frame('a'), frame('b')]),
      thread(3, 'old', [frame('a')]),
    ]);
    const after = dump(4_000, [
      thread(1, 'renamed', [frame('a'), frame('b')]),
      thread(2, 'pool', [frame('a'), frame('c')]),
      thread(4, 'old', [frame('a')]),
    ]);
    const diff = diffDumps(before, after);
    expect(diff).toMatchObject({
      matched_by: 'thread_id',
      apart_ms: 4_000,
      summary: { moved: 1, same: 1, gone: 1, new: 1 },
    });
    expect(fates(before, after)).toEqual([
      [2, 'moved', 1],
      [1, 'same', null],
      [3, 'gone', null],
      [4, 'new', null],
    ]);
  });

  it.each<[string, ShownFrame[], ShownFrame[], number | null]>([
    ['stand in another line', [frame('a', 1)], [frame('a', 2)], 0],
    ['called another function', [frame('b'), frame('a')], [frame('c'), frame('b'), frame('a')], 0],
    ['have the same inside and another outside', [frame('x'), frame('a')], [frame('x'), frame('b')], 1],
    ['have lost their outermost frame', [frame('x'), frame('a')], [frame('x')], 1],
    ['have no frames', [], [], null],
  ])('that %s', (_, before, after, depth) => {
    expect(fates(dump(0, [thread(1, 'm', before)]), dump(1, [thread(1, 'm', after)]))).toEqual([
      [1, depth === null ? 'same' : 'moved', depth],
    ]);
  });

  it('with ids that a number cannot hold are told apart', () => {
    const [one, other] = [18446744073709551614n, 18446744073709551615n];
    const both = [thread(one, null, [frame('a')]), thread(other, null, [frame('b')])];
    expect(diffDumps(dump(0, both), dump(1, both)).summary).toEqual({ moved: 0, same: 2, gone: 0, new: 0 });
  });
});

describe('threads of different processes', () => {
  it('are matched by name, those of one name in order, and those without a name not at all', () => {
    const before = dump(0, [thread(1, 'pool', [frame('a')]), thread(2, 'pool', [frame('b')]), thread(3, null, [])], 1);
    const after = dump(1, [thread(7, 'pool', [frame('a')]), thread(9, 'pool', [frame('c')]), thread(3, null, [])], 2);
    expect(diffDumps(before, after).matched_by).toBe('thread_name');
    expect(fates(before, after)).toEqual([
      [9, 'moved', 0],
      [7, 'same', null],
      [3, 'gone', null],
      [3, 'new', null],
    ]);
  });
});

it('a diff for people begins with its summary, and tells of each thread where it was and is', () => {
  const before = dump(0, [
    thread(1, 'main', [frame('load', 3)], { active: true, owns_gil: true }),
    thread(2, null, []),
  ]);
  const after = dump(65_000, [thread(1, 'main', [frame('step', 9)]), thread(3, 'x\u001b[2J', [frame('a')])]);
  expect(
    renderDumpDiff(before, after, diffDumps(before, after)),
  ).toBe(`1 moved, 0 same, 1 gone, 1 new; the second is 1m 5s later
pid 1; threads matched by id

moved  Thread main [active, holds the GIL → idle]
  # 0 was  load (load.py:3)
      is   step (step.py:9)

gone   Thread 0x2 [idle]

new    Thread x [2J [idle]
  # 0 a (a.py:1)
`);
});
