// @ts-check
/** SQL taken apart as far as colours and completion need it. The node judges; this only shows. */

/**
 * @typedef {'space' | 'comment' | 'text' | 'quoted' | 'parameter' | 'number' | 'keyword' | 'function' | 'name' | 'sign'} Kind
 */
/** @typedef {{kind: Kind, start: number, end: number, text: string}} Token */

const PARTS = new RegExp([
  String.raw`(?<space>\s+)`,
  String.raw`(?<comment>--[^\n]*|\/\*[^]*?(?:\*\/|$))`,
  String.raw`(?<text>[xX]?'(?:[^']|'')*(?:'|$))`,
  String.raw`(?<quoted>"(?:[^"]|"")*(?:"|$)|${'`'}(?:[^${'`'}]|${'``'})*(?:${'`'}|$)|\[[^\]]*(?:\]|$))`,
  String.raw`(?<parameter>\?\d*|[:@$][\p{L}_][\p{L}\p{N}_$]*)`,
  String.raw`(?<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)`,
  String.raw`(?<word>[\p{L}_][\p{L}\p{N}_$]*)`,
  String.raw`(?<sign>[^])`,
].join('|'), 'yu');

export const KEYWORDS = new Set(`
  ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN
  BETWEEN BY CASCADE CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT
  CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFAULT DEFERRABLE DEFERRED DELETE DESC
  DETACH DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXCLUDE EXCLUSIVE EXISTS EXPLAIN FAIL FILTER
  FIRST FOLLOWING FOR FOREIGN FROM FULL GENERATED GLOB GROUP GROUPS HAVING IF IGNORE IMMEDIATE IN
  INDEX INDEXED INITIALLY INNER INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST LEFT LIKE
  LIMIT MATCH MATERIALIZED NATURAL NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR ORDER OTHERS
  OUTER OVER PARTITION PLAN PRAGMA PRECEDING PRIMARY QUERY RAISE RANGE RECURSIVE REFERENCES REGEXP
  REINDEX RELEASE RENAME REPLACE RESTRICT RETURNING RIGHT ROLLBACK ROW ROWS SAVEPOINT SELECT SET
  STRICT TABLE TEMP TEMPORARY THEN TIES TO TRANSACTION TRIGGER UNBOUNDED UNION UNIQUE UPDATE USING
  VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT`.trim().split(/\s+/));

export const FUNCTIONS = `
  abs avg ceil changes char coalesce concat concat_ws count cume_dist date datetime dense_rank exp
  first_value floor format glob group_concat hex ifnull iif instr json json_array json_each
  json_extract json_group_array json_group_object json_insert json_object json_patch json_remove
  json_replace json_set json_tree json_type json_valid julianday lag last_insert_rowid last_value
  lead length like ln log lower ltrim max median min mod nth_value ntile nullif octet_length
  percent_rank pi pow printf quote random randomblob rank replace round row_number rtrim sign sqrt
  strftime string_agg substr sum time timediff total trim trunc typeof unhex unicode unixepoch upper
  zeroblob`.trim().split(/\s+/);
const KNOWN_FUNCTIONS = new Set(FUNCTIONS);

/** @param {string} sql @returns {Token[]} */
export function tokens(sql) {
  /** @type {Token[]} */
  const found = [];
  PARTS.lastIndex = 0;
  for (let match = PARTS.exec(sql); match !== null && match[0] !== ''; match = PARTS.exec(sql)) {
    const text = match[0];
    const named = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined);
    const part = named?.[0] ?? 'sign';
    const start = match.index;
    const kind = part === 'word' ? wordKind(text, sql, start + text.length) : part;
    found.push({ kind: /** @type {Kind} */ (kind), start, end: start + text.length, text });
  }
  return found;
}

/** @param {string} word @param {string} sql @param {number} end @returns {Kind} */
function wordKind(word, sql, end) {
  const called = sql[end] === '(';
  if (called && KNOWN_FUNCTIONS.has(word.toLowerCase())) return 'function';
  return KEYWORDS.has(word.toUpperCase()) ? 'keyword' : 'name';
}

/** A name as it has to stand in a statement. @param {string} name */
export function quoted(name) {
  const plain = /^[\p{L}_][\p{L}\p{N}_$]*$/u.test(name) && !KEYWORDS.has(name.toUpperCase());
  return plain ? name : `"${name.replaceAll('"', '""')}"`;
}

/** A name as the catalogue has it. @param {Token} token */
export function bare({ kind, text }) {
  if (kind !== 'quoted') return text;
  const mark = text[0];
  const inside = text.slice(1, -1);
  return mark === '[' ? inside : inside.replaceAll(mark + mark, mark);
}

/** Where a place is in JavaScript's counting that the node counted in code points. @param {string} text @param {number} points */
export function units(text, points) {
  let at = 0;
  for (let left = points; left > 0 && at < text.length; left -= 1) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at;
}

/**
 * The parameters that a text has: names, or numbers of places.
 * @param {string} sql
 * @returns {{named: boolean, names: string[]}}
 */
export function parameters(sql) {
  const found = tokens(sql).filter(({ kind }) => kind === 'parameter').map(({ text }) => text);
  const names = [...new Set(found.filter((text) => text[0] !== '?').map((text) => text.slice(1)))];
  if (names.length > 0) return { named: true, names };
  let most = 0;
  for (const text of found) most = text === '?' ? most + 1 : Math.max(most, Number(text.slice(1)));
  return { named: false, names: Array.from({ length: Math.min(most, 999) }, (_, at) => `?${at + 1}`) };
}
