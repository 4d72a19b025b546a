/** A command in a real terminal: Python's pty makes one, and passes on what is typed and what is shown. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from './until.ts';

const DRIVER = `import fcntl, os, pty, select, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
sources = [terminal, 0]
while terminal in sources:
    for source in select.select(sources, [], [])[0]:
        try: data = os.read(source, 65536)
        except OSError: data = b""
        if not data: sources.remove(source)
        elif source == terminal: os.write(1, data)
        else: os.write(terminal, data)
    if 0 not in sources and terminal in sources: os.kill(pid, 1); break
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

export interface Terminal {
  /** What was shown so far, without the sequences that move the cursor. */
  shown(): string;
  /** Types; `\r` is the return key, `\x03` Ctrl-C, `\x04` Ctrl-D. */
  type(text: string): void;
  /** Waits until something is shown that was not when this was last asked; gives everything up to its end. */
  shows(pattern: RegExp): Promise<string>;
  readonly ended: Promise<number | null>;
  kill(): void;
}

export function startTerminal(command: readonly string[], env: Readonly<Record<string, string | undefined>>): Terminal {
  const child = spawn('python3', ['-c', DRIVER, ...command], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, TERM: 'xterm', ...env },
  });
  let raw = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    raw += text;
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what a terminal is told by
  const shown = () => raw.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '');
  return {
    shown,
    type: (text) => child.stdin.write(text),
    async shows(pattern) {
      const found = await until(() => pattern.exec(shown().slice(seen)), `${pattern} in ${JSON.stringify(shown())}`);
      const end = seen + found.index + found[0].length;
      const text = shown().slice(seen, end);
      seen = end;
      return text;
    },
    ended: once(child, 'close').then(([code]) => code as number | null),
    kill: () => child.kill('SIGKILL'),
  };
}
