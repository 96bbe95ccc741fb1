"""What the sums of all nodes say together."""

from __future__ import annotations

from raftsql.database.checksum import Checksum, TableSum
from raftsql.rpc.verify_service import Sum, compared


def held(schema: bytes = b"s", **tables: int) -> Checksum:
    return Checksum(schema, {name: TableSum(n, bytes([n])) for name, n in tables.items()})


def sums(*checksums: Checksum | None) -> list[Sum]:
    return [
        Sum(node, f"h:{node}", checksum, "" if checksum else "gone")
        for node, checksum in enumerate(checksums, 1)
    ]


def test_equal_nodes_have_no_differences() -> None:
    report = compared(sums(held(t=1), held(t=1), held(t=1)), leader=1)
    assert report["equal"]
    assert report["complete"]
    assert report["differences"] == []


def test_the_odd_one_is_named_even_when_it_leads() -> None:
    report = compared(sums(held(t=2, u=1), held(t=1, u=1), held(t=1, u=1)), leader=1)
    assert report["differences"] == [{"table": "t", "nodes": [1]}]
    assert report["majority"]


def test_without_a_majority_the_leader_is_the_measure_and_that_is_said() -> None:
    report = compared(sums(held(t=1), held(t=2)), leader=2)
    assert report["differences"] == [{"table": "t", "nodes": [1]}]
    assert not report["majority"]


def test_a_missing_table_and_another_schema_are_differences() -> None:
    report = compared(sums(held(t=1), held(t=1), held(b"z", t=1, x=1)), leader=1)
    assert report["differences"] == [
        {"table": None, "nodes": [3]},
        {"table": "x", "nodes": [3]},
    ]


def test_a_node_that_could_not_be_asked_makes_it_incomplete_and_not_unequal() -> None:
    report = compared(sums(held(t=1), held(t=1), None), leader=1)
    assert report["equal"]
    assert not report["complete"]
    assert report["nodes"][2]["problem"] == "gone"


def test_a_damaged_node_is_not_equal_though_nothing_is_known_to_differ() -> None:
    report = compared(
        [*sums(held(t=1), held(t=1)), Sum(3, "h:3", None, "damaged", damaged=True)], leader=1
    )
    assert report["damaged"] == [3]
    assert not report["equal"]
    assert report["differences"] == []


def test_when_nobody_could_be_asked_nothing_is_claimed() -> None:
    report = compared(sums(None, None), leader=1)
    assert not report["complete"]
    assert not report["majority"]
    assert report["tables"] == {}
