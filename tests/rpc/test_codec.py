"""Every message survives the wire, and what is not a message is refused with words."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql.raft import messages as m
from raftsql.rpc import codec
from raftsql.rpc.codec import Encoder, Undecodable, decode, joined
from raftsql_proto import peers_pb2 as wire

NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)
POSITIONS = st.builds(m.Position, index=st.integers(0, 2**62), term=NUMBERS)
VALUES = {
    **dict.fromkeys(("term", "match", "probe", "prev_index", "commit", "round", "index"), NUMBERS),
    **dict.fromkeys(("hint", "last"), POSITIONS),
    **dict.fromkeys(("pre", "forced", "granted", "lease"), st.booleans()),
}
BODIES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(m.EntryKind), st.binary(max_size=40)), max_size=12
)


@st.composite
def appends(draw: st.DrawFn) -> m.Append:
    """An Append whose entries follow its `prev`."""
    prev = draw(POSITIONS)
    entries = [
        m.Entry(term, prev.index + 1 + place, kind, payload)
        for place, (term, kind, payload) in enumerate(draw(BODIES))
    ]
    return m.Append(draw(NUMBERS), prev, entries, draw(NUMBERS), draw(NUMBERS))


OTHERS: dict[type[m.Message], st.SearchStrategy[m.Message]] = {
    kind: st.builds(kind, **{name: VALUES[name] for name in kind.__slots__})
    for kind in m.Message.__args__
    if kind not in (m.Append, m.InstallSnapshot)
}


def across(encoder: Encoder, sent: list[m.Message]) -> list[m.Message]:
    """What arrives at node 2 of what node 1 sends, with its entries as a list."""
    data = joined(encoder.encode(message) for message in sent)
    arrived = decode(data, cluster=7, source=1, target=2)
    assert all((e.cluster, e.source, e.target) == (7, 1, 2) for e in arrived)
    return [
        m.Append(a.term, a.prev, list(a.entries), a.commit, a.probe)
        if isinstance(a, m.Append)
        else a
        for a in (envelope.message for envelope in arrived)
    ]


@given(appends())
def test_an_append_arrives_as_it_was_sent(sent: m.Append) -> None:
    assert across(Encoder(), [sent]) == [sent]


@given(st.lists(st.one_of(OTHERS.values()), max_size=6))
def test_messages_arrive_as_they_were_sent_and_in_order(sent: list[m.Message]) -> None:
    assert across(Encoder(), sent) == sent


def test_every_kind_that_travels_in_a_batch_is_tried_here() -> None:
    assert {m.Append, m.InstallSnapshot, *OTHERS} == set(m.Message.__args__)


def test_entries_arrive_with_kinds_of_the_core() -> None:
    entry = m.Entry(3, 1, m.EntryKind.MEMBERSHIP, b"x")
    (arrived,) = across(Encoder(), [m.Append(3, m.ORIGIN, [entry], 0, 0)])
    assert isinstance(arrived, m.Append)
    assert arrived.entries[0].kind is m.EntryKind.MEMBERSHIP


def commands(term: int, *, first: int = 1, count: int = 3) -> list[m.Entry]:
    return [
        m.Entry(term, first + place, m.EntryKind.COMMAND, b"%d/%d" % (term, place))
        for place in range(count)
    ]


def test_a_range_is_encoded_once_for_all_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    real = codec.encode_entries
    monkeypatch.setattr(codec, "encode_entries", lambda e: encoded.append(e) or real(e))
    encoder, entries = Encoder(), commands(1)
    for _ in range(3):
        across(encoder, [m.Append(1, m.ORIGIN, list(entries), 0, 0)])
    assert len(encoded) == 1


def test_a_replaced_entry_is_not_mistaken_for_the_one_before_it() -> None:
    encoder = Encoder()
    old, new = commands(1), [*commands(1, count=2), m.Entry(2, 3, m.EntryKind.NOOP, b"")]
    across(encoder, [m.Append(2, m.ORIGIN, old, 0, 0)])
    (arrived,) = across(encoder, [m.Append(2, m.ORIGIN, new, 0, 0)])
    assert isinstance(arrived, m.Append)
    assert arrived.entries == new


def test_a_part_of_a_range_is_not_mistaken_for_the_whole() -> None:
    encoder, entries = Encoder(), commands(1)
    across(encoder, [m.Append(1, m.ORIGIN, entries, 0, 0)])
    (tail,) = across(encoder, [m.Append(1, m.Position(1, 1), entries[1:], 0, 0)])
    (head,) = across(encoder, [m.Append(1, m.ORIGIN, entries[:2], 0, 0)])
    assert isinstance(tail, m.Append)
    assert isinstance(head, m.Append)
    assert (tail.entries, head.entries) == (entries[1:], entries[:2])


def test_what_is_remembered_is_bounded_in_number_and_bytes() -> None:
    encoder = Encoder()
    for first in range(1, 100):
        encoder._range(commands(1, first=first))
    assert len(encoder._ranges) == codec.RANGES_MAX
    for first in range(1, 20):
        encoder._range([m.Entry(1, first, m.EntryKind.COMMAND, bytes(3 << 20))])
    encoder._range([m.Entry(1, 50, m.EntryKind.COMMAND, bytes(9 << 20))])
    held = sum(len(encoded) for encoded in encoder._ranges.values())
    assert held == encoder._ranges_bytes <= codec.RANGES_BYTES_MAX


def test_a_snapshot_is_not_a_message() -> None:
    install = m.InstallSnapshot(1, m.SnapshotMeta(m.ORIGIN, b""))
    with pytest.raises(AssertionError, match="shipped on a stream of its own"):
        Encoder().encode(install)


def batch_with(entries: bytes) -> bytes:
    batch = wire.PeerBatch()
    batch.messages.add(term=1).append.entries = entries
    return joined([batch.SerializeToString()])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"\xff\xff\xff", "damaged", id="no protobuf"),
        pytest.param(batch_with(b"\xc1"), "damaged", id="no msgpack"),
        pytest.param(batch_with(msgspec.msgpack.encode([[1, 1]])), "damaged", id="no run"),
        pytest.param(
            batch_with(msgspec.msgpack.encode([[1, 9, [b"x"]]])),
            "an entry of kind 9, which this release does not know: upgrade this node",
            id="a newer kind of entry",
        ),
        pytest.param(
            # Field 99 of a PeerMessage: a kind that some later release may have.
            joined(
                [
                    wire.PeerBatch(
                        messages=[wire.PeerMessage.FromString(b"\x08\x01\x9a\x06\x00")]
                    ).SerializeToString()
                ]
            ),
            "a message of a kind that this release does not know",
            id="a newer kind of message",
        ),
    ],
)
def test_what_no_peer_of_this_release_sends_is_refused_in_words(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(data, cluster=7, source=1, target=2)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        decode(data, cluster=7, source=1, target=2)
    except Undecodable:
        return


def test_any_bit_that_flips_on_its_way_is_found() -> None:
    prev = m.Position(index=4, term=2)
    entries = [m.Entry(3, 5, m.EntryKind.COMMAND, b"rows"), m.Entry(3, 6, m.EntryKind.NOOP, b"")]
    messages = [m.Append(3, prev, entries, 5, 9), m.Heartbeat(3, 5, 9)]
    sent = joined(map(Encoder().encode, messages))
    assert len(decode(sent, cluster=7, source=1, target=2)) == 2
    for bit in range(len(sent) * 8):
        spoilt = bytearray(sent)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecodable):
            decode(bytes(spoilt), cluster=7, source=1, target=2)
    for length in range(len(sent)):
        with pytest.raises(Undecodable):
            decode(sent[:length], cluster=7, source=1, target=2)
