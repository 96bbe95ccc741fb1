"""The line at the bottom: where one is, who leads, what reads promise, what is open."""

from __future__ import annotations

from raftsql_shell.watcher import View


def toolbar(
    view: View, *, fallback: str, consistency: str, transaction: bool, seconds: float, width: int
) -> str:
    """As many of the facts as fit, the most urgent ones first."""
    facts = []
    if transaction:
        facts.append("IN TRANSACTION")
    if not view.reachable:
        facts.append("NO NODE ANSWERS")
    elif view.known and view.leader is None:
        facts.append("NO LEADER")
    if view.node is not None:
        facts.append(f"node {view.node} {view.address}")
    else:
        facts.append(fallback)
    if view.leader is not None:
        own = view.leader == view.node
        facts.append("leads" if own else f"leader {view.leader}")
        facts.append(f"term {view.term}")
    facts.append(consistency)
    if seconds:
        facts.append(f"{seconds:.3f} s")
    line = f" {facts[0]}"
    for fact in facts[1:]:
        if len(line) + len(fact) + 3 <= width:
            line += f" │ {fact}"
    return line[: max(1, width)]
