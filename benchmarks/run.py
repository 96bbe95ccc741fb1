"""Give every system its workloads, one system after another, so that none disturbs another."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from subprocess import SubprocessError

import raftsql
from benchmarks import disturbed
from benchmarks.ours import Cluster
from benchmarks.peers.etcd import EtcdServers
from benchmarks.peers.fleet import NotThere
from benchmarks.peers.plain import PlainFile
from benchmarks.peers.postgres import PostgresServers
from benchmarks.peers.rqlite import RqliteServers
from benchmarks.results import Measured, Report, Row
from benchmarks.usage import Meter
from benchmarks.wire import Failed
from benchmarks.work import Client, Servers
from benchmarks.worker import together
from benchmarks.workloads import GROUPS, SIZE_GROUPS, Load, loads

OWN_GROUPS = ("open", "disturbed", "failover", "restart", "database-size")
"""Workloads that only our own cluster is given."""
PEERS = ("rqlite", "etcd", "postgresql", "sqlite3")


def run(options: argparse.Namespace, report: Report) -> None:
    """Everything that was chosen."""
    chosen = [one for one in options.only or (*GROUPS, *OWN_GROUPS) if one not in options.without]
    first, *others = options.nodes
    for nodes in (first, *others):
        groups = [one for one in GROUPS if one in chosen]
        if nodes != first:
            groups = [one for one in groups if one in SIZE_GROUPS]
        if groups:
            with Cluster(nodes) as cluster:
                measure(report, cluster, nodes, groups, options.seconds)
    own(report, [one for one in OWN_GROUPS if one in chosen], first, options)
    if not any(one in GROUPS for one in chosen):
        return
    for name, nodes, start in peers(options, first):
        if name not in options.peers:
            report.note(f"{name}: not chosen")
            continue
        try:
            with start() as servers:
                groups = [one for one in GROUPS if one in chosen]
                measure(report, servers, nodes, groups, options.seconds)
        except NotThere as error:
            report.note(f"skipped, because it isn't installed: {error}")
        except (OSError, SubprocessError, Failed) as error:
            report.note(f"{name} failed: {error}")


def peers(
    options: argparse.Namespace, nodes: int
) -> Iterable[tuple[str, int, Callable[[], Servers]]]:
    """The others, with how many nodes they have."""
    return (
        ("sqlite3", 1, PlainFile),
        ("postgresql", 2, PostgresServers),
        ("etcd", nodes, lambda: EtcdServers(nodes)),
        ("rqlite", nodes, lambda: RqliteServers(options.rqlited, nodes)),
    )


def measure(
    report: Report, servers: Servers, nodes: int, groups: list[str], seconds: float
) -> None:
    """All workloads of these groups on one system."""
    for client in servers.clients:
        client.fill()
    for load in (load for group in groups for load in loads(group)):
        for client in servers.clients:
            row = measured(servers, client, load, nodes, seconds, report)
            if row is not None:
                report.add(row)


def measured(
    servers: Servers, client: Client, load: Load, nodes: int, seconds: float, report: Report
) -> Row | None:
    """One line; what fails is noted, and the others go on."""
    meter = Meter(servers.pids())
    try:
        found = _loaded(client, load, seconds)
    except (raftsql.Error, Failed, OSError, RuntimeError) as error:
        report.note(f"{client.by}: {load.label} failed: {str(error)[:200]}")
        return None
    if found is None or not found.count:
        return None
    rows, used = load.work.rows, meter.cpu_seconds(servers.pids())
    row = Row.of(load.label, client.by, nodes, found, rows=rows, servers=used)
    row.memory_mb = meter.largest_mb(servers.pids())
    row.tags = dict(load.tags)
    return row


def _loaded(client: Client, load: Load, seconds: float) -> Measured | None:
    if load.processes:
        return together(client, load.work, processes=load.processes, seconds=seconds)
    return client.run(load.work, clients=load.clients, seconds=seconds)


def own(report: Report, groups: list[str], nodes: int, options: argparse.Namespace) -> None:
    """What is measured of our own cluster alone, each group on a new one."""
    for group in groups:
        size = {"failover": 3, "restart": 1}.get(group, nodes)
        try:
            with Cluster(size) as cluster:
                cluster.clients[0].fill()
                for row in _own_rows(group, cluster, options):
                    report.add(row)
        except (raftsql.Error, OSError, SubprocessError) as error:
            report.note(f"{group} failed: {str(error)[:200]}")


def _own_rows(group: str, cluster: Cluster, options: argparse.Namespace) -> Iterable[Row]:
    match group:
        case "open":
            return disturbed.open_loop(cluster, options.seconds)
        case "disturbed":
            return disturbed.disturbed(cluster, options.size_mb, options.seconds)
        case "failover":
            return disturbed.failover(cluster, options.times)
        case "restart":
            return disturbed.restart(cluster, options.size_mb)
        case _:
            return disturbed.sizes(cluster, options.sizes_mb, options.seconds)
