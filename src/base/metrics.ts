/**
 * A part's own metrics: one registry, whose instruments give the Prometheus text of `/metrics` and the rows of the three
 * metric tables.
 *
 * 1. An instrument has a dotted name (`spool.rows_waiting`), help and a unit. In the tables it is called that; in the text
 *    it is `meshscope_spool_rows_waiting`, a counter with `_total` behind it.
 * 2. A series is an instrument with a set of attributes. At `series_max` per instrument, further ones go together into one
 *    with the attribute `overflow`.
 * 3. The text shows counters and histograms since the start. Rows are what has happened since the rows before them
 *    (`delta`), so that sums over time are right; a series in which nothing has happened has no row. A gauge has the value
 *    that it has when it is looked at.
 */
import type { Cell, TableRows } from './rows.ts';

/** Upper ends of the buckets of durations, milliseconds, from what is answered at once to what people wait for. */
export const DURATION_BOUNDS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 300_000,
];

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface InstrumentOptions {
  /** What it counts, for people; one line. */
  readonly help: string;
  /** UCUM-like: `By`, `ms`, `{row}`. Default none. */
  readonly unit?: string;
}

export interface Counter {
  /** @param value not negative. Default 1 */
  add(value?: number, attributes?: Attributes): void;
}

export interface Histogram {
  record(value: number, attributes?: Attributes): void;
}

/** The value of a gauge, or one for each of several sets of attributes. */
export type Reading = number | readonly (readonly [Attributes, number])[];

type Readings = readonly (readonly [Attributes, number])[];

type Kind = 'counter' | 'gauge' | 'histogram';

interface Series {
  readonly attributes: Attributes;
  /** Since the start, and since the last rows. */
  readonly total: Sample;
  delta: Sample;
}

interface Sample {
  count: number;
  sum: number;
  min: number;
  max: number;
  readonly buckets: number[];
}

interface Instrument extends Required<InstrumentOptions> {
  readonly name: string;
  readonly kind: Kind;
  readonly bounds: readonly number[];
  readonly series: SeriesSet;
  readonly read: () => Readings;
}

const NONE: Attributes = {};
const OVERFLOW: Attributes = { overflow: true };

export interface MetricsOptions {
  /** The part that measures, e.g. `meshscope.agent`. */
  readonly scope: string;
  /** What all rows say of the process: `service.name`, the host, the version. */
  readonly resource: Attributes;
  /** Series of one instrument. */
  readonly series_max: number;
  /** When the first interval begins, microseconds since the epoch. Default: now. */
  readonly now_us?: number;
}

export class Metrics {
  readonly #scope: string;
  readonly #resource: string;
  readonly #series_max: number;
  readonly #instruments = new Map<string, Instrument>();
  #rowsSince_us: number;

  constructor({ scope, resource, series_max, now_us = Date.now() * 1_000 }: MetricsOptions) {
    this.#scope = scope;
    this.#resource = JSON.stringify(resource);
    this.#series_max = series_max;
    this.#rowsSince_us = now_us;
  }

  /** @param read where what is counted is known already: gives it since the start, and `add` is not called. Default: `add` counts. */
  counter(name: string, options: InstrumentOptions, read?: () => Reading): Counter {
    const { series } = this.#add(name, 'counter', options, [], read);
    return {
      add(value = 1, attributes = NONE) {
        if (!(value >= 0)) return;
        const found = series.of(attributes);
        found.total.sum += value;
        found.delta.sum += value;
        found.delta.count += 1;
      },
    };
  }

  /** @param read asked whenever the metrics are looked at; one that throws has no value then. */
  gauge(name: string, options: InstrumentOptions, read: () => Reading): void {
    this.#add(name, 'gauge', options, [], read);
  }

  /**
   * Several counters or gauges of one object that knows its numbers.
   *
   * @param prefix what the names begin with: `gateway.`
   * @param helps for each number its help
   * @param read gives a number by its name; an empty list while it is not known
   */
  numbers<K extends string>(
    kind: 'counter' | 'gauge',
    prefix: string,
    helps: Readonly<Record<K, string>>,
    read: (name: K) => Reading,
  ): void {
    for (const name of Object.keys(helps) as K[]) {
      this.#add(`${prefix}${name}`, kind, { help: helps[name] }, [], () => read(name));
    }
  }

  /** @param options with the upper ends of the buckets, ascending; values beyond the last have a bucket of their own. */
  histogram(name: string, options: InstrumentOptions & { readonly bounds: readonly number[] }): Histogram {
    const { bounds } = options;
    const { series } = this.#add(name, 'histogram', options, bounds);
    return {
      record(value, attributes = NONE) {
        if (!Number.isFinite(value)) return;
        const found = series.of(attributes);
        const bucket = bounds.findIndex((bound) => value <= bound);
        for (const sample of [found.total, found.delta]) take(sample, value, bucket < 0 ? bounds.length : bucket);
      },
    };
  }

  /** The Prometheus text format, version 0.0.4. */
  prometheus(): string {
    this.#count();
    return [...this.#instruments.values()].map(textOf).join('');
  }

  /**
   * Rows of `metric_gauges`, `metric_sums` and `metric_histograms` since the rows before.
   *
   * @param now_us microseconds since the epoch, the end of the interval. Default: now
   */
  rows(now_us = Date.now() * 1_000): TableRows {
    const tables = { metric_gauges: [] as Cell[][], metric_sums: [] as Cell[][], metric_histograms: [] as Cell[][] };
    this.#count();
    const start_us = this.#rowsSince_us;
    this.#rowsSince_us = now_us;
    for (const { name, kind, unit, bounds, series, read } of this.#instruments.values()) {
      const head = [name, now_us, start_us, this.#scope, unit];
      if (kind === 'gauge') {
        for (const [attributes, value] of read()) {
          tables.metric_gauges.push([...head, JSON.stringify(attributes), this.#resource, ...triple(value)]);
        }
        continue;
      }
      for (const each of series.values()) {
        const { delta, attributes } = each;
        if (delta.count === 0) continue;
        each.delta = emptySample(delta.buckets.length);
        const about = [JSON.stringify(attributes), this.#resource];
        if (kind === 'counter') {
          tables.metric_sums.push([...head, 'delta', true, ...about, ...triple(delta.sum)]);
        } else {
          tables.metric_histograms.push([
            ...head,
            'delta',
            ...about,
            delta.count,
            ...triple(delta.sum, true),
            ...triple(delta.min, true),
            ...triple(delta.max, true),
            JSON.stringify(bounds),
            JSON.stringify(delta.buckets),
          ]);
        }
      }
    }
    return Object.fromEntries(Object.entries(tables).filter(([, rows]) => rows.length > 0));
  }

  /** Takes over what others count. */
  #count(): void {
    for (const { kind, series, read } of this.#instruments.values()) {
      if (kind !== 'counter') continue;
      for (const [attributes, value] of read()) {
        const { total, delta } = series.of(attributes);
        const grown = value - total.sum;
        if (grown <= 0) continue;
        total.sum = value;
        delta.sum += grown;
        delta.count += 1;
      }
    }
  }

  #add(
    name: string,
    kind: Kind,
    { help, unit = '' }: InstrumentOptions,
    bounds: readonly number[] = [],
    read: () => Reading = () => [],
  ): Instrument {
    if (this.#instruments.has(name)) throw new RangeError(`metric ${name} exists already`);
    const instrument = {
      name,
      kind,
      help,
      unit,
      bounds,
      series: new SeriesSet(kind === 'histogram' ? bounds.length + 1 : 0, this.#series_max),
      read: () => readings(read, this.#series_max),
    };
    this.#instruments.set(name, instrument);
    return instrument;
  }
}

/** The series of one instrument, by their attributes. */
class SeriesSet {
  readonly #buckets: number;
  readonly #max: number;
  readonly #byText = new Map<string, Series>();
  /** Who counts often passes the same object each time, and is spared its text. */
  readonly #byObject = new WeakMap<Attributes, Series>();

  constructor(buckets: number, max: number) {
    this.#buckets = buckets;
    this.#max = max;
  }

  of(attributes: Attributes): Series {
    const known = this.#byObject.get(attributes);
    if (known !== undefined) return known;
    const found = this.#find(attributes);
    this.#byObject.set(attributes, found);
    return found;
  }

  values(): Iterable<Series> {
    return this.#byText.values();
  }

  #find(attributes: Attributes): Series {
    const text = JSON.stringify(attributes);
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    // One place is left for what overflows.
    if (this.#byText.size >= this.#max - 1 && attributes !== OVERFLOW) return this.of(OVERFLOW);
    const made = { attributes, total: emptySample(this.#buckets), delta: emptySample(this.#buckets) };
    this.#byText.set(text, made);
    return made;
  }
}

function emptySample(buckets: number): Sample {
  return { count: 0, sum: 0, min: Infinity, max: -Infinity, buckets: new Array<number>(buckets).fill(0) };
}

function take(sample: Sample, value: number, bucket: number): void {
  sample.count += 1;
  sample.sum += value;
  sample.min = Math.min(sample.min, value);
  sample.max = Math.max(sample.max, value);
  sample.buckets[bucket] = (sample.buckets[bucket] ?? 0) + 1;
}

function readings(read: () => Reading, max: number): Readings {
  try {
    const reading = read();
    return typeof reading === 'number' ? [[NONE, reading]] : reading.slice(0, max);
  } catch {
    return [];
  }
}

/** The columns `f64`, `i64` and `u64` of one quantity, of which one is set, so that no integer is rounded. */
function triple(value: number, isReal = false): Cell[] {
  if (!Number.isFinite(value)) return [null, null, null];
  if (isReal || !Number.isSafeInteger(value)) return [value, null, null];
  return value < 0 ? [null, value, null] : [null, null, value];
}

function textOf({ name, kind, help, bounds, series, read }: Instrument): string {
  const full = `meshscope_${name.replace(/[^A-Za-z0-9]+/g, '_')}${kind === 'counter' ? '_total' : ''}`;
  const lines = [`# HELP ${full} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`, `# TYPE ${full} ${kind}`];
  if (kind === 'gauge') for (const [attributes, value] of read()) lines.push(line(full, attributes, value));
  for (const { attributes, total } of series.values()) {
    if (kind === 'counter') {
      lines.push(line(full, attributes, total.sum));
      continue;
    }
    let below = 0;
    for (const [index, count] of total.buckets.entries()) {
      below += count;
      lines.push(line(`${full}_bucket`, { ...attributes, le: String(bounds[index] ?? '+Inf') }, below));
    }
    lines.push(line(`${full}_sum`, attributes, total.sum), line(`${full}_count`, attributes, total.count));
  }
  return `${lines.join('\n')}\n`;
}

function line(name: string, attributes: Attributes, value: number): string {
  const labels = Object.entries(attributes).map(([key, text]) => {
    const escaped = String(text).replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
    return `${key.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^(?=\d)/, '_')}="${escaped}"`;
  });
  return `${name}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${value}`;
}
