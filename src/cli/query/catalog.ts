/** The tables and views of the store, as the store itself tells them, and the completion of their names. */

export interface Relation {
  readonly name: string;
  readonly kind: 'table' | 'view';
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[];
}

export const CATALOG_SQL = `select t.table_name, t.table_type, c.column_name, c.data_type, c.is_nullable
  from information_schema.tables t join information_schema.columns c using (table_schema, table_name)
  where table_schema = 'main' order by t.table_name, c.ordinal_position`;

export const COMMANDS = ['\\?', '\\d', '\\dt', '\\q', '\\x'];

const KEYWORDS =
  `all and as asc between by case cast count cross current_timestamp date describe desc distinct else end epoch_us
  except exclude exists explain extract false filter from full group having in inner intersect interval is join lateral left
  like limit make_timestamp max min not now null offset on or order outer over partition pivot qualify quantile_cont right
  row_number select show sum summarize table tables then time_bucket true union unnest using values when where window with`
    .trim()
    .split(/\s+/);

/** Puts the rows of CATALOG_SQL together. */
export function readCatalog(rows: readonly Readonly<Record<string, unknown>>[]): Relation[] {
  const relations = new Map<string, { name: string; kind: Relation['kind']; columns: Relation['columns'][number][] }>();
  for (const row of rows) {
    const name = String(row.table_name);
    const kind = row.table_type === 'VIEW' ? 'view' : 'table';
    const relation = relations.get(name) ?? { name, kind, columns: [] };
    relation.columns.push({
      name: String(row.column_name),
      type: String(row.data_type),
      nullable: row.is_nullable === 'YES',
    });
    relations.set(name, relation);
  }
  return [...relations.values()];
}

/**
 * What the word at the end of a line may become, in the form that readline wants: the candidates, and the word.
 * Behind `name.` only the columns of that table are candidates.
 */
export function complete(relations: readonly Relation[], line: string): [string[], string] {
  const [word = ''] = /(?:\\\S*|[\p{L}\p{N}_.]*)$/u.exec(line) ?? [];
  if (/^\s*\\d\s/.test(line)) return [begun(names(relations), word), word];
  if (word.startsWith('\\')) return [begun(COMMANDS, word), word];
  const dot = word.lastIndexOf('.');
  if (dot >= 0) {
    const relation = relations.find(({ name }) => name === word.slice(0, dot).toLowerCase());
    const columns = (relation?.columns ?? []).map(({ name }) => `${word.slice(0, dot)}.${name}`);
    return [begun(columns, word), word];
  }
  const columns = relations.flatMap((relation) => relation.columns.map(({ name }) => name));
  return [begun([...names(relations), ...columns, ...KEYWORDS], word), word];
}

function names(relations: readonly Relation[]): string[] {
  return relations.map(({ name }) => name);
}

function begun(candidates: readonly string[], word: string): string[] {
  const folded = word.toLowerCase();
  return [...new Set(candidates.filter((candidate) => candidate.toLowerCase().startsWith(folded)))].sort();
}
