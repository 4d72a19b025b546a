/** What the gateway says of itself, and what a proc's agent says of its configuration. */
import * as v from 'valibot';
import { nullable } from './integers.ts';

export const AdminInfo = v.object({
  actor_id: v.string(),
  proc_id: v.string(),
  host: v.string(),
  url: v.string(),
});
export type AdminInfo = v.InferOutput<typeof AdminInfo>;

const CONFIG_SOURCES = ['Default', 'ClientOverride', 'File', 'Runtime', 'Env', 'TestOverride'] as const;

export const ConfigEntry = v.object({
  name: v.string(),
  value: v.string(),
  default_value: nullable(v.string()),
  source: v.picklist(CONFIG_SOURCES),
  changed_from_default: v.boolean(),
  env_var: nullable(v.string()),
});
export type ConfigEntry = v.InferOutput<typeof ConfigEntry>;

/** Entries are sorted by `name` in byte order. */
export const ConfigDumpResult = v.object({ entries: v.array(ConfigEntry) });
export type ConfigDumpResult = v.InferOutput<typeof ConfigDumpResult>;
