/**
 * The agent's settings, and how a config dump shows them: name, value, default, where the value came from, and the
 * environment variable that sets it.
 */
import type { ConfigDumpResult, ConfigEntry } from '../../contract/index.ts';
import { LINK_LIMITS } from '../../link/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';

interface Setting {
  readonly name: string;
  readonly env_var: string | null;
  readonly default_value: string | null;
}

/** What was given on the command line or by the program that started the agent; null where nothing was. */
export interface GivenSettings {
  readonly gateway_url: string;
  readonly host_name: string;
  readonly pyspy_bin: string;
  readonly terminate_grace_ms: number;
}

const SETTINGS: Readonly<Record<keyof GivenSettings, Setting>> = {
  gateway_url: { name: 'meshscope::agent::gateway_url', env_var: 'MESHSCOPE_URL', default_value: null },
  host_name: { name: 'meshscope::agent::host_name', env_var: null, default_value: null },
  pyspy_bin: { name: 'meshscope::agent::pyspy_bin', env_var: 'PYSPY_BIN', default_value: '' },
  terminate_grace_ms: {
    name: 'meshscope::agent::terminate_grace',
    env_var: null,
    default_value: displayDuration(LIMITS.terminate_grace_ms),
  },
};

/** Bounds that nobody sets are configuration all the same: they are what a person asks for when one was reached. */
const boundsOf = (limits: AgentLimits) => ({
  backoff_max: displayDuration(LINK_LIMITS.backoff_max_ms),
  calls_max: String(limits.calls_max),
  ended_procs_max: String(limits.ended_procs_max),
  output_lines_max: String(limits.output_lines_max),
  procs_max: String(limits.procs_max),
  scan_interval: displayDuration(limits.scan_interval_ms),
  pending_rows_max: String(limits.pending_rows_max),
});

/** The settings in force, sorted by name. */
export function dumpConfig(given: GivenSettings, env: NodeJS.ProcessEnv, limits: AgentLimits): ConfigDumpResult {
  const defaults: Readonly<Record<string, string>> = boundsOf(LIMITS);
  const entries = Object.entries(boundsOf(limits)).map(([key, value]): ConfigEntry => {
    const default_value = defaults[key] ?? null;
    const changed_from_default = value !== default_value;
    const source = changed_from_default ? 'Runtime' : 'Default';
    return { name: `meshscope::agent::${key}`, value, default_value, source, changed_from_default, env_var: null };
  });
  for (const [key, setting] of Object.entries(SETTINGS) as [keyof GivenSettings, Setting][]) {
    const raw = given[key];
    const value = typeof raw === 'number' ? displayDuration(raw) : raw;
    const isFromEnv = setting.env_var !== null && env[setting.env_var] === value && value !== '';
    const changed_from_default = value !== setting.default_value;
    const source = isFromEnv ? 'Env' : changed_from_default ? 'Runtime' : 'Default';
    const { name, default_value, env_var } = setting;
    entries.push({ name, value, default_value, source, changed_from_default, env_var });
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { entries };
}

/** A duration as people write it: `1m 30s`, `500ms`, `0s`; largest unit first, units that are zero left out. */
export function displayDuration(duration_ms: number): string {
  const parts: string[] = [];
  let rest = Math.round(duration_ms);
  for (const [unit, unit_ms] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ] as const) {
    const count = Math.floor(rest / unit_ms);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * unit_ms;
  }
  return parts.length === 0 ? '0s' : parts.join(' ');
}
