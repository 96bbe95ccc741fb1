"""A batch's bytes: what is written is read back in its place, and nowhere else."""

from __future__ import annotations

import pytest
from crc32c import crc32c

from raftsql.raft.messages import Entry, EntryKind, HardState, Position
from raftsql.storage.batch import (
    ALIGNMENT,
    END_MARK,
    HEADER,
    Batch,
    aligned,
    body_is_sound,
    decode_header,
    encode_body,
    encode_header,
)

ENTRIES = [Entry(3, 8, EntryKind.NOOP, b""), Entry(4, 9, EntryKind.COMMAND, b"payload")]
BODY = encode_body(ENTRIES, 8)
BATCH = Batch(
    number=5,
    state=HardState(4, 2),
    base=Position(2, 1),
    prev=Position(7, 3),
    count=2,
    first_term=3,
    last_term=4,
    body_bytes=len(BODY),
    body_crc=crc32c(BODY),
    offset=3 * ALIGNMENT,
)


def test_a_header_is_read_back_as_it_was_written() -> None:
    data = encode_header(BATCH, 6)
    assert len(data) == HEADER.size <= ALIGNMENT
    assert decode_header(data, 0, 6, BATCH.offset) == BATCH
    assert BATCH.last == Position(9, 4)
    assert BATCH.end - BATCH.body_offset == len(BODY)


@pytest.mark.parametrize(("segment", "offset"), [(7, 3 * ALIGNMENT), (6, 4 * ALIGNMENT)])
def test_a_header_of_another_place_is_none(segment: int, offset: int) -> None:
    assert decode_header(encode_header(BATCH, 6), 0, segment, offset) is None


def test_a_header_with_any_bit_flipped_is_none() -> None:
    data = encode_header(BATCH, 6)
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        assert decode_header(bytes(flipped), 0, 6, BATCH.offset) is None
    assert decode_header(data[:-1], 0, 6, BATCH.offset) is None


def test_a_body_with_any_bit_flipped_or_cut_is_not_sound() -> None:
    data = encode_header(BATCH, 6) + BODY
    assert body_is_sound(BATCH, data)
    assert not body_is_sound(BATCH, data[:-1])
    for place in range(8 * HEADER.size, 8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        assert not body_is_sound(BATCH, bytes(flipped))


def test_a_body_ends_with_a_mark_that_no_zeros_can_pass_for() -> None:
    assert BODY.endswith(END_MARK)
    assert encode_body([], 1) == END_MARK
    assert 0 not in END_MARK


def test_entries_out_of_their_place_are_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="saved in the place of 7"):
        encode_body(ENTRIES, 7)


def test_headers_start_where_no_sector_is_crossed() -> None:
    assert [aligned(offset) for offset in (0, 1, 128, 129)] == [0, 128, 128, 256]
    assert 512 % ALIGNMENT == 0
