# ruff: noqa: E501, RUF001
"""Statements with the kind and the verdict that we expect, for every test that needs many.

`SCHEMA` is what the real SQLite of the differential test runs them against.
"""

from __future__ import annotations

SCHEMA = """
CREATE TABLE t(a PRIMARY KEY, b, c TEXT, d REAL);
CREATE TABLE u(a INTEGER PRIMARY KEY, b UNIQUE, c);
CREATE TABLE parent(id INTEGER PRIMARY KEY);
CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent(id) ON DELETE CASCADE);
CREATE TABLE "random"("date" TEXT, "now" TEXT);
CREATE TABLE total_changes(a);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE VIRTUAL TABLE docs USING fts5(title, body);
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1);
INSERT INTO t VALUES (1, 10, 'x', 1.5), (2, 20, 'y', 2.5), (3, 30, 'z', 3.5);
"""

PURE_READS = """
SELECT 1
select a, b from t where a = ?
SELECT * FROM t WHERE c = 'random()'
SELECT * FROM t WHERE c = 'it''s random()' AND b > 1
SELECT 1 -- random()
SELECT 1 /* random() */
SELECT 1 /* random()
SELECT 1 -- CURRENT_TIMESTAMP
/* a comment first */ SELECT 1
VALUES (1), (2)
WITH a AS (SELECT 1) SELECT * FROM a
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT x FROM n
WITH a(x) AS (SELECT 1), b(y) AS (SELECT 2) SELECT * FROM a, b
WITH a(x) AS MATERIALIZED (SELECT 1), b(y) AS NOT MATERIALIZED (SELECT 2) SELECT * FROM a, b
WITH replace AS (SELECT 1 AS x) SELECT x FROM replace
SELECT date('2024-01-01'), datetime('2024-01-01', '+1 day'), strftime('%Y', '2024-01-01')
SELECT date(2460000.5), julianday(2460000.5), unixepoch('2024-01-01 10:00')
SELECT timediff('2024-01-01', '2023-01-01')
SELECT date('2024-01-01', 'localtime'), datetime('2024-01-01', 'utc')
SELECT x'00ff', X'AA', 1_000, 0x1F, 1.5e3, .5, 1.
SELECT ?1, :a, @b, $c, $d::e, ?
SELECT [a], `b`, "c" FROM t
SELECT "random" FROM (SELECT 1 AS "random")
SELECT random FROM (SELECT 1 AS random)
SELECT r.random FROM (SELECT 1 AS random) AS r
SELECT abs(b), upper(c), round(d, 1), max(1, 2), coalesce(b, 1) FROM t
SELECT count(*), sum(b), avg(d), group_concat(c), total(b) FROM t
SELECT row_number() OVER (ORDER BY a), lag(b) OVER w FROM t WINDOW w AS (ORDER BY a)
SELECT sum(b) FILTER (WHERE b > 1) FROM t
SELECT json_extract('{"a":1}', '$.a'), '{"a":1}' -> 'a', '{"a":1}' ->> 'a'
SELECT value FROM json_each('[1,2]')
SELECT t.a, j.value FROM t, json_each('[1]') AS j
SELECT value FROM t JOIN json_tree('{"a":1}')
SELECT * FROM docs('word')
SELECT * FROM t, docs('word')
SELECT * FROM (t JOIN u ON abs(t.a) = u.a), docs('word')
SELECT * FROM docs WHERE docs MATCH 'word' ORDER BY rank
SELECT highlight(docs, 0, '<', '>'), snippet(docs, 0, '', '', '', 5), bm25(docs) FROM docs
SELECT id FROM boxes WHERE x0 > 1
SELECT CASE WHEN a = 1 THEN abs(b) ELSE -b END FROM t
SELECT CAST(a AS varchar(10)) FROM t
SELECT a FROM t WHERE a IN (1, 2) AND b NOT IN (SELECT b FROM u)
SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)
SELECT a FROM t WHERE c LIKE 'x%' AND c GLOB 'x*' AND like('x', c)
SELECT a FROM t WHERE a IS NOT DISTINCT FROM abs(b)
SELECT a FROM t LIMIT abs(-3) OFFSET 0
SELECT a FROM t ORDER BY lower(c) LIMIT 1
SELECT a COLLATE NOCASE FROM t UNION SELECT b FROM u EXCEPT SELECT 1
SELECT DISTINCT abs(b) FROM t GROUP BY abs(b) HAVING count(*) > 0
SELECT iif(1, 2, 3), if(1, 2, 3), nullif(1, 2), replace('a', 'b', 'c'), left FROM (SELECT 1 AS left)
SELECT sqlite_version()
SELECT sqlite_source_id(), sqlite_compileoption_used('X'), total_changes()
SELECT changes(), last_insert_rowid()
SELECT * FROM sqlite_schema
SELECT name, rootpage FROM sqlite_master
SELECT name FROM sqlite_temp_master
SELECT * FROM pragma_table_info('t')
SELECT m.name, i.name FROM sqlite_schema AS m, pragma_index_list(m.name) AS i
SELECT * FROM pragma_function_list
SELECT * FROM pragma_user_version
SELECT * FROM pragma_database_list
SELECT count(*) FROM dbstat
SELECT * FROM "total_changes"
SELECT pi(), sin(1.0), pow(2, 3), ln(2)
SELECT printf('%d', 1), format('%s', 'now'), concat('a', 'b'), unistr('a')
SELECT percentile(b, 50), median(b) FROM t
SELECT 'sqlite_raftsql_sessions'
SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_raftsql_%'
EXPLAIN SELECT 1
EXPLAIN QUERY PLAN SELECT * FROM t
EXPLAIN QUERY PLAN UPDATE t SET a = 1
EXPLAIN INSERT INTO t VALUES (1, 2, 3, 4)
EXPLAIN CREATE TABLE x(a)
EXPLAIN BEGIN
PRAGMA table_info(t)
PRAGMA table_info('t')
PRAGMA table_xinfo(t)
PRAGMA table_list
PRAGMA index_list(t)
PRAGMA index_info = 'i'
PRAGMA index_xinfo(i)
PRAGMA foreign_key_list(child)
PRAGMA foreign_key_check
PRAGMA foreign_key_check(child)
PRAGMA main.table_info(t)
PRAGMA "main"."table_info"(t)
PRAGMA database_list
PRAGMA collation_list
PRAGMA function_list
PRAGMA module_list
PRAGMA pragma_list
PRAGMA compile_options
PRAGMA integrity_check
PRAGMA integrity_check(5)
PRAGMA quick_check
PRAGMA user_version
PRAGMA application_id
PRAGMA encoding
PRAGMA page_count
PRAGMA page_size
PRAGMA freelist_count
PRAGMA schema_version
PRAGMA data_version
PRAGMA journal_mode
PRAGMA synchronous
PRAGMA read_uncommitted
PRAGMA main.journal_mode
pragma /* x */ cache_size
SELECT ünïcode FROM (SELECT 1 AS ünïcode)
SELECT ſelect FROM (SELECT 1 AS ſelect)
SELECT '🙂', "é" FROM (SELECT 1 AS "é")
"""

PINNED_READS = """
SELECT random()
SELECT RANDOM ( )
SELECT random/**/()
SELECT random\t\f()
SELECT "random"()
SELECT [random]()
SELECT `random`()
SELECT "RaNdOm"()
SELECT randomblob(4*4)
SELECT hex(randomblob(16))
SELECT abs(random() % 10)
SELECT CURRENT_TIMESTAMP, current_date, Current_Time
SELECT date(), time(), datetime(), julianday(), unixepoch()
SELECT date('now'), date('NOW'), date("now")
SELECT datetime('now', 'localtime')
SELECT strftime('%s'), strftime('%f', 'now')
SELECT strftime('%s', ?)
SELECT date(c) FROM t
SELECT date('n' || 'ow')
SELECT date('2' || c) FROM t
SELECT date(?)
SELECT datetime('subsec')
SELECT unixepoch('subsec')
SELECT timediff('now', '2024-01-01'), timediff('2024-01-01', 'now')
SELECT a FROM t ORDER BY random()
SELECT a FROM t ORDER BY random() LIMIT 1
SELECT a FROM t WHERE a IN (SELECT random())
WITH a AS (SELECT random() AS r) SELECT r FROM a
SELECT (SELECT random())
SELECT * FROM t JOIN u ON t.a = random()
SELECT CASE WHEN random() > 0 THEN 1 ELSE 2 END
SELECT sum(random()) OVER () FROM t
SELECT random(*)
SELECT random(DISTINCT)
VALUES (random())
EXPLAIN SELECT random()
SELECT * FROM json_each('[1]') WHERE value < random()
SELECT date(date(date('now')))
SELECT \ufeffrandom()
"""

PURE_WRITES = """
INSERT INTO t VALUES (9, 2, 3, 4)
INSERT INTO t(a, b) VALUES (?, ?)
INSERT INTO main.t(a, b) VALUES (:a, :b)
INSERT INTO "t"("a", "b") VALUES (@a, $b)
INSERT INTO 't'(a) VALUES (9)
INSERT INTO t DEFAULT VALUES
INSERT INTO t(c) VALUES ('random()'), ('CURRENT_TIMESTAMP'), ('now')
INSERT INTO t(c) VALUES ('it''s datetime(''now'')')
INSERT OR IGNORE INTO t(a) VALUES (1)
INSERT OR ROLLBACK INTO t(a) VALUES (9)
INSERT OR FAIL INTO t(a) VALUES (9)
REPLACE INTO t(a) VALUES (1)
INSERT OR REPLACE INTO t(a) VALUES (1)
INSERT INTO t(a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = excluded.b WHERE b > 1
INSERT INTO t(a, b) VALUES (1, 2) ON CONFLICT (a) DO NOTHING
INSERT INTO t AS random(a, b) VALUES (1, 2) ON CONFLICT DO NOTHING
INSERT INTO t(b) SELECT b FROM u
INSERT INTO t(b) SELECT b FROM u LIMIT 1
INSERT INTO t(b) SELECT value FROM json_each('[1,2]')
INSERT INTO t(b) WITH n(x) AS (VALUES (1)) SELECT x FROM n
WITH n(x) AS (VALUES (1)) INSERT INTO t(b) SELECT x FROM n
WITH n(x) AS (VALUES (1)) REPLACE INTO t(b) SELECT x FROM n
WITH n(x) AS (VALUES (1)) UPDATE t SET b = (SELECT x FROM n)
WITH n(x) AS (VALUES (1)) DELETE FROM t WHERE a IN n
WITH a(x) AS (SELECT 9), b(y) AS (SELECT 2) INSERT INTO t(a, b) SELECT x, y FROM a, b
INSERT INTO t(a) VALUES (9) RETURNING a, upper(c)
UPDATE t SET b = b + 1
UPDATE t SET (b, c) = (1, 'x') WHERE a = 1
UPDATE t SET b = u.b FROM u WHERE u.a = t.a
UPDATE OR IGNORE t SET a = 1
UPDATE t SET b = (SELECT max(b) FROM u) RETURNING *
UPDATE t SET c = date('2024-01-01', '+1 month')
UPDATE t SET b = last_insert_rowid(), c = changes()
UPDATE t SET c = datetime('2024-01-01', 'localtime')
DELETE FROM t
DELETE FROM t WHERE a = 1
DELETE FROM t WHERE a IN (SELECT a FROM u ORDER BY b LIMIT 5)
DELETE FROM t WHERE a IN parent
DELETE FROM parent WHERE id = 1
INSERT INTO random("date", "now") VALUES ('2024-01-01', 'x')
INSERT INTO total_changes(a) VALUES (1)
UPDATE "random" SET "date" = "now"
INSERT INTO docs(title, body) VALUES ('a', 'b')
INSERT INTO docs(docs) VALUES ('optimize')
INSERT INTO docs(docs, rank) VALUES ('merge', 4)
INSERT INTO boxes VALUES (1, 0, 1, 0, 1)
INSERT INTO t(b) SELECT group_concat(c) FROM t
INSERT INTO t(b) SELECT row_number() OVER (ORDER BY a) FROM u
INSERT INTO t(b) SELECT name FROM sqlite_schema
INSERT INTO t(b) SELECT count(*) * 2 FROM sqlite_schema
INSERT INTO t(b) SELECT name FROM pragma_table_info('t')
INSERT INTO t(d) VALUES (sqrt(2)), (9e999), (-9e999)
INSERT INTO t(b) VALUES (x'00')
INSERT INTO t(b) VALUES (zeroblob(10))
INSERT INTO t(c) VALUES ('line
break')
PRAGMA user_version = 5
PRAGMA application_id = 7
PRAGMA main.user_version = 5
"""

PINNED_WRITES = """
INSERT INTO t(b) VALUES (random())
INSERT INTO t(b) VALUES (random ())
INSERT INTO t(b) VALUES (random/* */())
INSERT INTO t(b) VALUES ("random"())
INSERT INTO t(b) VALUES (randomblob(4*4))
INSERT INTO t(b) VALUES (CURRENT_TIMESTAMP)
INSERT INTO t(b) VALUES (datetime('now'))
INSERT INTO t(b) VALUES (strftime('%f'))
INSERT INTO t(b) VALUES (strftime('%f', 'now'))
INSERT INTO t(b) SELECT random()
INSERT INTO t(b) SELECT a FROM u ORDER BY random() LIMIT 1
WITH r AS (SELECT random() AS x) INSERT INTO t(b) SELECT x FROM r
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5) INSERT INTO t(b) SELECT random() FROM n
UPDATE t SET b = random()
UPDATE t SET b = random() WHERE a > 1 RETURNING b
INSERT INTO t(a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = random()
INSERT INTO t(b) VALUES (1) RETURNING random()
DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY random() LIMIT 1)
DELETE FROM t WHERE random() % 2
UPDATE t SET b = unixepoch()
UPDATE t SET b = julianday('now') - julianday('2024-01-01')
UPDATE t SET b = date(c)
INSERT INTO t(b) SELECT value FROM json_each(json_array(random()))
REPLACE INTO t(b) VALUES (current_date)
INSERT INTO t(b) VALUES (CASE WHEN random() > 0 THEN 1 END)
"""

PURE_DEFINITIONS = """
CREATE TABLE x(a)
CREATE TABLE x(a INTEGER PRIMARY KEY AUTOINCREMENT, b varchar(20) NOT NULL, c decimal(10, 2))
CREATE TABLE x(first varchar(20), last varchar(20), desc varchar(5), key nvarchar(5))
CREATE TABLE x(a "odd type"(3), b unsigned big int(4), c double precision)
CREATE TABLE IF NOT EXISTS main.x(a)
CREATE TABLE x(a INT) STRICT
CREATE TABLE x(a INT PRIMARY KEY) WITHOUT ROWID
CREATE TABLE x(a, b AS (a + 1) STORED, c GENERATED ALWAYS AS (abs(a)) VIRTUAL)
CREATE TABLE x(a CHECK (length(a) > 1), UNIQUE (a), FOREIGN KEY (a) REFERENCES t(a))
CREATE TABLE x(a DEFAULT 5, b DEFAULT 'random()', c DEFAULT (1 + 1), d DEFAULT (date('2024-01-01')))
CREATE TABLE x AS SELECT * FROM t
CREATE TABLE temp(a)
CREATE TABLE x(random, date, now)
CREATE INDEX i ON t(b)
CREATE UNIQUE INDEX IF NOT EXISTS i ON t(lower(c), b DESC) WHERE b > 1
CREATE INDEX main.i ON t (b COLLATE NOCASE)
CREATE VIEW w(a, b) AS SELECT a, abs(b) FROM t
CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u(b) VALUES (new.b); END
CREATE TRIGGER g AFTER UPDATE OF a, b ON t WHEN new.a > 1 BEGIN UPDATE u SET b = CASE WHEN a THEN 1 ELSE 2 END; DELETE FROM u; END
CREATE TRIGGER g INSTEAD OF DELETE ON v BEGIN SELECT RAISE(ABORT, 'no'); END;
CREATE VIRTUAL TABLE x USING fts5(a, b, tokenize = 'porter ascii')
CREATE VIRTUAL TABLE x USING fts5(a, content='', random UNINDEXED)
CREATE VIRTUAL TABLE x USING fts4(a)
CREATE VIRTUAL TABLE x USING fts3
CREATE VIRTUAL TABLE x USING rtree(id, a, b, +note TEXT)
CREATE VIRTUAL TABLE x USING rtree_i32(id, a, b)
CREATE VIRTUAL TABLE x USING geopoly(a)
CREATE VIRTUAL TABLE x USING fts5vocab(docs, 'row')
CREATE VIRTUAL TABLE IF NOT EXISTS x USING "FTS5"(a)
ALTER TABLE t RENAME TO t2
ALTER TABLE t RENAME COLUMN b TO bb
ALTER TABLE t ADD COLUMN e varchar(10) DEFAULT 'x'
ALTER TABLE t ADD first varchar(10)
ALTER TABLE t DROP COLUMN d
DROP TABLE t
DROP TABLE IF EXISTS missing
DROP VIEW v
DROP INDEX IF EXISTS i
DROP TRIGGER IF EXISTS g
"""

PINNED_DEFINITIONS = """
CREATE TABLE x(a DEFAULT CURRENT_TIMESTAMP)
CREATE TABLE x(a DEFAULT (datetime('now')))
CREATE TABLE x(a DEFAULT (random()))
CREATE TABLE x(id DEFAULT (lower(hex(randomblob(16)))))
CREATE TABLE x AS SELECT random() AS r
CREATE VIEW w AS SELECT random() AS r
CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET b = random() WHERE a = new.a; END
CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u(c) VALUES (CURRENT_TIMESTAMP); END
CREATE TABLE x(a, b AS (date(a)))
"""

TRANSACTIONS = {
    "BEGIN": ("BEGIN_DEFERRED", None),
    "begin transaction": ("BEGIN_DEFERRED", None),
    "BEGIN DEFERRED": ("BEGIN_DEFERRED", None),
    "BEGIN DEFERRED TRANSACTION;": ("BEGIN_DEFERRED", None),
    "BEGIN TRANSACTION name": ("BEGIN_DEFERRED", None),
    "BEGIN IMMEDIATE": ("BEGIN_IMMEDIATE", None),
    "begin/**/immediate transaction": ("BEGIN_IMMEDIATE", None),
    "BEGIN EXCLUSIVE": ("BEGIN_EXCLUSIVE", None),
    "COMMIT": ("COMMIT", None),
    "COMMIT TRANSACTION": ("COMMIT", None),
    "END": ("COMMIT", None),
    "END TRANSACTION;": ("COMMIT", None),
    "ROLLBACK": ("ROLLBACK", None),
    "ROLLBACK TRANSACTION": ("ROLLBACK", None),
    "ROLLBACK TO a": ("ROLLBACK_TO", "A"),
    "ROLLBACK TO SAVEPOINT a": ("ROLLBACK_TO", "A"),
    "ROLLBACK TRANSACTION TO SAVEPOINT a": ("ROLLBACK_TO", "A"),
    "ROLLBACK TO savepoint": ("ROLLBACK_TO", "SAVEPOINT"),
    "SAVEPOINT a": ("SAVEPOINT", "A"),
    'SAVEPOINT "two words"': ("SAVEPOINT", "TWO WORDS"),
    "SAVEPOINT 'a'": ("SAVEPOINT", "A"),
    "SAVEPOINT sa_savepoint_1": ("SAVEPOINT", "SA_SAVEPOINT_1"),
    "RELEASE a": ("RELEASE", "A"),
    "RELEASE SAVEPOINT a": ("RELEASE", "A"),
    "RELEASE [a]": ("RELEASE", "A"),
}

MAINTENANCE = """
VACUUM
VACUUM main
vacuum;
ANALYZE
ANALYZE t
ANALYZE main.t
REINDEX
REINDEX NOCASE
REINDEX t
"""

REFUSED = {
    "ATTACH 'x.db' AS x": "belongs to one node",
    "attach database 'x.db' as x": "belongs to one node",
    "/* */ATTACH/* */'x.db' AS x": "belongs to one node",
    "DETACH x": "belongs to one node",
    "EXPLAIN ATTACH 'x' AS y": "belongs to one node",
    "VACUUM INTO 'x'": "writes a file",
    "VACUUM main INTO 'x'": "writes a file",
    "VACUUM 'main' INTO ?": "writes a file",
    "CREATE TEMP TABLE x(a)": "temporary objects",
    "CREATE TEMPORARY TABLE x(a)": "temporary objects",
    "CREATE/**/TEMP VIEW x AS SELECT 1": "temporary objects",
    "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END": "temporary objects",
    "CREATE TABLE temp.x(a)": "temporary objects",
    'CREATE TABLE IF NOT EXISTS "temp".x(a)': "temporary objects",
    "CREATE VIEW temp.x AS SELECT 1": "temporary objects",
    "SELECT load_extension('x')": "runs code",
    "SELECT \"load_extension\"('x')": "runs code",
    "INSERT INTO t(b) VALUES (LOAD_EXTENSION /* */ ('x'))": "runs code",
    "SELECT fts3_tokenizer('simple')": "node's own process",
    "SELECT fts5(?)": "node's own process",
    "SELECT sqlite_log(1, 'x')": "node's own process",
    "SELECT geopoly_debug(1)": "node's own process",
    "SELECT optimize(docs) FROM docs": "write inside a SELECT",
    "INSERT INTO t(b) VALUES (sqlite_version())": "depends on the SQLite of the node",
    "INSERT INTO t(b) SELECT sqlite_source_id()": "depends on the SQLite of the node",
    "UPDATE t SET b = sqlite_compileoption_used('X')": "depends on the SQLite of the node",
    "UPDATE t SET b = sqlite_compileoption_get(1)": "depends on the SQLite of the node",
    "UPDATE t SET b = fts5_source_id()": "depends on the SQLite of the node",
    "UPDATE t SET b = total_changes()": "has changed since it was opened",
    "CREATE VIEW w AS SELECT total_changes()": "has changed since it was opened",
    "CREATE TABLE x(a DEFAULT (sqlite_version()))": "depends on the SQLite of the node",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET b = total_changes(); END": "has changed",
    "INSERT INTO t(b) SELECT pageno FROM dbstat": "this node's own file",
    "INSERT INTO t(b) SELECT page_count FROM pragma_page_count": "tells about the node",
    "INSERT INTO t(b) SELECT file FROM pragma_database_list()": "tells about the node",
    "INSERT INTO t(b) SELECT name FROM main.pragma_function_list": "tells about the node",
    "INSERT INTO t(b) SELECT rootpage FROM sqlite_schema": "page numbers",
    "INSERT INTO t(b) SELECT * FROM sqlite_master": "page numbers",
    "INSERT INTO t(b) SELECT a, m.* FROM u, main.sqlite_schema AS m": "page numbers",
    "DELETE FROM t WHERE a IN pragma_page_size": "tells about the node",
    "SELECT * FROM pragma_optimize": "asked before",
    "SELECT * FROM t, carray(?, 3)": "memory of this node",
    "SELECT unknown_function(1)": "no such function",
    "INSERT INTO t(b) VALUES (1 + uuid4())": "no such function",
    "UPDATE t SET b = pg_sleep(1)": "no such function",
    "CREATE INDEX i ON t(soundex(c))": "no such function",
    "CREATE VIRTUAL TABLE x USING dbstat": "this node's own file",
    "CREATE VIRTUAL TABLE x USING csv('x')": "not among the modules",
    "CREATE VIRTUAL TABLE x USING /* */ 'zipfile'('x')": "not among the modules",
    "CREATE VIRTUAL TABLE x USING fts5(a, content='sqlite_raftsql_sessions')": "raftsql's own",
    "SELECT * FROM sqlite_raftsql_sessions": "raftsql's own",
    "SELECT * FROM main.SQLITE_raftsql_applied": "raftsql's own",
    'SELECT * FROM "sqlite_raftsql_applied"': "raftsql's own",
    "SELECT * FROM 'sqlite_raftsql_applied'": "raftsql's own",
    "SELECT * FROM t JOIN [sqlite_raftsql_applied]": "raftsql's own",
    "INSERT INTO 'sqlite_raftsql_applied' VALUES (1)": "raftsql's own",
    "DELETE FROM sqlite_raftsql_sessions": "raftsql's own",
    "UPDATE 'sqlite_raftsql_sessions' SET a = 1": "raftsql's own",
    "DROP TABLE sqlite_raftsql_sessions": "raftsql's own",
    "CREATE TABLE sqlite_raftsql_x(a)": "raftsql's own",
    "CREATE VIEW w AS SELECT * FROM sqlite_raftsql_sessions": "raftsql's own",
    "PRAGMA journal_mode = WAL": "the node sets this",
    "PRAGMA journal_mode(delete)": "the node sets this",
    "PRAGMA main.journal_mode = off": "the node sets this",
    "PRAGMA synchronous = 0": "the node sets this",
    "PRAGMA cache_size = -2000": "the node sets this",
    "PRAGMA busy_timeout = 5000": "the node sets this",
    "PRAGMA query_only = 1": "the node sets this",
    "PRAGMA trusted_schema = on": "the node sets this",
    "PRAGMA encoding = 'UTF-16'": "file format",
    "PRAGMA page_size = 8192": "file format",
    "PRAGMA ignore_check_constraints = 1": "on this node alone",
    "PRAGMA reverse_unordered_selects = 1": "on this node alone",
    "PRAGMA case_sensitive_like = 1": "what LIKE means",
    "PRAGMA writable_schema = 1": "opens the schema",
    "PRAGMA schema_version = 5": "corrupts",
    "PRAGMA optimize": "asked before",
    "PRAGMA wal_checkpoint": "behind the log",
    "PRAGMA incremental_vacuum(5)": "behind the log",
    "PRAGMA shrink_memory": "the node sets this",
    "PRAGMA temp_store_directory": "the node sets this",
    "PRAGMA page_count = 5": "counts this itself",
    "PRAGMA banana": "does not know it",
    "PRAGMA banana = 1": "does not know it",
    "PRAGMA": "no name follows",
    "PRAGMA foreign_keys = banana": "neither on nor off",
    "PRAGMA foreign_keys = -1": "neither on nor off",
    "EXPLAIN PRAGMA foreign_keys = ON": "even when it is only explained",
    "EXPLAIN PRAGMA table_info(t)": "even when it is only explained",
    "EXPLAIN": "no statement follows",
    "EXPLAIN EXPLAIN SELECT 1": "no statement follows",
    "EXPLAIN VACUUM INTO 'x'": "writes a file",
    "SELECT 1; SELECT 2": "more than one statement",
    "INSERT INTO t VALUES (1); DROP TABLE t": "more than one statement",
    "SELECT 'open": "never closed",
    'SELECT "open': "never closed",
    "SELECT [open": "never closed",
    "SELECT `open": "never closed",
    "SELECT 'a''b": "never closed",
    "SELECT ^1": "no such token",
    "SELECT {a}": "no such token",
    "SELECT x'0g'": "no such token",
    "SELECT x'0'": "no such token",
    "SELECT 1abc": "no such token",
    "SELECT 0xrandom()": "no such token",
    "SELECT $": "no such token",
    "SELECT $a(b c)": "no such token",
    "SELECT !1": "no such token",
    "SELECT \\1": "no such token",
    "SELECT 1\0, random()": "NUL character",
    "SELECT '\ud800'": "surrogate",
    "FOO": "no SQL statement begins so",
    "(SELECT 1)": "no SQL statement begins so",
    "1": "no SQL statement begins so",
    "SHOW TABLES": "no SQL statement begins so",
    "MERGE INTO t USING u": "no SQL statement begins so",
    "EXEC x": "no SQL statement begins so",
    "ſELECT 1": "no SQL statement begins so",
    "\u00a0SELECT 1": "no SQL statement begins so",
    "WITH a AS (SELECT 1)": "no statement follows",
    "BEGIN CONCURRENT": "transaction control",
    "BEGIN IMMEDIATE DEFERRED": "transaction control",
    "SAVEPOINT": "transaction control",
    "SAVEPOINT a b": "transaction control",
    "ROLLBACK TO": "transaction control",
    "COMMIT 5": "transaction control",
    "RELEASE": "transaction control",
}


def lines(block: str) -> list[str]:
    """The statements of a block: one a line, a line that begins in the middle continues."""
    found: list[str] = []
    for line in block.strip("\n").split("\n"):
        if line in ("break')",):
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found
