"""The settings of a node, all in plain numbers. Times are milliseconds of a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

from raftsql.raft.messages import NodeId

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a node must be told. Every node of a cluster must have the same times."""

    node: NodeId
    cluster: int

    heartbeat_ms: int = 75
    """A leader proves after so long that it is there, if nothing else did."""
    election_ms: int = 750
    """A follower campaigns after hearing nothing for between this and twice this."""
    lease_ms: int = 300
    """How long a voter that heard a leader defends it, come what may; a leader's lease is
    shorter by `drift_ms`. This alone is what lease reads and the restart rule stand on."""
    drift_ms: int = 30
    """How much faster a voter's clock may run than the leader's, over one lease."""
    disk_ms_max: int = 3_000
    """A save under way for longer says that the disk hangs: such a node neither leads nor
    campaigns, however well it is heard (it would keep others from leading and answer nobody)."""
    down_stagger_ms: int = 40
    """When the leader's death is known, voters campaign one after the other, this far apart."""
    commit_notice_ms: int = 2
    """An idle follower hears of a new commit index after this long, if no append told it."""
    promote_rounds_max: int = 10
    """A learner that needed so many catch-up rounds is promoted anyway when it is level."""
    ship_ms_max: int = 30_000
    """A snapshot of which nothing was heard for so long is taken as failed."""

    append_bytes_max: int = MIB
    append_entries_max: int = 8192
    """One append to a peer holds no more; but one entry, however large."""
    inflight_messages_max: int = 64
    inflight_bytes_max: int = 16 * MIB
    """Appends on their way to one peer; more leave as they are answered."""
    uncommitted_bytes_max: int = 64 * MIB
    uncommitted_entries_max: int = 100_000
    """Commands that wait for a majority; what would be more is refused, and may be sent again."""
    apply_bytes_max: int = 4 * MIB
    apply_entries_max: int = 4096
    """What is handed out at once to be applied, and then takes that long."""
    tail_bytes_max: int = 16 * MIB
    """Entries already stored and applied that are kept in memory for followers."""
    tail_entries_max: int = 20_000
    read_rounds_max: int = 4
    """Read rounds in flight; reads that arrive meanwhile wait and share the next one."""
    read_patience_ms: int = 3
    """For so long a round asks a quorum only, and no other is opened beside it."""
    reads_waiting_max: int = 100_000
    """Reads that wait for a round; what would be more is refused."""

    def __post_init__(self) -> None:
        """Refuse settings that would make the promises untrue."""
        assert self.node > 0, "a node id is positive"
        assert self.heartbeat_ms > 0, "heartbeats must take some time"
        assert self.down_stagger_ms > 0, "turns must take some time"
        assert self.heartbeat_ms * 2 < self.lease_ms, "two heartbeats must fit into a lease"
        assert 0 <= self.drift_ms < self.lease_ms, "the drift margin would eat the whole lease"
        assert self.lease_ms <= self.election_ms, "no campaign may start within a lease"
