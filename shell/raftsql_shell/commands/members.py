"""The cluster: who is in it, who leads, and what operators do about that."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raftsql_shell.commands import command
from raftsql_shell.errors import CommandError
from raftsql_shell.look import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raftsql_shell.cluster import Nodes, Seen
    from raftsql_shell.shell import Shell


@contextmanager
def _nodes(shell: Shell) -> Iterator[Nodes]:
    from raftsql_shell.cluster import Nodes

    nodes = Nodes(shell.session.address)
    try:
        yield nodes
    finally:
        nodes.close()


@command(".status [--watch] [SECONDS]")
def status(shell: Shell, arguments: list[str]) -> None:
    """Show all nodes: role, term, and how far each one is.

    `applied` is the last log entry in its database, `lag` how many entries that is behind what is
    committed, `latency` how soon it answers. With --watch the picture is drawn again every SECONDS
    (1 when not given), until Ctrl-C.
    """
    watch = arguments[:1] == ["--watch"]
    if arguments and not watch:
        raise CommandError("usage: .status [--watch] [SECONDS]")
    with _nodes(shell) as nodes:
        if not watch:
            _draw(shell, nodes)
            return
        from raftsql_shell.watching import repeat, seconds_of

        pause_s = seconds_of(arguments[1]) if len(arguments) > 1 else 1.0
        repeat(shell, pause_s, lambda: _draw(shell, nodes))


def _draw(shell: Shell, nodes: Nodes) -> None:
    shell.table(STATUS_COLUMNS, rows_of(nodes.pictures()), blank=True)


STATUS_COLUMNS = ("node", "address", "role", "term", "applied", "lag", "latency ms")


def rows_of(seen: list[Seen]) -> list[Row]:
    """A row for each node; the lag is in entries behind the leader's commit."""
    committed = max((each.picture.get("commit_index") or 0 for each in seen), default=0)
    numbers = {
        member["address"]: member["node_id"]
        for each in seen
        for member in each.picture.get("members", ())
    }
    rows: list[Row] = []
    for each in seen:
        picture = each.picture
        if not picture:
            number = numbers.get(each.address)
            rows.append((number, each.address, f"({each.problem})", None, None, None, None))
            continue
        applied = picture.get("applied_index") or 0
        rows.append(
            (
                picture.get("node_id"),
                each.address,
                picture.get("role"),
                picture.get("term"),
                applied,
                max(0, committed - applied),
                round(each.latency_s * 1000, 1),
            )
        )
    return sorted(rows, key=lambda row: (row[0] is None, row[0] or 0, row[1]))


@command(".members")
def members(shell: Shell, arguments: list[str]) -> None:
    """List who belongs to the cluster, and who votes.

    `match` is how far the leader knows each log to be, `heard` when it last heard from it.
    """
    with _nodes(shell) as nodes:
        shell.table(MEMBER_COLUMNS, [_member(each) for each in nodes.leader()["members"]])


MEMBER_COLUMNS = ("node", "address", "role", "match", "heard ms ago")


def _member(member: dict[str, Any]) -> Row:
    role = "leader" if member["leader"] else "voter" if member["voter"] else "learner"
    heard = member.get("heard_ms_ago")
    return (member["node_id"], member["address"], role, member.get("match"), heard)


@command(".leader")
def leader(shell: Shell, arguments: list[str]) -> None:
    """Tell which node leads, and in which term."""
    with _nodes(shell) as nodes:
        found = nodes.leader()
    if not found.get("leader"):
        raise CommandError("no leader is known; is a majority of the nodes running?")
    shell.table(
        ("node", "address", "term"), [(found["leader"], found["leader_address"], found["term"])]
    )


@command(".transfer [NODE]")
def transfer(shell: Shell, arguments: list[str]) -> None:
    """Hand leadership to a node, or to whoever is most level."""
    with _nodes(shell) as nodes:
        leads = nodes.transfer(_number(arguments[0]) if arguments else 0)
    shell.note(f"node {leads} leads")


@command(".add NODE [--learner]")
def add(shell: Shell, arguments: list[str]) -> None:
    """Give a node its vote; with --learner, take the vote away.

    A node joins by being started with `raftsql serve --join` and the address of a member.
    """
    if arguments[1:] not in ([], ["--learner"]):
        raise CommandError("usage: .add NODE [--learner]")
    with _nodes(shell) as nodes:
        found = nodes.add(_number(arguments[0]), learner=len(arguments) > 1)
    shell.table(MEMBER_COLUMNS, [_member(each) for each in found])


@command(".remove NODE")
def remove(shell: Shell, arguments: list[str]) -> None:
    """Take a node out of the cluster, for good.

    It can't come back under its number.
    """
    with _nodes(shell) as nodes:
        found = nodes.remove(_number(arguments[0]))
    shell.table(MEMBER_COLUMNS, [_member(each) for each in found])


@command(".snapshot [NODE]")
def snapshot(shell: Shell, arguments: list[str]) -> None:
    """Take a snapshot on the connected node, or on another, now.

    The node's database is the snapshot: it is made durable, and the log that it replaces is
    dropped, but for a tail that spares slow followers a copy of the whole. Nodes do this by
    themselves when their log is long. `.backup` makes a file that can be carried away.
    """
    with _nodes(shell) as nodes:
        address = _address(shell, nodes, arguments)
        durable, dropped = nodes.snapshot(address)
    shell.table(("node", "holds all up to", "log begins after"), [(address, durable, dropped)])


@command(".compact [NODE]")
def compact(shell: Shell, arguments: list[str]) -> None:
    """Take a snapshot, as .snapshot does."""
    snapshot(shell, arguments)


@command(".verify")
def verify(shell: Shell, arguments: list[str]) -> None:
    """Compare the rows of all nodes.

    By checksums, all taken at one place of the log. It fails when nodes differ, and when not all
    of them could be asked.
    """
    with _nodes(shell) as nodes:
        found = nodes.verify()
    shell.table(("node", "address", "sum", "problem"), sums_of(found), blank=True)
    for each in found["differences"]:
        what = "the schema" if each["table"] is None else f"table {each['table']}"
        shell.note(f"{what} differs on {', '.join(f'node {node}' for node in each['nodes'])}")
    if not found["equal"]:
        raise CommandError(f"the nodes DIFFER at entry {found['index']}")
    if not found["complete"]:
        raise CommandError("those that answered are equal; the others could not be asked")
    shell.note(f"all nodes are equal at entry {found['index']}")


def sums_of(found: dict[str, Any]) -> list[Row]:
    """A row for each node: its checksum, or why there is none."""
    from raftsql_driver.unreachable import plain

    return [
        (each["node_id"], each["address"], each["sum"], plain(each.get("problem") or "") or None)
        for each in found["nodes"]
    ]


@command(".metrics [PATTERN]")
def metrics(shell: Shell, arguments: list[str]) -> None:
    """Show what the connected node counts.

    PATTERN is a part of the names to show; what they mean is said then too. For what takes time,
    the value is how often it happened. `raftsql serve --http` gives the same to Prometheus.
    """
    from raftsql_shell.metrics import COLUMNS, rows

    with _nodes(shell) as nodes:
        text = nodes.metrics(shell.session.node)
    found, about = rows(text, *arguments)
    if not found:
        raise CommandError(f"no metric has {arguments[0]} in its name")
    shell.table(COLUMNS, found, blank=True)
    for name, meaning in about.items() if arguments else ():
        shell.note(f"{name}: {meaning}")


def _address(shell: Shell, nodes: Nodes, arguments: list[str]) -> str:
    """The node that is meant: the connected one, or the one of a number."""
    if not arguments:
        return shell.session.node
    number = _number(arguments[0])
    seen = nodes.pictures()
    answering = [each.address for each in seen if each.picture.get("node_id") == number]
    silent = [
        member["address"]
        for each in seen
        for member in each.picture.get("members", ())
        if member["node_id"] == number
    ]
    if answering or silent:
        return str((answering or silent)[0])
    raise CommandError(f"there is no node {number}; .members lists them")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise CommandError(f"{text!r}: a node is named by its number, as in .members")
    return int(text)
