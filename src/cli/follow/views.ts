/**
 * The three ways in which live updates are shown: JSON, one event a line; the tree and then one line per change; on a
 * terminal the tree itself, drawn again in place.
 */
import type { LiveEvent } from '../../contract/index.ts';
import type { Client } from '../client.ts';
import { LIMITS } from '../limits.ts';
import { isBehind, writeText } from '../patient-output.ts';
import { oneLine } from '../render/format.ts';
import { renderTree } from '../render/tree.ts';
import { walkHost, walkHosts } from '../walk.ts';
import type { View } from './follow.ts';
import { type Line, MeshModel } from './mesh-model.ts';

/** What the command is told of the connection goes to standard error, so that standard output stays what it is. */
function noteOnStderr(text: string | null): void {
  writeText('stderr', `meshscope: ${text ?? 'connected again'}\n`);
}

export function jsonView(): View {
  return {
    async take(event, id) {
      writeText('stdout', `${JSON.stringify({ id, ...event })}\n`);
    },
    note: onceEach(noteOnStderr),
  };
}

/** Keeps a model up to date, asking the gateway where an event says so. */
async function update(model: MeshModel, client: Client, event: LiveEvent): Promise<Line[]> {
  if (event.type === 'snapshot') return model.replace(await walkHosts(client, 3), event.reason === 'unknown_id');
  if (event.type === 'host_linked' && event.read_again)
    return model.replaceHost(await walkHost(client, event.reference, 3));
  return model.apply(event);
}

export function linesView(client: Client, actors: boolean): View {
  const model = new MeshModel(actors);
  let isShown = false;
  return {
    async take(event) {
      const lines = await update(model, client, event);
      if (!isShown) {
        isShown = true;
        writeText('stdout', renderTree(model.toTree(), { actors, now_ms: Date.now() }));
        return;
      }
      for (const { at_ms, text } of lines) writeText('stdout', `${clock(at_ms)} ${text}\n`);
    },
    note: onceEach(noteOnStderr),
  };
}

/** A view that draws; `close` leaves the last picture and gives the cursor back. */
export function screenView(client: Client, actors: boolean): View & { close(): void } {
  const model = new MeshModel(actors);
  let note: string | null = 'connecting';
  let drawn = 0;
  let due: NodeJS.Timeout | null = null;
  let isOver = false;
  const draw = (): void => {
    due = null;
    // A terminal that is paused gets the newest picture when it takes one again, not all of them.
    if (isOver || isBehind('stdout')) return;
    const tree = renderTree(model.toTree(), { actors, now_ms: Date.now(), memory: false });
    // A terminal that does not know its size says 0.
    const rows = Math.max(5, process.stdout.rows || 24);
    const lines = tree.trimEnd().split('\n');
    const shown =
      lines.length > rows - 3 ? [...lines.slice(0, rows - 4), `… ${lines.length - rows + 4} lines more`] : lines;
    const footer = oneLine(note ?? `following ${client.url}, Ctrl-C ends`);
    const up = drawn > 0 ? `\x1b[${drawn}A` : '';
    // Without wrapping, a line of ours is a row of the terminal, however long it is.
    writeText('stdout', `\x1b[?7l${up}\r\x1b[J${[...shown, '', footer].join('\n')}\n\x1b[?7h`);
    drawn = shown.length + 2;
  };
  const schedule = (): void => {
    if (!isOver) due ??= setTimeout(draw, LIMITS.redraw_ms);
  };
  const tick = setInterval(schedule, LIMITS.redraw_every_ms);
  process.stdout.on('resize', schedule);
  writeText('stdout', '\x1b[?25l');
  return {
    async take(event) {
      await update(model, client, event);
      note = null;
      schedule();
    },
    note(text) {
      note = text;
      schedule();
    },
    close() {
      isOver = true;
      clearInterval(tick);
      if (due !== null) clearTimeout(due);
      process.stdout.off('resize', schedule);
      writeText('stdout', '\x1b[?25h');
    },
  };
}

/** A gateway that stays away is told of once, not at every try. */
function onceEach(tell: (text: string | null) => void): (text: string | null) => void {
  let isAway = false;
  return (text) => {
    if (isAway && text !== null) return;
    isAway = text !== null;
    tell(text);
  };
}

/** The reader's local time. */
function clock(at_ms: number): string {
  return new Date(at_ms).toTimeString().slice(0, 8);
}
