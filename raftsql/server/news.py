"""What changed in a membership, in words for the log."""

from __future__ import annotations

from raftsql.raft.membership import Member, Membership


def changes(before: Membership, after: Membership) -> list[str]:
    """A sentence for each member that came, went, or is another now."""
    return [
        *(
            f"n{node} is a member now: {_described(member)}"
            for node, member in sorted(after.members.items())
            if node not in before.members
        ),
        *(
            f"n{node} is now {_described(member)}"
            for node, member in sorted(after.members.items())
            if node in before.members and _described(member) != _described(before.members[node])
        ),
        *(
            f"n{node} is no member any more"
            for node in sorted(before.members)
            if node not in after.members
        ),
    ]


def _described(member: Member) -> str:
    role = "a voter" if member.voter else "a learner"
    priority = f", priority {member.priority}" if member.priority else ""
    return f"{role} at {member.address}{priority}"
