"""Who has the writer, and when: singles in batches and transactions one by one, in turns."""

from __future__ import annotations

import pytest

from raftsql.cluster import transactions
from raftsql.cluster import writer as writer_module
from raftsql.raft.membership import AddMember
from raftsql.sql.commands import Settings, Why
from tests.cluster.stage import Stage, command, noop


def test_singles_wait_while_a_transaction_has_the_writer(alone: Stage) -> None:
    client = alone.begin()
    client.execute("INSERT INTO t (y) VALUES ('in')")
    single = alone.write("INSERT INTO t (y) VALUES ('single')")
    alone.pump()
    assert client.state == "open"
    assert single.times == 0
    assert client.commit().times == 1
    alone.pump()
    assert single.done.changes == 1
    assert alone.rows("SELECT y FROM t ORDER BY x") == [["in"], ["single"]]


def test_transactions_get_the_writer_in_order_of_arrival(alone: Stage) -> None:
    clients = [alone.begin() for _ in range(4)]
    for number, client in enumerate(clients):
        client.execute(f"INSERT INTO t (y) VALUES ({number})")
    for number, client in enumerate(clients):
        assert [c.state for c in clients[number:]] == ["open"] + ["waiting"] * (3 - number)
        assert client.commit().times == 1
    assert alone.rows("SELECT y FROM t ORDER BY x") == [[0], [1], [2], [3]]


def test_singles_and_transactions_take_turns(alone: Stage) -> None:
    """Both kinds always wait; neither has to wait for more than one turn of the other."""
    first, second = alone.begin(), alone.begin()
    first.execute("INSERT INTO t (y) VALUES ('t1')")
    alone.pump()
    early = alone.write("INSERT INTO t (y) VALUES ('s1')")
    second.execute("INSERT INTO t (y) VALUES ('t2')")
    first.commit()
    assert early.times == 1, "singles had their turn"
    assert second.state == "open", "and then the next transaction"
    late = alone.write("INSERT INTO t (y) VALUES ('s2')")
    alone.pump()
    assert late.times == 0
    second.commit()
    assert late.done.changes == 1
    assert alone.rows("SELECT y FROM t ORDER BY x") == [["t1"], ["s1"], ["t2"], ["s2"]]


def test_singles_that_keep_coming_do_not_keep_a_transaction_waiting(leader: Stage) -> None:
    leader.write("INSERT INTO t (y) VALUES ('s1')")
    leader.pump()
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('t')")
    assert client.state == "waiting", "what is in the log comes first"
    late = leader.write("INSERT INTO t (y) VALUES ('s2')")
    leader.settle()
    assert client.state == "open"
    assert late.times == 0


def test_a_transaction_sees_everything_proposed_before_it(leader: Stage) -> None:
    leader.write("INSERT INTO t (y) VALUES ('before')")
    leader.pump()
    client = leader.begin()
    heard = client.execute("UPDATE t SET y = 'after' WHERE y = 'before'")
    assert heard.times == 0
    leader.settle()
    assert heard.done.changes == 1


def test_the_queue_is_bounded(alone: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "WAITING_MAX", 2)
    clients = [alone.begin() for _ in range(4)]
    heard = [client.execute("INSERT INTO t (y) VALUES (1)") for client in clients]
    assert [h.whys for h in heard] == [[], [], [], [Why.OVERLOADED]]
    assert [client.state for client in clients] == ["open", "waiting", "waiting", "ended"]


def test_a_rollback_frees_the_writer(alone: Stage) -> None:
    first, second = alone.begin(), alone.begin()
    first.execute("INSERT INTO t (y) VALUES ('gone')")
    heard = second.execute("INSERT INTO t (y) VALUES ('stays')")
    first.rollback()
    assert heard.done.changes == 1
    second.commit()
    assert alone.rows("SELECT y FROM t") == [["stays"]]


def test_the_writer_is_free_again_while_the_commit_is_on_its_way(leader: Stage) -> None:
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')")
    waiting = second.execute("INSERT INTO t (y) SELECT y || 'b' FROM t RETURNING y")
    answer = first.commit()
    assert (first.state, answer.times) == ("committing", 0)
    assert waiting.done.rows == [["ab"]], "it sees what is on its way"
    assert leader.rows("SELECT y FROM t") == [], "and nobody else does"
    leader.settle()
    assert answer.done.changes == -1
    assert leader.rows("SELECT y FROM t") == [["a"]], "what was built upon it is not committed"
    assert second.commit().times == 0
    leader.settle()
    assert leader.rows("SELECT y FROM t") == [["a"], ["ab"]]
    assert leader.world.machine.applied == leader.node.log.last


def test_what_was_read_of_a_commit_that_never_happens_is_not_confirmed(leader: Stage) -> None:
    session = leader.session()
    first, second = leader.begin(), leader.begin(immediate=True)
    first.execute("INSERT INTO t (y) VALUES ('a')")
    first.commit()
    assert second.execute("SELECT y FROM t").done.rows == [["a"]]
    answer = second.commit(session, 1)
    assert answer.times == 0
    leader.lose_lead()
    assert answer.why is Why.UNKNOWN


def test_only_so_many_commits_are_on_their_way_at_once(
    leader: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CHAIN_MAX", 2)
    clients = [leader.begin() for _ in range(3)]
    heard = [client.execute("INSERT INTO t (y) VALUES (1)") for client in clients]
    answers = [clients[0].commit(), clients[1].commit()]
    assert [one.times for one in heard] == [1, 1, 0]
    leader.settle()
    assert [answer.done.changes for answer in answers] == [-1, -1]
    assert [one.times for one in heard] == [1, 1, 1]


def test_nothing_is_built_upon_what_is_large(
    leader: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "SMALL_BYTES", 50)
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')", size=60)
    waiting = second.execute("INSERT INTO t (y) VALUES ('b')")
    first.commit()
    assert waiting.times == 0
    leader.settle()
    assert waiting.done.changes == 1


def test_a_write_behind_a_commit_comes_before_the_next_transaction(leader: Stage) -> None:
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('t1')")
    single = leader.write("INSERT INTO t (y) VALUES ('s')")
    waiting = second.execute("SELECT y FROM t", "INSERT INTO t (y) SELECT max(y) || '2' FROM t")
    first.commit()
    leader.pump()
    assert (single.times, waiting.times) == (0, 0), "it is in the log, and must be applied first"
    leader.settle()
    assert single.done.changes == 1
    assert waiting.times == 1
    second.commit()
    leader.settle()
    assert leader.rows("SELECT y FROM t ORDER BY x") == [["t1"], ["s"], ["t12"]]


def test_what_it_read_before_a_commit_that_is_on_its_way_is_old(leader: Stage) -> None:
    client = leader.begin()
    client.select("SELECT count(*) FROM t")
    leader.settle()
    other = leader.begin()
    other.execute("INSERT INTO t (y) VALUES ('other')")
    waiting = client.execute("INSERT INTO t (y) VALUES ('a')")
    other.commit()
    assert waiting.why is Why.SERIALIZATION


def test_other_settings_wait_until_the_commits_have_arrived(leader: Stage) -> None:
    first, second = leader.begin(), leader.begin()
    second.transaction.settings = Settings.FOREIGN_KEYS ^ first.transaction.settings
    first.execute("INSERT INTO t (y) VALUES ('a')")
    waiting = second.execute("INSERT INTO t (y) VALUES ('b')")
    first.commit()
    assert waiting.times == 0
    leader.settle()
    assert waiting.done.changes == 1


def test_a_lost_lead_takes_the_whole_chain(leader: Stage) -> None:
    first, second, third = (leader.begin() for _ in range(3))
    session = leader.session()
    for client in (first, second, third):
        client.execute("INSERT INTO t (y) VALUES ('a')")
        if client is not third:
            heard = client.commit(session, 1 if client is first else 2)
    leader.lose_lead()
    assert heard.why is Why.UNKNOWN
    assert third.execute("SELECT 1").why is Why.TRANSACTION_GONE
    assert leader.rows("SELECT y FROM t") == []
    leader.replicate(noop(leader.node.log.last.index + 1, leader.node.term))
    assert leader.rows("SELECT y FROM t") == [["a"], ["a"]], "they came through the log"
    assert leader.world.machine.applied == leader.node.log.last


def test_nothing_is_built_upon_a_chain_that_a_stopping_node_takes_apart(
    leader: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CHAIN_MAX", 2)
    first, second, third = (leader.begin() for _ in range(3))
    first.execute("INSERT INTO t (y) VALUES ('a')")
    second.execute("UPDATE t SET y = 'b'")
    waiting = third.execute("SELECT y FROM t")
    first.commit()
    second.commit()
    leader.replica.stop()
    assert waiting.why is Why.TRANSACTION_GONE


LONG = (
    "WITH RECURSIVE x (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x LIMIT 9000)"
    " INSERT INTO t (y) SELECT sum(i) FROM x"
)


def test_a_commit_does_not_wait_for_what_takes_long_upon_it(leader: Stage) -> None:
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')")
    long = second.execute(LONG)
    answer = first.commit()
    assert long.times == 0, "it is begun, and goes on when what it is built upon is committed"
    leader.settle()
    assert answer.done.changes == -1
    assert long.done.changes == 1
    second.commit()
    leader.settle()
    assert leader.rows("SELECT count(*) FROM t") == [[2]]


@pytest.mark.parametrize("ends", ["lead lost", "rolled back", "the node stops"])
def test_what_takes_long_and_waits_for_a_commit_is_let_go_with_its_transaction(
    leader: Stage, ends: str
) -> None:
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')")
    long = second.execute(LONG)
    first.commit()
    match ends:
        case "lead lost":
            leader.lose_lead()
        case "rolled back":
            second.rollback()
        case _:
            leader.replica.stop()
    assert long.why is Why.TRANSACTION_GONE
    leader.settle()
    assert long.times == 1


def test_a_read_need_not_wait_for_who_built_upon_a_commit(leader: Stage) -> None:
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')")
    second.execute("INSERT INTO t (y) VALUES ('b')")
    first.commit()
    read = leader.read("SELECT y FROM t")
    leader.settle()
    assert read.rows == [["a"]]
    assert second.state == "open"


def test_the_leaders_commit_and_the_followers_replay_come_to_the_same(
    leader: Stage, alone: Stage
) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES (random())", "INSERT INTO t (y) VALUES (datetime())")
    client.execute("UPDATE t SET y = y || '!'")
    client.commit()
    leader.settle()
    index = leader.node.log.last.index
    entries = leader.node.log.slice(4, index, bytes_max=1 << 20, entries_max=10)
    shift = alone.node.log.last.index + 1 - entries[0].index
    for entry in entries:
        entry.index += shift
    alone.world.machine.apply(entries)
    assert alone.rows("SELECT * FROM t") == leader.rows("SELECT * FROM t")


def test_a_membership_change_commits_while_a_transaction_is_open(leader: Stage) -> None:
    told: list[str | None] = []
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.settle()
    assert told == [None]
    assert client.execute("SELECT y FROM t").done.rows == [["a"]], "it was done again"
    answer = client.commit()
    leader.settle()
    assert answer.done.changes == -1
    assert leader.rows("SELECT y FROM t") == [["a"]]
    assert leader.world.machine.applied == leader.node.log.last


def test_a_membership_change_behind_a_commit_is_committed_with_it(leader: Stage) -> None:
    """Both are in one batch of committed entries, the transaction's first."""
    told: list[str | None] = []
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    answer = client.commit()
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.pump()
    leader.acknowledge_all(2)
    assert answer.done.changes == -1
    assert told == [None]
    assert leader.rows("SELECT y FROM t") == [["a"]]
    assert leader.world.machine.applied == leader.node.log.last
    assert leader.wrote("INSERT INTO t (y) VALUES ('b')").changes == 1


def test_a_membership_change_is_applied_when_the_open_transaction_rolls_back(
    leader: Stage,
) -> None:
    told: list[str | None] = []
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.settle()
    client.rollback()
    assert told == [None]
    assert leader.world.machine.applied == leader.node.log.last


def test_a_lost_lead_rolls_back_and_applies_what_was_kept(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.lose_lead()
    late = client.execute("INSERT INTO t (y) VALUES ('b')")
    assert late.why is Why.TRANSACTION_GONE
    index = leader.node.log.last.index
    leader.replicate(
        noop(index + 1, leader.node.term),
        command(index + 2, leader.node.term, "INSERT INTO t DEFAULT VALUES"),
    )
    assert leader.rows("SELECT y FROM t") == [[None]]


def test_a_commit_that_a_lost_lead_interrupts_may_come_through_the_log(leader: Stage) -> None:
    session = leader.session()
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    answer = client.commit(session, 1)
    leader.lose_lead()
    assert answer.why is Why.UNKNOWN
    assert leader.rows("SELECT y FROM t") == []
    leader.replicate(noop(leader.node.log.last.index + 1, leader.node.term))
    assert leader.rows("SELECT y FROM t") == [["a"]]


def test_a_commit_that_a_lost_lead_interrupts_may_never_happen(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    answer = client.commit()
    index = leader.node.log.last.index
    leader.lose_lead()
    leader.replicate(noop(index, leader.node.term))
    assert answer.why is Why.NOT_LEADER
    assert leader.rows("SELECT y FROM t") == []


def test_transactions_that_only_wait_are_sent_to_the_next_leader(leader: Stage) -> None:
    """Nothing of them was seen, so their clients may begin them again without a word."""
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')")
    waiting = second.execute("INSERT INTO t (y) VALUES ('b')")
    leader.lose_lead()
    assert waiting.why is Why.NOT_LEADER


def test_lost_lead_while_the_database_is_being_opened_for_a_transaction(leader: Stage) -> None:
    leader.world.database_waits = True
    client = leader.begin()
    heard = client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.lose_lead()
    leader.world.finish_jobs()
    assert heard.times == 1
    leader.world.database_waits = False
    index = leader.node.log.last.index
    leader.replicate(noop(index + 1, leader.node.term))
    assert leader.world.machine.applied.index == index + 1


def test_lost_lead_while_a_statement_runs(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.world.database_waits = True
    running = client.execute("INSERT INTO t (y) VALUES ('b')")
    leader.lose_lead()
    leader.replicate(noop(leader.node.log.last.index + 1, leader.node.term))
    leader.world.finish_jobs()
    assert running.times == 1
    assert leader.rows("SELECT y FROM t") == []
    assert leader.world.machine.applied == leader.node.log.last


def test_a_lost_lead_is_why_a_statement_that_takes_long_was_interrupted(leader: Stage) -> None:
    """Its driver may run the transaction again; of a statement that was cancelled it would not."""
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.world.database_waits = True
    running = client.execute(LONG)
    leader.world.finish_jobs(1)
    leader.lose_lead()
    leader.world.finish_jobs()
    assert running.why is Why.TRANSACTION_GONE
    assert "lost the lead" in running.messages[0]


def test_lost_lead_while_the_commit_is_being_done(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    answer = client.commit()
    leader.world.database_waits = True
    leader.settle()
    leader.lose_lead()
    leader.world.finish_jobs()
    leader.world.database_waits = False
    leader.replicate(noop(leader.node.log.last.index + 1, leader.node.term))
    assert answer.times == 1
    assert leader.rows("SELECT y FROM t") == [["a"]]
    assert leader.world.machine.applied == leader.node.log.last


def test_who_holds_the_writer_and_says_nothing_is_rolled_back(alone: Stage) -> None:
    client, next_one = alone.begin(), alone.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    waiting = next_one.execute("INSERT INTO t (y) VALUES ('b')")
    alone.advance(writer_module.IDLE_MS_MAX)
    assert waiting.times == 0
    alone.advance(1)
    assert waiting.done.changes == 1
    late = client.execute("SELECT 1")
    assert late.why is Why.TRANSACTION_GONE
    assert "idle" in late.messages[0]


def test_who_holds_the_writer_can_be_made_to_give_it_back(leader: Stage) -> None:
    leader.replica.writer.make_way("nobody has it, and nothing happens")
    first, second = leader.begin(), leader.begin()
    first.execute("INSERT INTO t (y) VALUES ('a')")
    waiting = second.execute("INSERT INTO t (y) VALUES ('b')")
    leader.replica.writer.make_way("rights are being changed")
    leader.settle()
    refused = first.execute("INSERT INTO t (y) VALUES ('c')")
    assert refused.why is Why.TRANSACTION_GONE
    assert "rights are being changed" in refused.messages[0]
    assert waiting.times == 1, "the next one has it"
    second.commit()
    leader.settle()
    assert leader.rows("SELECT y FROM t") == [["b"]]


def test_who_speaks_is_not_idle(alone: Stage) -> None:
    client = alone.begin()
    for _ in range(4):
        assert client.execute("INSERT INTO t (y) VALUES ('a')").done.changes == 1
        alone.advance(writer_module.IDLE_MS_MAX - 1)
    assert client.state == "open"


def test_who_reads_a_moment_and_says_nothing_lets_it_go(alone: Stage) -> None:
    """A held moment keeps the WAL from starting over."""
    client = alone.begin()
    client.select("SELECT count(*) FROM t")
    assert alone.world.readers.holds == 1
    alone.advance(writer_module.READING_IDLE_MS_MAX + 1)
    assert alone.world.readers.holds == 0
    assert client.select("SELECT 1").why is Why.TRANSACTION_GONE


def test_time_is_up_for_one_that_waits(alone: Stage) -> None:
    client, hasty = alone.begin(), alone.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    heard = hasty.execute("INSERT INTO t (y) VALUES ('b')", deadline_ms=alone.now + 100)
    alone.advance(99)
    assert heard.times == 0
    alone.advance(1)
    assert heard.why is Why.TIMEOUT
    assert client.state == "open"


def test_a_waiting_client_that_goes_leaves_the_queue(alone: Stage) -> None:
    first, second, third = (alone.begin() for _ in range(3))
    for client in (first, second, third):
        client.execute("INSERT INTO t (y) VALUES (1)")
    second.rollback()
    first.commit()
    assert third.state == "open"
    third.commit()
    assert alone.rows("SELECT count(*) FROM t") == [[2]]


@pytest.mark.parametrize("when", ["fresh", "reading", "waiting", "open", "committing", "ended"])
def test_a_client_that_goes_leaves_nothing_behind(leader: Stage, when: str) -> None:
    blocker = leader.begin()
    if when == "waiting":
        blocker.execute("INSERT INTO t (y) VALUES ('blocker')")
    client = leader.begin()
    if when == "reading":
        client.select("SELECT 1")
    if when not in ("fresh", "reading"):
        client.execute("INSERT INTO t (y) VALUES ('client')")
    if when in ("committing", "ended"):
        client.commit()
    if when == "ended":
        leader.settle()
    assert client.state == when
    client.rollback()
    leader.settle()
    blocker.rollback()
    kept = when in ("committing", "ended")
    assert leader.rows("SELECT y FROM t") == ([["client"]] if kept else [])
    assert leader.replica.writer.open_count == 0
    assert leader.world.readers.holds == 0
    assert leader.wrote("INSERT INTO t (y) VALUES ('next')").changes == 1


def test_no_transaction_opens_while_the_lead_is_handed_over(leader: Stage) -> None:
    leader.replica.writer.close()
    client = leader.begin()
    heard = client.execute("INSERT INTO t (y) VALUES ('a')")
    assert heard.why is Why.NOT_LEADER


def test_handing_over_waits_for_the_open_transaction_only(leader: Stage) -> None:
    reading, client, waiting = leader.begin(), leader.begin(), leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    reading.select("SELECT 1")
    refused = waiting.execute("INSERT INTO t (y) VALUES ('b')")
    leader.replica.writer.close()
    assert refused.why is Why.NOT_LEADER
    assert leader.replica.writer.is_busy
    answer = client.commit()
    leader.settle()
    assert answer.done.changes == -1
    assert leader.replica.writer.is_busy
    assert reading.commit().done.changes == 0
    assert not leader.replica.writer.is_busy


def test_a_reading_transaction_may_still_write_while_the_lead_is_handed_over(
    leader: Stage,
) -> None:
    client = leader.begin()
    client.select("SELECT 1")
    leader.replica.writer.close()
    assert client.execute("INSERT INTO t (y) VALUES ('a')").done.changes == 1
    answer = client.commit()
    leader.settle()
    assert answer.done.changes == -1


def test_a_lead_that_was_not_handed_over_admits_transactions_again(leader: Stage) -> None:
    leader.replica.writer.close()
    leader.replica.writer.reopen()
    assert leader.begin().execute("INSERT INTO t (y) VALUES ('a')").done.changes == 1


def test_an_overloaded_core_refuses_the_commit_and_nothing_was_written(staged) -> None:  # type: ignore[no-untyped-def]
    stage = staged(3, uncommitted_entries_max=1).lead()
    stage.wrote("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
    client = stage.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    stage.replica.change(AddMember(4, "n4:1", "d4"), lambda _: None)
    answer = client.commit()
    assert answer.why is Why.TRANSACTION_GONE
    stage.settle()
    assert stage.rows("SELECT y FROM t") == []
    assert stage.wrote("INSERT INTO t (y) VALUES ('b')").changes == 1


def test_the_followers_acknowledgement_alone_does_not_answer(leader: Stage) -> None:
    """The leader's own disk is one of the majority, but the entry must be stored here to apply."""
    for _ in range(4):
        leader.advance(80)
        leader.acknowledge(3)
    leader.world.disk_waits = True
    heard = leader.write("INSERT INTO t (y) VALUES ('a')")
    leader.pump()
    for peer in (2, 3):
        leader.acknowledge_all(peer)
    assert heard.times == 0
    leader.world.finish_saves()
    leader.pump()
    assert heard.done.changes == 1
