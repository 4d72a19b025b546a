import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../limits.ts';
import { readDump } from './dump-envelope.ts';

const FRAME =
  '{"name":"step","filename":"train.py","module":null,"short_filename":null,"line":7,"locals":null,"is_entry":false,"is_shim_entry":false}';
const TRACE = `{"pid":7,"thread_id":1,"thread_name":null,"os_thread_id":18446744073709551615,"active":true,"owns_gil":false,"frames":[${FRAME}]}`;

/** A dump of at least so many characters. */
function dump(
  chars: number,
  { head = '"pid":7,"binary":"py-spy","capture_mode":"native"', warnings = '[]' } = {},
): string {
  const traces = Array.from({ length: Math.ceil(chars / TRACE.length) }, () => TRACE);
  return `{"Ok":{${head},"stack_traces":[${traces.join(',')}],"warnings":${warnings}}}`;
}

const large = (options = {}): string => dump(LIMITS.dump_checked_max_chars + 1, options);

describe('a dump', () => {
  it('that is large passes as it came, so that integers of any width stay exact', () => {
    const text = large();
    const read = readDump(text);
    expect(read).toEqual({ ok: true, value: { kind: 'captured', text, result: text.slice(6, -1) } });
    expect(JSON.parse(text.slice(6, -1))).toMatchObject({ pid: 7, warnings: [] });
  });

  it('that is small is checked whole', () => {
    const text = dump(1).replace('"line":7', '"line":"seven"');
    expect(readDump(text)).toMatchObject({ ok: false, failure: { code: 'internal_error' } });
  });

  it('is found whatever is in the names that it holds', () => {
    const name = JSON.stringify('],"warnings":["stack_traces":[');
    const text = large({ head: `"pid":7,"binary":${name},"capture_mode":"native"`, warnings: `[${name}]` });
    expect(readDump(text)).toMatchObject({ ok: true, value: { kind: 'captured' } });
  });

  it.each([
    ['with an unknown capture mode', large({ head: '"pid":7,"binary":"py-spy","capture_mode":"sideways"' })],
    ['without a pid', large({ head: '"binary":"py-spy","capture_mode":"native"' })],
    ['with warnings that are none', large({ warnings: '[7]' })],
    ['with a second outcome behind the first', `${large().slice(0, -1)},"Failed":{}}`],
    ['with something behind its end', `${large()} {}`],
    ['that is cut off', large().slice(0, -40)],
    ['that begins as another thing does', `[${large()}]`],
    [
      'with a head that is longer than the bound',
      large({ head: `"pid":7,"binary":"${'x'.repeat(LIMITS.dump_envelope_max_chars)}","capture_mode":"native"` }),
    ],
    ['that is another thing, and large', `{"Failed":${' '.repeat(LIMITS.dump_checked_max_chars)}7}`],
  ])('%s is refused', (_, text) => {
    expect(text.length).toBeGreaterThan(LIMITS.dump_checked_max_chars);
    expect(readDump(text)).toMatchObject({
      ok: false,
      failure: { code: 'internal_error', message: expect.stringContaining('PySpyResult') },
    });
  });

  it('that captured nothing says why', () => {
    const text = '{"BinaryNotFound":{"searched":["py-spy"]}}';
    expect(readDump(text)).toEqual({ ok: true, value: { kind: 'missed', text, why: JSON.parse(text) } });
  });
});
