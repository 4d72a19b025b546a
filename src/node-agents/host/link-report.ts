/**
 * What the agent reports of its link: log lines for the people who run it, a span for as long as each link lasts, and the
 * number of links. `onReady` is called once, when the gateway shows this host for the first time.
 */
import type { LogLevel, Span, Trace } from '../../base/index.ts';
import { LINK_LIMITS } from '../../link/index.ts';

export interface LinkReportOptions {
  readonly gateway_url: string;
  readonly host_name: string;
  readonly trace: Trace;
  readonly log: (level: LogLevel, message: string) => void;
  readonly opens: { add(): void };
  readonly onReady: () => void;
}

export class LinkReport {
  readonly #options: LinkReportOptions;
  #span: Span | null = null;
  #isReady = false;

  constructor(options: LinkReportOptions) {
    this.#options = options;
  }

  /** The link is open and synchronized. */
  opened(): void {
    const { gateway_url, host_name, log, trace, opens, onReady } = this.#options;
    log('info', `connected to ${gateway_url} as ${host_name}`);
    this.closed();
    this.#span = trace.span('link', { gateway: gateway_url });
    opens.add();
    if (!this.#isReady) onReady();
    this.#isReady = true;
  }

  /** An open link is over. */
  closed(): void {
    this.#span?.close();
  }

  /**
   * A link ended or a dial failed; is called once for each different reason.
   *
   * @param isRefused whether the gateway refused this agent, which takes a person to mend
   */
  trouble(message: string, isRefused: boolean): void {
    const what = isRefused ? 'the gateway refused this agent' : 'no link to the gateway';
    const next = isRefused ? `asking again every ${LINK_LIMITS.backoff_max_ms / 1000} s` : 'trying again';
    this.#options.log('warn', `${what} (${this.#options.gateway_url}): ${message}; ${next}`);
  }
}
