"""The statements of the determinism matrix, each with the verdict it must get.

One database lives through all of them in order, so later ones work on what earlier ones made.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    verdict: str
    sql: str


PINNED = {
    "random": "random()",
    "random, spaced": "random ( )",
    "random, shouted": "abs(RANDOM() % 1000)",
    "randomblob": "hex(randomblob(4*4))",
    "strftime": "strftime('%Y %j %f')",
    "CURRENT_TIMESTAMP": "CURRENT_TIMESTAMP",
    "CURRENT_DATE": "CURRENT_DATE || CURRENT_TIME",
    "datetime": "datetime('now', '+1 day')",
    "julianday": "julianday('now')",
    "unixepoch": "unixepoch('subsec')",
}
PURE = {
    "date": "date('2024-01-31', '+1 month')",
    "strings": "printf('%.3f|%s', 1.0 / 3, upper('straße'))",
    "json": "json_set('{}', '$.a', 3.0)",
    "numbers": "sqrt(2) + pow(2, 0.5) + 9e999",
}

CONTEXTS = {
    "VALUES": "INSERT INTO log(k, v) VALUES ('values', {e}), ('values', {e})",
    "SELECT": "INSERT INTO log(k, v) SELECT 'select', {e} FROM base",
    "CTE": "WITH c(x) AS (SELECT {e} FROM base) INSERT INTO log(k, v) SELECT 'cte', x FROM c",
    "UPDATE": "UPDATE many SET v = {e}",
    "RETURNING": "INSERT INTO log(k) VALUES ('returning') RETURNING {e}, id",
    "UPSERT": "INSERT INTO base(id, v) VALUES (1, 'x') ON CONFLICT(id) DO UPDATE SET v = {e}",
    "DELETE": "DELETE FROM many WHERE id IN (SELECT id FROM many ORDER BY {e}, id LIMIT 1)",
    "WHERE": "UPDATE many SET w = 1 WHERE length({e}) % 2",
    "CASE": "UPDATE many SET w = CASE WHEN id % 2 THEN {e} ELSE coalesce(w, {e}) END",
}


def _crossed() -> list[Case]:
    cases = []
    for verdict, expressions in (("pinned", PINNED), ("pure", PURE)):
        for expression in expressions.values():
            cases += [Case(verdict, text.format(e=expression)) for text in CONTEXTS.values()]
            cases.append(Case("pure", "INSERT INTO many(v) VALUES (1), (2), (3), (4), (5)"))
    return cases


SCHEMA = [
    Case("pure", "CREATE TABLE base(id INTEGER PRIMARY KEY, v)"),
    Case("pure", "CREATE TABLE many(id INTEGER PRIMARY KEY AUTOINCREMENT, v, w)"),
    Case("pure", "CREATE TABLE log(id INTEGER PRIMARY KEY, k, v)"),
    Case("pure", "INSERT INTO base(v) VALUES ('a'), ('b'), ('c')"),
    Case("pure", "INSERT INTO many(v) SELECT v FROM base, (VALUES (1), (2), (3))"),
]

PLACES = [
    Case("pure", "CREATE TABLE d1(a, b DEFAULT 7, c DEFAULT 'x')"),
    Case("pinned", "CREATE TABLE d2(a, b DEFAULT CURRENT_TIMESTAMP, c DEFAULT CURRENT_DATE)"),
    Case("pinned", "CREATE TABLE d3(a, b DEFAULT (datetime('now')), c DEFAULT (random()))"),
    Case("pinned", "CREATE TABLE d4(a, b DEFAULT (hex(randomblob(8))), c DEFAULT (unixepoch()))"),
    Case("pure", "INSERT INTO d1(a) VALUES (1), (2)"),
    Case("pure", "INSERT INTO d2(a) VALUES (1), (2)"),
    Case("pure", "INSERT INTO d3(a) VALUES (1), (2)"),
    Case("pure", "INSERT INTO d4(a) SELECT id FROM base"),
    Case("pure", "INSERT INTO d3 DEFAULT VALUES"),
    Case("pure", "CREATE TABLE g(a, b AS (a * 2), c AS (upper(a)) STORED)"),
    Case("pure", "INSERT INTO g(a) VALUES (1.5), ('x'), (x'00ff')"),
    Case("pinned", "CREATE TABLE g2(a, b AS (random()))"),
    Case("pure", "CREATE TABLE k(a CHECK (a > 0), b CHECK (length(b) < 5))"),
    Case("pure", "INSERT INTO k VALUES (1, 'ok')"),
    Case("pure", "INSERT INTO k VALUES (-1, 'ok')"),
    Case("pure", "INSERT OR IGNORE INTO k VALUES (2, 'too long'), (3, 'ok')"),
    Case("pinned", "CREATE TABLE k2(a CHECK (a > random()))"),
    Case("pure", "INSERT INTO k2 VALUES (0), (1)"),
    Case(
        "pinned",
        "CREATE TRIGGER tr1 AFTER INSERT ON d1 BEGIN"
        " INSERT INTO log(k, v) VALUES ('trigger', random() || datetime('now', 'subsec')); END",
    ),
    Case("pure", "INSERT INTO d1(a) SELECT id FROM base"),
    Case(
        "pure",
        "CREATE TRIGGER tr2 AFTER INSERT ON log WHEN NEW.k = 'trigger' BEGIN"
        " INSERT INTO d3(a) VALUES (last_insert_rowid()); END",
    ),
    Case("pure", "INSERT INTO d1(a) VALUES (9)"),
    Case("pinned", "CREATE VIEW vw AS SELECT id, random() AS r, datetime('now') AS n FROM base"),
    Case("pure", "INSERT INTO log(k, v) SELECT r, n FROM vw"),
    Case(
        "pinned",
        "CREATE TRIGGER tr3 INSTEAD OF INSERT ON vw BEGIN"
        " INSERT INTO base(v) VALUES (NEW.id || random()); END",
    ),
    Case("pure", "INSERT INTO vw(id) VALUES (1), (2)"),
    Case("pure", "CREATE INDEX i1 ON log(k) WHERE v IS NOT NULL"),
    Case("pure", "CREATE INDEX i2 ON log(lower(k), typeof(v))"),
    Case("pinned", "CREATE INDEX i3 ON log(random())"),
    Case("pure", "UPDATE log SET k = k || 'x' WHERE lower(k) = 'values'"),
    Case("pure", "DELETE FROM log WHERE id % 7 = 0"),
]

TABLES = [
    Case("pure", "CREATE VIRTUAL TABLE f5 USING fts5(title, body, tokenize = 'porter')"),
    Case("pure", "INSERT INTO f5 SELECT k, v FROM log LIMIT 50"),
    Case("pinned", "INSERT INTO f5 VALUES ('random', random()), ('now', datetime('now'))"),
    Case("pure", "UPDATE f5 SET body = 'running runs' WHERE rowid = 3"),
    Case("pure", "INSERT INTO log(k, v) SELECT title, bm25(f5) FROM f5('runs OR random')"),
    Case(
        "pure", "INSERT INTO log(k, v) SELECT 's', snippet(f5, 1, '[', ']', '', 5) FROM f5('run')"
    ),
    Case("pure", "DELETE FROM f5 WHERE rowid = 2"),
    Case("pure", "INSERT INTO f5(f5) VALUES ('optimize')"),
    Case("pure", "INSERT INTO f5(f5) VALUES ('rebuild')"),
    Case("pure", "CREATE VIRTUAL TABLE f5v USING fts5vocab(f5, row)"),
    Case("pure", "INSERT INTO log(k, v) SELECT term, doc FROM f5v"),
    Case("pure", "CREATE VIRTUAL TABLE f4 USING fts4(a)"),
    Case("pure", "INSERT INTO f4 SELECT k FROM log LIMIT 20"),
    Case("pure", "CREATE VIRTUAL TABLE rt USING rtree(id, x0, x1, y0, y1, +note)"),
    Case("pinned", "INSERT INTO rt SELECT id, id, id + 1, 0, id, random() FROM many"),
    Case("pure", "INSERT INTO rt(x0, x1, y0, y1) VALUES (1, 2, 3, 4)"),
    Case("pure", "DELETE FROM rt WHERE x0 > 12 AND y1 < 30"),
    Case("pure", "INSERT INTO log(k, v) SELECT 'rt', id FROM rt WHERE x0 BETWEEN 1 AND 8"),
    Case("pure", "CREATE VIRTUAL TABLE geo USING geopoly(name)"),
    Case("pure", "INSERT INTO geo(_shape, name) VALUES ('[[0,0],[1,0],[1,1],[0,0]]', 'a')"),
    Case("pure", "CREATE TABLE st(a INTEGER PRIMARY KEY, b TEXT, c ANY) STRICT"),
    Case("pinned", "INSERT INTO st VALUES (1, datetime('now'), random()), (2, 3, 4.0)"),
    Case("pure", "INSERT INTO st VALUES ('no', 1, 1)"),
    Case("pure", "CREATE TABLE wr(a, b, c, PRIMARY KEY (b, a)) WITHOUT ROWID"),
    Case("pinned", "INSERT INTO wr SELECT id, random(), CURRENT_TIME FROM many"),
    Case("pinned", "REPLACE INTO wr SELECT a, b, randomblob(3) FROM wr WHERE a < 20"),
    Case("pure", "CREATE TABLE ai(a INTEGER PRIMARY KEY AUTOINCREMENT, b)"),
    Case("pure", "INSERT INTO ai(b) VALUES (1), (2), (3)"),
    Case("pure", "DELETE FROM ai"),
    Case("pinned", "INSERT INTO ai(b) VALUES (random())"),
    Case("pure", "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'ai'"),
    Case("pure", "INSERT INTO ai(b) VALUES ('no number left')"),
    Case("pinned", "REPLACE INTO base(id, v) VALUES (1, random()), (2, datetime('now'))"),
    Case("pinned", "INSERT OR REPLACE INTO base SELECT id, random() FROM base"),
    Case("pure", "CREATE TABLE parent(a PRIMARY KEY, b)"),
    Case(
        "pure",
        "CREATE TABLE child(a REFERENCES parent(a) ON DELETE CASCADE ON UPDATE CASCADE, b,"
        " c REFERENCES parent(a) ON DELETE SET NULL)",
    ),
    Case("pinned", "INSERT INTO parent SELECT id, random() FROM many LIMIT 6"),
    Case("pure", "INSERT INTO child SELECT a, b, a FROM parent"),
    Case("pure", "UPDATE parent SET a = a + 1000 WHERE a % 2"),
    Case("pure", "DELETE FROM parent WHERE a > 1002"),
    Case("pure", "INSERT INTO child VALUES ('nobody', 1, 1)"),
    Case("pure", "DELETE FROM parent"),
]

UPKEEP = [
    Case("pure", "ANALYZE"),
    Case("pure", "UPDATE sqlite_stat1 SET stat = '1000 1' WHERE idx = 'i1'"),
    Case("pure", "INSERT INTO log(k, v) SELECT k, id FROM log WHERE lower(k) > 'a' LIMIT 9"),
    Case("pure", "REINDEX"),
    Case("pure", "REINDEX i2"),
    Case("pure", "ALTER TABLE log ADD COLUMN extra DEFAULT 'new'"),
    Case("pure", "ALTER TABLE log RENAME COLUMN v TO value"),
    Case("pure", "ALTER TABLE d1 RENAME TO d1b"),
    Case("pure", "ALTER TABLE d4 DROP COLUMN a"),
    Case("pure", "VACUUM"),
    Case("pinned", "INSERT INTO log(k, value) VALUES ('after', random())"),
    Case("pure", "PRAGMA user_version = 42"),
    Case("pure", "PRAGMA application_id = 7"),
    Case("pure", "DROP VIEW vw"),
    Case("pure", "DROP TABLE f4"),
    Case("pure", "DROP INDEX i1"),
    Case("pure", "INSERT INTO nowhere VALUES (1)"),
    Case("pure", "INSERT INTO base VALUES (1, 2, 3)"),
    Case("pure", "CREATE TABLE copy AS SELECT * FROM log ORDER BY id"),
    Case("pure", "INSERT INTO log(k, value) SELECT name, sql FROM sqlite_schema"),
    Case("pure", "INSERT INTO log(k, value) SELECT name, type FROM pragma_table_info('log')"),
    Case(
        "pure",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500)"
        " INSERT INTO log(k, value) SELECT 'n', i FROM n",
    ),
    Case("pinned", "UPDATE log SET extra = random() FROM base WHERE base.id = log.id"),
    Case("pure", "UPDATE OR IGNORE base SET id = 5"),
    Case("pure", "DELETE FROM log WHERE id > 900 RETURNING id, k"),
    Case("pure", "INSERT INTO base(v) VALUES (CAST(x'ff' AS TEXT)) RETURNING v"),
]

REFUSED = [
    Case("refused", "INSERT INTO log(k) VALUES (sqlite_version())"),
    Case("refused", "INSERT INTO log(k) SELECT sqlite_source_id()"),
    Case("refused", "UPDATE log SET k = total_changes()"),
    Case("refused", "INSERT INTO log(k) SELECT sqlite_compileoption_get(1)"),
    Case("refused", "CREATE TEMP TABLE x(a)"),
    Case("refused", "CREATE TABLE temp.x(a)"),
    Case("refused", "ATTACH 'x' AS y"),
    Case("refused", "DETACH y"),
    Case("refused", "VACUUM INTO 'copy'"),
    Case("refused", "SELECT load_extension('x')"),
    Case("refused", "CREATE VIRTUAL TABLE x USING dbstat"),
    Case("refused", "PRAGMA journal_mode = DELETE"),
    Case("refused", "PRAGMA writable_schema = ON"),
    Case("refused", "PRAGMA case_sensitive_like = ON"),
    Case("refused", "INSERT INTO log(k) SELECT rootpage FROM sqlite_schema"),
    Case("refused", "DELETE FROM sqlite_raftsql_position"),
    Case("refused", "CREATE TRIGGER x AFTER INSERT ON base BEGIN SELECT sqlite_version(); END"),
    Case("refused", "CREATE TABLE x(a DEFAULT (sqlite_version()))"),
]

CASES = [*SCHEMA, *_crossed(), *PLACES, *TABLES, *UPKEEP, *REFUSED]
