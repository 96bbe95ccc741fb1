"""Whether all nodes hold the same: a marker in the log, a checksum on every node, a comparison.

What most nodes hold is what the others are measured by; without a majority it is what the leader
holds, and the answer says so. A node that can't be asked is named: its data is not known to agree.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any, Final, NamedTuple

from raftsql.cluster.runner import Runner
from raftsql.cluster.summing import NoSum
from raftsql.database.checksum import Checksum, compare
from raftsql.raft.messages import NodeId
from raftsql.rpc.proposing import proposed
from raftsql.rpc.sibling_service import sum_of
from raftsql.rpc.siblings import SiblingDamaged, Siblings, Unreachable
from raftsql.sql.commands import CommandKind

log = logging.getLogger("raftsql.rpc")

VERIFY_SECONDS: Final = 600.0
STOP_SECONDS: Final = 0.5
"""How long a node whose own database is damaged goes on, so that the answer still leaves."""


class Sum(NamedTuple):
    """What one node holds, or why that is not known."""

    node: NodeId
    address: str
    checksum: Checksum | None
    problem: str = ""
    damaged: bool = False
    """It has found its database damaged, and stops."""


async def verify(runner: Runner, siblings: Siblings, seconds: float) -> dict[str, Any]:
    """Compare all members at one index, on the leader. NotProposed when it can't be marked."""
    index, _ = await proposed(runner, CommandKind.VERIFY, b"", seconds)
    members = runner.node.membership.members
    sums = await asyncio.gather(
        *(
            _sum(runner, siblings, node, member.address, index, seconds)
            for node, member in sorted(members.items())
        )
    )
    report = compared(list(sums), leader=runner.node.id)
    if report["differences"]:
        log.error("the nodes differ at entry %d: %s", index, report["differences"])
    for each in sums:
        if each.damaged:
            log.error("node %d has to be replaced: %s", each.node, each.problem)
    if runner.marking.sums.damage is not None:
        runner.loop.call_later(STOP_SECONDS, runner.fail, runner.marking.sums.damage)
    return {"index": index, **report}


async def _sum(
    runner: Runner, siblings: Siblings, node: NodeId, address: str, index: int, seconds: float
) -> Sum:
    try:
        async with asyncio.timeout(seconds):
            if node == runner.node.id:
                return Sum(node, address, await sum_of(runner, index))
            return Sum(node, address, await siblings.checksum(node, address, index, seconds))
    except (NoSum, Unreachable) as error:
        own = node == runner.node.id and runner.marking.sums.damage is not None
        damaged = own or isinstance(error, SiblingDamaged)
        return Sum(node, address, None, str(error) or "no answer", damaged)
    except TimeoutError:
        return Sum(node, address, None, f"no answer within {seconds:.0f} s")


def compared(sums: list[Sum], *, leader: NodeId) -> dict[str, Any]:
    """What the sums of all nodes say together."""
    known = [each for each in sums if each.checksum is not None]
    counts = Counter(each.checksum.total for each in known if each.checksum is not None)
    # The most frequent; among equals the leader's.
    known.sort(key=lambda each: (-counts[each.checksum.total], each.node != leader))  # type: ignore[union-attr]
    reference = known[0].checksum if known else None
    damaged = [each.node for each in sums if each.damaged]
    differences: dict[str | None, dict[str, Any]] = {}
    for each in known:
        assert each.checksum is not None, "only known sums are compared"
        assert reference is not None, "one of them is the reference"
        found = compare(reference, each.checksum)
        for table in [*([None] if found.schema else []), *found.tables]:
            difference = differences.setdefault(table, {"table": table, "nodes": []})
            difference["nodes"].append(each.node)
    return {
        "equal": not differences and not damaged,
        "complete": len(known) == len(sums),
        "majority": bool(known) and counts[reference.total] * 2 > len(sums) if reference else False,
        "differences": list(differences.values()),
        "damaged": damaged,
        "nodes": [
            {
                "node_id": each.node,
                "address": each.address,
                "sum": each.checksum.total.hex() if each.checksum else None,
                "problem": each.problem or None,
            }
            for each in sums
        ],
        "schema": reference.schema.hex() if reference else None,
        "tables": {
            name: {"rows": table.rows, "digest": table.digest.hex()}
            for name, table in sorted(reference.tables.items() if reference else ())
        },
    }
