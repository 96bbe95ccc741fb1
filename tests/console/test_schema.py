"""What is in the database, as the page shows it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from raftsql.server.console import schema
from tests.console.browsing import served


def path_of(table: str) -> str:
    """What the page asks for of one table, as it writes it."""
    return f"/api/table?name={quote(table, safe='')}"


async def test_the_schema_with_hostile_names(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        hostile = """</script><img src=x onerror=alert(1)>"'; DROP TABLE t; -- /?#%2e"""
        quoted = '"' + hostile.replace('"', '""') + '"'
        await browser.query(
            f"CREATE TABLE {quoted}(a INTEGER PRIMARY KEY, {quoted} TEXT NOT NULL DEFAULT 'x');"
            f"CREATE UNIQUE INDEX i ON {quoted}(a, {quoted}); CREATE VIEW v AS SELECT 1 AS one;"
            f"CREATE TRIGGER tr AFTER INSERT ON {quoted} BEGIN SELECT 1; END;"
            f"CREATE VIRTUAL TABLE words USING fts5(a); INSERT INTO {quoted} VALUES (1, '<b>')"
        )
        tables = {t["name"]: t for t in (await browser.get("/api/schema")).json["tables"]}
        assert set(tables) == {hostile, "v", "words"}
        assert [tables[name]["kind"] for name in (hostile, "v", "words")] == [
            "table", "view", "virtual",
        ]  # fmt: skip
        found = tables[hostile]
        assert found["columns"][1] == {
            "name": hostile, "type": "TEXT", "notnull": True, "default": "'x'", "pk": 0,
        }  # fmt: skip
        assert [(i["name"], i["unique"]) for i in found["indexes"]] == [("i", True)]
        assert [t["name"] for t in found["triggers"]] == ["tr"]
        one = (await browser.get(path_of(hostile))).json
        assert one == {"rows": 1, "columns": ["a", hostile], "first": [[1, "<b>"]]}
        assert (await browser.get(path_of("nothing"))).kind == "not_found"
        assert (await browser.get(path_of("sqlite_raftsql_position"))).status == 404


@pytest.mark.parametrize("name", ["..", ".", "", "two\nlines", "a/b", "a%2Fb", "a+b c&name=d#e"])
async def test_a_table_is_found_whatever_its_name_would_mean_in_an_address(
    name: str, tmp_path: Path
) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.rows(f'CREATE TABLE "{name}" AS SELECT 7 AS seven')
        found = (await browser.get(path_of(name))).json
        assert (found["columns"], found["first"]) == (["seven"], [[7]])


async def test_a_table_that_is_long_to_count_is_not_counted(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query(
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i FROM n"
        )
        found = (await browser.get(path_of("endless"))).json
        assert found["rows"] is None
        assert found["first"][0] == [1]


async def test_a_schema_of_thousands_of_tables_is_shown_as_far_as_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query(";".join(f"CREATE TABLE t{n:03}(a, b)" for n in range(300)))
        found = (await browser.get("/api/schema")).json
        assert [len(t["columns"]) for t in found["tables"]] == [2] * 300
        assert found["truncated"] is False
        monkeypatch.setattr(schema, "OBJECTS_MAX", 300)
        assert (await browser.get("/api/schema")).json["truncated"] is True
