"""A node's metrics for Prometheus: read from what is there when somebody asks, never pushed.

Each metric is named once, in METRICS, with its help; `docs/operating.md` explains those that an
operator acts on, and a test holds it, the dashboard and this table against each other. A metric
that stands for an unknown (no leader, no backup yet) is absent rather than wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest

import raftsql
from raftsql.cluster.meters import Durations
from raftsql.cluster.runner import Runner
from raftsql.database.compaction import wal_bytes
from raftsql.raft.messages import NOBODY
from raftsql.raft.ready import RoleName, Status
from raftsql.rpc.status import folder_bytes
from raftsql.rpc.tally import Kind, Outcome
from raftsql.server.host import Host
from raftsql.server.readiness import unready

Value = float | Durations
Sample = tuple[tuple[str, ...], Value]

COUNTER: Final = CounterMetricFamily
GAUGE: Final = GaugeMetricFamily
HISTOGRAM: Final = HistogramMetricFamily


class Named(NamedTuple):
    """A metric: its name without the prefix, its kind, its help and its labels."""

    name: str
    kind: Callable[..., Any]
    help: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Named("up", GAUGE, "1 while the node has a place in a cluster and has not failed"),
    Named("ready", GAUGE, "1 while /readyz says that the node is ready"),
    Named("start_time_seconds", GAUGE, "when the node's process began to serve, as Unix time"),
    Named("raft_term", GAUGE, "the term that the node is in"),
    Named("raft_role", GAUGE, "1 for the role that the node has now, 0 for the others", ("role",)),
    Named("raft_is_leader", GAUGE, "1 on the node that leads"),
    Named("raft_leader", GAUGE, "the number of the node that leads; 0: none is known"),
    Named("raft_lease_valid", GAUGE, "1 while the leader may answer reads from its lease"),
    Named("raft_members", GAUGE, "members of the cluster", ("kind",)),
    Named("raft_first_index", GAUGE, "the first entry that the log still has"),
    Named("raft_last_index", GAUGE, "the log's last entry"),
    Named("raft_stored_index", GAUGE, "the last entry that is durable on this node"),
    Named("raft_commit_index", GAUGE, "the last entry known to be stored by a majority"),
    Named("raft_applied_index", GAUGE, "the last entry in the database"),
    Named("raft_peer_lag_entries", GAUGE, "on the leader: entries a member lacks", ("peer",)),
    Named("raft_peer_heard_seconds", GAUGE, "on the leader: since a member was heard", ("peer",)),
    Named("raft_elections_total", COUNTER, "times that this node campaigned"),
    Named("raft_leader_changes_total", COUNTER, "times that this node learnt of a new leader"),
    Named("raft_commit_seconds", HISTOGRAM, "on the leader: a batch, until a majority has it"),
    Named("journal_sync_seconds", HISTOGRAM, "one sync of the journal"),
    Named("journal_save_seconds", HISTOGRAM, "one batch written to the journal and synced"),
    Named("journal_bytes", GAUGE, "size of the journal's files"),
    Named("database_apply_seconds", HISTOGRAM, "one batch of entries applied to the database"),
    Named("database_bytes", GAUGE, "size of the database's file"),
    Named("database_wal_bytes", GAUGE, "size of what is not in that file yet"),
    Named("compactions_total", COUNTER, "times that the log was shortened"),
    Named("snapshots_taken_total", COUNTER, "snapshots taken for other nodes"),
    Named("snapshots_shipped_total", COUNTER, "snapshots that reached another node"),
    Named("snapshots_failed_total", COUNTER, "snapshots that did not get there"),
    Named("snapshots_installed_total", COUNTER, "snapshots that this node was put on"),
    Named("snapshots_shipping", GAUGE, "snapshots on their way now"),
    Named("statement_seconds", HISTOGRAM, "from a request to its answer", ("kind", "outcome")),
    Named("statements_turned_away_total", COUNTER, "statements refused for what they are"),
    Named("statements_slow_total", COUNTER, "statements over slow_statement_ms"),
    Named("writes_waiting", GAUGE, "writes that are not answered yet"),
    Named("reads_waiting", GAUGE, "reads that wait until they may run"),
    Named("transactions_open", GAUGE, "interactive transactions begun and not ended"),
    Named("transactions_waiting", GAUGE, "those of them that wait for the writer"),
    Named("clients_connected", GAUGE, "client processes with a stream to this node"),
    Named("sessions", GAUGE, "clients whose answers are kept for a retry, in the whole cluster"),
    Named("backup_age_seconds", GAUGE, "age of the newest scheduled backup, on the leader"),
    Named("backup_failed", GAUGE, "1 when the last scheduled backup failed, on the leader"),
    Named(
        "certificate_expires_time_seconds",
        GAUGE,
        "when the certificate shown to this side is valid no more, as Unix time",
        ("side",),
    ),
    Named("verify_equal", GAUGE, "0 when the last `verify` that this node led found a difference"),
)
"""All that a node tells beside its process; each begins with `raftsql_`."""


class Metrics:
    """What a node tells to whoever watches it."""

    def __init__(self, host: Host) -> None:
        """In a registry of its own, so that tests can have several nodes in one process."""
        self._host = host
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> str:
        """Everything, in Prometheus' own format."""
        return generate_latest(self._registry).decode()

    def describe(self) -> Iterable[Metric]:
        """Nothing is promised beforehand; asked for by the registry."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they are now."""
        about = {"version": raftsql.__version__, "fingerprint": self._host.forming.me.fingerprint}
        yield InfoMetricFamily("raftsql_build", "what runs here", value=about)
        values = _values(self._host)
        for named in METRICS:
            samples = values.get(named.name)
            if samples:
                yield _family(named, samples)


def table() -> str:
    """The metrics as a Markdown table, for docs/operating.md."""
    kinds: dict[Any, str] = {COUNTER: "counter", GAUGE: "gauge", HISTOGRAM: "histogram"}
    rows = ["| metric | kind | what it is |", "|---|---|---|"]
    for named in METRICS:
        labels = (
            f" by {' and '.join(f'`{label}`' for label in named.labels)}" if named.labels else ""
        )
        rows.append(f"| `raftsql_{named.name}` | {kinds[named.kind]}{labels} | {named.help} |")
    return "\n".join(rows)


def _family(named: Named, samples: list[Sample]) -> Metric:
    name = "raftsql_" + named.name.removesuffix("_total")
    family: Any = named.kind(name, named.help, labels=named.labels)
    for labels, value in samples:
        if isinstance(value, Durations):
            buckets = [(str(bound), count) for bound, count in value.cumulated()]
            family.add_metric(labels, [*buckets, ("+Inf", value.count)], value.total_us / 1e6)
        else:
            family.add_metric(labels, value)
    assert isinstance(family, Metric), "the kinds of METRICS are Prometheus' own"
    return family


def _values(host: Host) -> dict[str, list[Sample]]:
    runner = host.runner
    found: dict[str, Any] = {
        "up": runner is not None and runner.failure is None,
        "ready": not unready(host),
        "start_time_seconds": host.started_at,
        "certificate_expires_time_seconds": _certificates(host),
        **_clients(host),
    }
    if runner is not None:
        found |= {**_raft(runner), **_disk(runner), **_work(runner), **_care(host)}
    return {
        name: value if isinstance(value, list) else [((), _plain(value))]
        for name, value in found.items()
        if value is not None
    }


def _plain(value: Any) -> Value:
    return value if isinstance(value, Durations) else float(value)


def _raft(runner: Runner) -> dict[str, Any]:
    status, meters = runner.node.status(), runner.meters
    voters = sum(member.voter for member in status.membership.members.values())
    return {
        "raft_term": status.term,
        "raft_role": [((str(role),), float(role is status.role)) for role in RoleName],
        "raft_is_leader": status.role is RoleName.LEADER,
        "raft_leader": status.leader,
        "raft_lease_valid": status.lease_valid,
        "raft_members": [
            (("voter",), float(voters)),
            (("learner",), float(len(status.membership.members) - voters)),
        ],
        "raft_first_index": status.base.index + 1,
        "raft_last_index": status.last.index,
        "raft_stored_index": status.stored,
        "raft_commit_index": status.committed,
        "raft_applied_index": status.applied,
        **_peers(status),
        "raft_elections_total": meters.elections,
        "raft_leader_changes_total": meters.leader_changes,
        "raft_commit_seconds": meters.commit,
    }


def _peers(status: Status) -> dict[str, list[Sample]]:
    peers = sorted(status.peers.items())
    return {
        "raft_peer_lag_entries": [
            ((str(node),), float(max(0, status.last.index - peer.match))) for node, peer in peers
        ],
        "raft_peer_heard_seconds": [
            ((str(node),), peer.heard_ms_ago / 1000) for node, peer in peers
        ],
    }


def _disk(runner: Runner) -> dict[str, Any]:
    meters, database = runner.meters, runner.stores.database
    return {
        "journal_sync_seconds": meters.sync,
        "journal_save_seconds": meters.save,
        "journal_bytes": folder_bytes(runner.stores.datadir.journal),
        "database_apply_seconds": meters.apply,
        "database_bytes": database.stat().st_size if database.exists() else None,
        "database_wal_bytes": wal_bytes(database),
        "compactions_total": runner.housekeeping.compactions,
        "snapshots_taken_total": meters.snapshots_taken,
        "snapshots_shipped_total": meters.snapshots_shipped,
        "snapshots_failed_total": meters.snapshots_failed,
        "snapshots_installed_total": meters.snapshots_installed,
    }


def _work(runner: Runner) -> dict[str, Any]:
    replica = runner.replica
    return {
        "writes_waiting": len(replica.proposals),
        "reads_waiting": len(replica.reading),
        "transactions_open": replica.writer.open_count,
        "transactions_waiting": replica.writer.waiting_count,
        "sessions": runner.stores.machine.session_count,
    }


def _clients(host: Host) -> dict[str, Any]:
    tally = host.clients.tally
    tally.settle()
    return {
        "statement_seconds": [
            ((kind.name.lower(), outcome.name.lower()), tally.cells[kind][outcome])
            for kind in Kind
            for outcome in Outcome
            if tally.cells[kind][outcome].count
        ],
        "statements_turned_away_total": tally.turned_away,
        "statements_slow_total": tally.slow,
        "clients_connected": len(host.clients.streams),
    }


def _certificates(host: Host) -> list[Sample]:
    ends = host.admin.more.get("certificates_valid_until", dict)()
    return [((to,), datetime.fromisoformat(end).timestamp()) for to, end in ends.items()]


def _care(host: Host) -> dict[str, Any]:
    """Backups and checks, where this node has had to do with them."""
    assert host.runner is not None, "a running node is asked"
    leads = host.runner.node.leader == host.runner.node.id != NOBODY
    backup = host.admin.more["backup"]() if leads and "backup" in host.admin.more else {}
    verified = host.admin.more["verified"]() if "verified" in host.admin.more else {}
    return {
        "snapshots_shipping": host.supply.under_way if host.supply is not None else 0,
        "backup_age_seconds": backup.get("age_seconds"),
        "backup_failed": bool(backup["failure"]) if backup else None,
        "verify_equal": verified.get("equal"),
    }
