"""The goals: each is met, missed or not measured, by figures of one run."""

from benchmarks.goals import GOALS, Figures, Goal, markdown, table, told
from benchmarks.results import OURS, Row


def row(workload: str, by: str, rate: float, *, p50: float = 0.0, p99: float = 0.0) -> Row:
    return Row(workload, by, 3 if by == OURS else 2, rate, p50=p50, p99=p99)


def verdicts(*rows: Row) -> dict[str, str]:
    return {one["goal"]: one["verdict"] for one in told(rows, 3)}


def test_a_ratio_is_ours_divided_by_the_peers() -> None:
    figures = Figures([row("insert", OURS, 300.0), row("insert", "etcd", 200.0)], 3)
    assert figures.ratio("insert", "etcd") == 1.5
    assert figures.ratio("insert", "rqlite") is None


def test_of_times_the_shorter_is_the_better() -> None:
    figures = Figures([row("insert", OURS, 1, p50=0.5), row("insert", "etcd", 1, p50=2.0)], 3)
    assert figures.sooner("insert", "etcd") == 4.0


def test_clusters_of_other_sizes_are_not_compared() -> None:
    other = Row("insert", OURS, 5, 999.0)
    figures = Figures([row("insert", OURS, 300.0), other, row("insert", "etcd", 100.0)], 3)
    assert figures.ratio("insert", "etcd") == 3.0


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert set(verdicts().values()) == {"not measured"}


def test_a_goal_is_met_or_missed_by_its_figure() -> None:
    inserts = "64 clients' inserts, beside PostgreSQL's"
    tail = "64 clients' inserts: p99 in times of the median"
    name = "insert, 64 clients"
    met = verdicts(row(name, OURS, 200.0, p50=4.0, p99=7.9), row(name, "postgresql", 200.0))
    assert (met[inserts], met[tail]) == ("met", "met")
    missed = verdicts(row(name, OURS, 199.0, p50=4.0, p99=8.0), row(name, "postgresql", 200.0))
    assert (missed[inserts], missed[tail]) == ("MISSED", "MISSED")


def test_a_time_is_a_goal_too() -> None:
    found = verdicts(Row("no write after kill -9, worst", OURS, 3, 0.4, " s"))
    assert found["no write after kill -9, worst"] == "met"


def test_every_goal_has_a_line_in_both_tables() -> None:
    rows = [row("insert, 64 clients", OURS, 1.0, p50=1.0, p99=3.0)]
    assert len(table(rows, 3).splitlines()) == len(GOALS) + 1
    lines = markdown(rows, 3).splitlines()
    assert len(lines) == len(GOALS) + 2
    assert sum("**missed**" in line for line in lines) == 1


def test_figures_are_shown_with_their_unit() -> None:
    goal = Goal("rows", lambda run: 123_456.0, 1_000_000, unit="rows/s")
    assert goal.line(Figures([], 3)) == ("rows", ">= 1,000,000 rows/s", "123,456 rows/s", "MISSED")
