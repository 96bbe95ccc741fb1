"""Write docs/reference.md: every public name, and the page that tells about it; --check compares.

What a name is comes from the code; where it is told is found in the pages: under the first heading
whose text or code names it. A name that no page tells about ends this with 1, and fails a test.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout, suppress
from enum import IntEnum
from io import StringIO
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import raftsql_driver
from raftsql.server import cli, metrics, web
from raftsql.server.configuration import OTHER_VARIABLES
from raftsql.server.settings import SETTINGS
from raftsql_driver import address
from raftsql_proto import admin_pb2, client_pb2, frames, users_pb2
from raftsql_shell import commands, options
from raftsql_shell.formats import ABOUT

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "reference.md"
HEAD = """\
# Reference: every public name, and where it is told

Written by `make configuration` from the code; a test fails when a name is on no page. What a name
is stands beside it in the code's own words.
"""
SUBCOMMANDS = ("add", "passwd", "remove", "grant", "revoke", "list")


class Named(NamedTuple):
    """A public name, what it is, and how a page would write it."""

    name: str
    meaning: str
    written: str


class Kind(NamedTuple):
    """Names of one kind, and the pages that may tell about them, the likeliest first."""

    title: str
    names: list[Named]
    homes: tuple[str, ...]


class Undocumented(Exception):
    """Names that no page tells about."""


def word(name: str) -> str:
    """A name that is neither the beginning nor the end of a longer one."""
    return rf"(?<![\w.-]){re.escape(name)}(?![\w-])"


def named(pairs: Iterable[tuple[str, str]]) -> list[Named]:
    """Names that a page writes as they are."""
    return [Named(name, meaning, word(name)) for name, meaning in pairs]


def helped(*arguments: str) -> Iterator[tuple[str, str]]:
    """The flags of a command with their help, as `--help` tells them."""
    os.environ["COLUMNS"] = "240"
    said = StringIO()
    with suppress(SystemExit), redirect_stdout(said):
        cli.main([*arguments, "--help"])
    text = re.sub(r"\n {20,}(?=\S)", "  ", said.getvalue())
    for flag, meaning in re.findall(r"^ {2}(?:-h, )?(--?[\w-]+)[^\n]*? {2,}(.*)$", text, re.M):
        if flag != "--help":
            yield flag, meaning


def flags() -> list[Named]:
    """The flags of all commands but `serve`, whose flags are settings."""
    found = []
    calls: list[tuple[str, ...]] = [
        (name,) for name in cli.COMMANDS if name not in ("serve", "user")
    ]
    calls += [("user", what) for what in SUBCOMMANDS]
    for call in calls:
        for flag, meaning in helped(*call):
            name = f"{' '.join(call)} {flag}"
            written = rf"(?s)(?=.*raftsql {call[0]}\b)(?=.*{word(flag)})"
            found.append(Named(name, meaning, written))
    return found


def members(kind: type[IntEnum]) -> list[Named]:
    """An enumeration's members, with what stands below each in the code."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef)
    told: dict[str, str] = {}
    name = ""
    for line in body.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            name = line.targets[0].id
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and name:
            told[name] = " ".join(str(line.value.value).split())
    return named((one.name, told.get(one.name, "")) for one in kind)


def levels() -> list[Named]:
    """What reads may ask for, as it is written in a URL."""
    return [Named(n.lower(), m, word(n.lower())) for n, m, _ in members(frames.Level)]


def errors() -> list[Named]:
    """The exceptions of the driver."""
    classes = [(name, getattr(raftsql_driver, name)) for name in raftsql_driver.__all__]
    return named(
        (name, (one.__doc__ or "").strip())
        for name, one in classes
        if isinstance(one, type) and issubclass(one, Exception)
    )


def others() -> list[Named]:
    """All other names of the driver."""
    known = {one.name for one in errors()}
    values = [(name, getattr(raftsql_driver, name)) for name in raftsql_driver.__all__]
    return named(
        (f"raftsql.{name}", first_line(value)) for name, value in values if name not in known
    )


def first_line(value: object) -> str:
    """What a class or function of ours says of itself, in its first line."""
    is_ours = getattr(value, "__module__", "").startswith("raftsql_driver")
    documented = is_ours and isinstance(value, type | FunctionType)
    return (inspect.getdoc(value) or "").partition("\n")[0] if documented else ""


def calls() -> list[Named]:
    """The calls that other languages may make."""
    return named(
        (f"{service.name}.{method.name}", "")
        for file in (client_pb2, admin_pb2, users_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    )


def pages() -> list[Named]:
    """What a node serves over HTTP."""
    found = re.findall(r'Route\("(/\w+)"', inspect.getsource(web))
    return named((path, "") for path in found)


def kinds() -> list[Kind]:
    """All of it."""
    operating = ("commands.md", "operating.md", "security.md")
    shell = [
        (flag, action.help or "")
        for action in options.parser()._actions
        for flag in action.option_strings
        if flag not in ("-h", "--help")
    ]
    return [
        Kind("Commands", _commands(), operating),
        Kind("Flags of commands", flags(), operating),
        Kind("Settings of a node", _settings(), ("configuration.md",)),
        Kind("Variables of the environment", _variables(), ("configuration.md", "driver.md")),
        Kind("Options of the shell", named(shell), ("shell.md",)),
        Kind("Commands of the shell", _shell_commands(), ("shell.md",)),
        Kind("Formats of the shell", named(ABOUT.items()), ("shell.md",)),
        Kind(
            "Options of a URL", named((n, "") for n in [*address._OPTIONS, "host"]), ("driver.md",)
        ),
        Kind("Levels of reads", levels(), ("consistency.md",)),
        Kind("Errors", errors(), ("transactions.md", "driver.md")),
        Kind("Other names of the driver", others(), ("driver.md",)),
        Kind("Why a node refuses", members(frames.Why), ("protocol.md",)),
        Kind("Why a command fails", members(frames.Refusal), ("protocol.md",)),
        Kind("Calls over gRPC", calls(), ("protocol.md", "security.md")),
        Kind("Pages over HTTP", pages(), ("operating.md",)),
        Kind("Metrics", _metrics(), ("operating.md",)),
    ]


def _commands() -> list[Named]:
    return [Named(f"raftsql {n}", m, rf"raftsql {n}\b") for n, m in cli.COMMANDS.items()]


def _settings() -> list[Named]:
    extra = [("--config", "a TOML file with settings"), ("--print-config", "print them, and end")]
    return [*named((one.name, one.help) for one in SETTINGS), *named(extra)]


def _variables() -> list[Named]:
    return named((f"RAFTSQL_{name}", "") for name in OTHER_VARIABLES)


def _shell_commands() -> list[Named]:
    return named((name, one.summary) for name, one in commands.registry().items())


def _metrics() -> list[Named]:
    return named((f"raftsql_{one.name}", one.help) for one in metrics.METRICS)


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """A page's headings, each with the text below it."""
    found = re.split(r"^(#{1,3} .+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    yield from zip(found[1::2], found[2::2], strict=True)


def anchor(heading: str) -> str:
    """What a link to a heading ends with."""
    plain = heading.lstrip("# ").lower().replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def told(one: Named, homes: tuple[str, ...]) -> str:
    """A link to where a name is told; empty when it is nowhere."""
    for home in homes:
        for heading, text in sections(DOCS / home):
            if re.search(one.written, text):
                return f"[{home}, {heading.lstrip('# ')}]({home}#{anchor(heading)})"
    return ""


def page() -> str:
    """The whole page; Undocumented where a name is on none."""
    lines, missing = [HEAD], []
    for kind in kinds():
        lines += [f"## {kind.title}\n", "| name | what it is | where |", "|---|---|---|"]
        for one in kind.names:
            where = told(one, kind.homes)
            if not where:
                missing.append(f"{one.name} ({', '.join(kind.homes)})")
            meaning = one.meaning.replace("|", r"\|")
            lines.append(f"| `{one.name}` | {meaning} | {where} |")
        lines.append("")
    if missing:
        raise Undocumented("no page tells about: " + "; ".join(missing))
    return "\n".join(lines)


def stale() -> list[str]:
    """What the page as it is does not tell, or tells of a place that tells it no more."""
    rows = dict(
        re.findall(r"^\| `([^`]+)` \|.*\((\S+)\) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    )
    known = {one.name: one for kind in kinds() for one in kind.names}
    gone = [f"{name} is no public name any more" for name in rows if name not in known]
    return gone + [
        f"{name} is not on the page, or not where the page says"
        for name, one in known.items()
        if name not in rows or not still_told(one, rows[name])
    ]


def still_told(one: Named, link: str) -> bool:
    """Whether a link leads to a section that names it."""
    home, _, place = link.partition("#")
    return any(
        anchor(heading) == place and re.search(one.written, text)
        for heading, text in sections(DOCS / home)
    )


def main() -> None:
    """Write the page, or compare it."""
    try:
        text = page()
    except Undocumented as error:
        sys.exit(str(error))
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif problems := stale():
        sys.exit(f"run `make configuration`: {'; '.join(problems)}")


if __name__ == "__main__":
    main()
