"""docs/operating.md says what is so: its commands have the flags they use, its fields are there."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest

from raftsql.rpc.status import as_json, picture, unformed
from raftsql.server import cli, readiness
from raftsql.server.configuration import add_flags
from raftsql.server.metrics import METRICS, table
from raftsql.server.settings import SETTINGS
from tests.server.test_host import led, made, running

PAGE = (Path(__file__).parent.parent.parent / "docs" / "operating.md").read_text()


def commands() -> list[str]:
    """Each indented line that begins with the program's name, without what the shell does."""
    lines = re.findall(r"^    (raftsql [a-z][^#|&\n]*)", PAGE, re.MULTILINE)
    found = [line.strip() for line in lines if "serve:" not in line]
    assert len(found) > 20
    return found


def words_of(command: str) -> list[str]:
    words = shlex.split(command.replace("…", "x").replace("$PRODUCTION", "h:1"))[1:]
    return [word for word in words if word != "x" or words[0] == "serve"]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_page_is_understood(command: str, tmp_path: Path) -> None:
    """Asked of nobody: what is not understood ends with 2 before anybody is asked."""
    name, *arguments = words_of(command)
    assert name in cli.COMMANDS
    if name in ("serve", "up"):
        parser = argparse.ArgumentParser()
        if name == "serve":
            add_flags(parser)
        else:
            from raftsql.server import up

            up.add_flags(parser)
        parser.parse_args(arguments)
        return
    if name == "version":
        assert cli.main([name, *arguments]) == 0
        return
    if name == "recover":
        arguments[arguments.index("--data-dir") + 1] = str(tmp_path / "absent")
    elif "--url" in arguments:
        arguments[arguments.index("--url") + 1] = "127.0.0.1:1"
    else:
        arguments += ["--url", "127.0.0.1:1"]
    said = StringIO()
    with redirect_stderr(said):
        try:
            code = cli.main([name, *arguments])
        except SystemExit as end:
            code = int(str(end.code))
    assert code in (1, 3), said.getvalue()


def fields() -> set[str]:
    table = PAGE.split("<!-- status -->")[1].split("<!-- end of status -->")[0]
    firsts = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return {name for first in firsts for name in re.findall(r"`(\w+)`", first)}


async def test_every_field_of_a_status_is_on_the_page_and_the_reverse(tmp_path: Path) -> None:
    async with running(tmp_path, "--backup-to", str(tmp_path / "b")) as host:
        await led(host)
        assert host.runner is not None
        told = {
            **picture(host.runner, "h:1"),
            **{name: tell() for name, tell in readiness.told(host).items()},
        }
        assert set(host.admin.more) == {"backup"}
        assert fields() == set(told) | {"backup", "verified"}
        row = next(line for line in PAGE.splitlines() if line.startswith("| `members` |"))
        assert all(f"`{name}`" in row for name in told["members"][0])
        backup = next(line for line in PAGE.splitlines() if line.startswith("| `backup` |"))
        assert all(f"`{name}`" in backup for name in host.admin.more["backup"]())
        as_json(told)


async def test_a_node_without_a_cluster_tells_no_field_that_others_lack(tmp_path: Path) -> None:
    host = made(tmp_path)
    told = set(unformed("h:1", "waits")) | set(readiness.told(host))
    assert told <= fields()
    await host.close()
    await asyncio.sleep(0)


def test_the_table_of_metrics_is_the_definitions() -> None:
    assert table() in PAGE, "make configuration"


def test_settings_named_on_the_page_exist() -> None:
    known = {setting.name for setting in SETTINGS}
    named = set(re.findall(r"`(\w+_(?:ms|max|entries|seconds|to|keep|format))`", PAGE))
    assert len(named) > 5
    metrics = {n for n in named if n.startswith("raftsql_")}
    assert {n.removeprefix("raftsql_") for n in metrics} <= {one.name for one in METRICS}
    assert named - metrics - fields() - {"age_seconds"} <= known
