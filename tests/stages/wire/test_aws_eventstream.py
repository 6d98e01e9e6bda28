"""Frames are built here or by `encode_frame`; botocore, where it is installed, is the oracle."""

import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.errors import LimitExceededError, MalformedStreamError, StreamCutError
from tokenline.options import MIB, Limits
from tokenline_stages.wire.aws_eventstream import (
    EventStreamDecoder,
    Frame,
    HeaderValue,
    Timestamp,
    encode_frame,
)

EVENT = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}

NAMES = st.text(min_size=1, max_size=20)
VALUES: st.SearchStrategy[HeaderValue] = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=50),
    st.binary(max_size=50),
    st.integers(-(2**63), 2**63 - 1).map(Timestamp),
    st.uuids(),
)
FRAMES = st.builds(Frame, st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=100))


def encode(frames: Iterable[Frame]) -> bytes:
    return b"".join(encode_frame(frame.headers, frame.payload) for frame in frames)


def decode(reads: Iterable[bytes]) -> list[tuple[Frame, int]]:
    decoder = EventStreamDecoder(Limits())
    found = []
    for read in reads:
        frames = decoder.feed(read)
        found += [(frame, decoder.offset_of(index)) for index, frame in enumerate(frames)]
    assert decoder.finish() == []
    return found


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def seal(headers: bytes, payload: bytes = b"", *, size: int | None = None) -> bytes:
    """A frame with right CRCs around whatever is inside."""
    size = 16 + len(headers) + len(payload) if size is None else size
    lengths = struct.pack(">II", size, len(headers))
    checked = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return checked + struct.pack(">I", crc32(checked))


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 999), max_size=4))
@settings(max_examples=100, deadline=None)
def test_round_trip_however_cut(frames: list[Frame], cuts: list[int]) -> None:
    body = encode(frames)
    offsets = [len(encode(frames[:count])) for count in range(len(frames))]
    expected = list(zip(frames, offsets, strict=True))
    assert decode([body]) == expected
    assert decode(cut(body, cuts)) == expected
    assert decode(body[at : at + 1] for at in range(len(body))) == expected
    types = [[type(value) for value in frame.headers.values()] for frame, _ in decode([body])]
    assert types == [[type(value) for value in frame.headers.values()] for frame in frames]


def test_reads_every_type_of_value() -> None:
    block = b"".join(
        (
            b"\x01a\x00",
            b"\x01b\x01",
            b"\x01c\x02\xff",
            b"\x01d\x03\xff\xfe",
            b"\x01e\x04\xff\xff\xff\xfd",
            b"\x01f\x05" + struct.pack(">q", -4),
            b"\x01g\x06\x00\x02\x00\xff",
            b"\x01h\x07\x00\x02\xc3\xa9",
            b"\x01i\x08" + struct.pack(">q", 1_700_000_000_000),
            b"\x01j\x09" + bytes(range(16)),
        )
    )
    (frame,) = EventStreamDecoder(Limits()).feed(seal(block, b"{}"))
    assert frame == Frame(
        {
            "a": True,
            "b": False,
            "c": -1,
            "d": -2,
            "e": -3,
            "f": -4,
            "g": b"\x00\xff",
            "h": "é",
            "i": Timestamp(1_700_000_000_000),
            "j": UUID(bytes=bytes(range(16))),
        },
        b"{}",
    )


@given(st.lists(FRAMES, min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_botocore_reads_the_same(frames: list[Frame]) -> None:
    buffer: Any = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    buffer.add_data(encode(frames))
    read = [(dict(message.headers), message.payload) for message in buffer]
    assert read == [
        (
            {k: v.bytes if isinstance(v, UUID) else v for k, v in frame.headers.items()},
            frame.payload,
        )
        for frame in frames
    ]


def test_frames_do_not_share_headers() -> None:
    first, second = EventStreamDecoder(Limits()).feed(2 * encode_frame(EVENT, b""))
    first.headers["more"] = True
    assert second.headers == EVENT


def test_many_and_long_header_blocks() -> None:
    frames = [Frame({"a": number, "b": "x" * (10 * number)}, b"") for number in range(99)]
    decoder = EventStreamDecoder(Limits())
    assert [decoder.feed(encode([frame])) for frame in frames] == [[frame] for frame in frames]
    assert decoder.feed(encode(frames)) == frames


@pytest.mark.parametrize("at", range(len(encode_frame(EVENT, b"{}"))))
def test_a_flipped_bit_is_found(at: int) -> None:
    good = encode_frame(EVENT, b"{}")
    bad = bytearray(good)
    bad[at] ^= 1
    decoder = EventStreamDecoder(Limits())
    with pytest.raises(MalformedStreamError, match="CRC") as caught:
        decoder.feed(good + bad)
    assert caught.value.offset == len(good)
    assert decoder.found == [Frame(dict(EVENT), b"{}")]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(seal(b"", size=15), "lengths are impossible", id="too-short"),
        pytest.param(seal(b"\x01a\x00", size=18), "lengths are impossible", id="headers-too-long"),
        pytest.param(seal(b"\x00" * 131_073), "lengths are impossible", id="huge-headers"),
        pytest.param(seal(b"\x01a\x0a"), "value type 10 is unknown", id="unknown-type"),
        pytest.param(seal(b"\x09a"), "header is broken", id="name-cut"),
        pytest.param(seal(b"\x01a"), "header is broken", id="type-missing"),
        pytest.param(seal(b"\x01a\x05\x00"), "header is broken", id="number-cut"),
        pytest.param(seal(b"\x01a\x07\x00"), "header is broken", id="length-cut"),
        pytest.param(seal(b"\x01a\x07\x00\x02b"), "longer than the headers", id="string-cut"),
        pytest.param(seal(b"\x01a\x09\x00"), "header is broken", id="uuid-cut"),
        pytest.param(seal(b"\x01a\x07\x00\x01\xff"), "header is broken", id="string-no-utf-8"),
        pytest.param(seal(b"\x01\xff\x00"), "header is broken", id="name-no-utf-8"),
        pytest.param(seal(b"\x01a\x00\x01a\x01"), "appears twice", id="same-name-twice"),
    ],
)
def test_broken_frames(frame: bytes, message: str) -> None:
    with pytest.raises(MalformedStreamError, match=message) as caught:
        EventStreamDecoder(Limits()).feed(frame)
    assert caught.value.offset == 0


def test_a_frame_over_the_limit_is_refused_before_it_comes() -> None:
    limits = Limits(max_event_bytes=100)
    fits = encode_frame({}, b"x" * 84)
    assert len(EventStreamDecoder(limits).feed(fits)) == 1
    decoder = EventStreamDecoder(limits)
    with pytest.raises(LimitExceededError) as caught:
        decoder.feed(fits + encode_frame({}, b"x" * 85)[:12])
    assert caught.value.limit == "max_event_bytes"
    assert len(decoder.found) == 1


def test_an_end_inside_a_frame_is_a_cut() -> None:
    body = encode_frame(EVENT, b"{}")
    for end in range(1, len(body)):
        decoder = EventStreamDecoder(Limits())
        decoder.feed(body[:end])
        with pytest.raises(StreamCutError, match="inside a frame"):
            decoder.finish()


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_bytes_raise_documented_errors_only(reads: list[bytes], sealed: bool) -> None:
    decoder = EventStreamDecoder(Limits())
    with suppress(MalformedStreamError, StreamCutError, LimitExceededError):
        for read in reads:
            decoder.feed(seal(read) if sealed else read)
        decoder.finish()


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        pytest.param({"x" * 256: True}, b"", id="long-name"),
        pytest.param({"a": "x" * 65_536}, b"", id="long-value"),
        pytest.param({"a": 2**63}, b"", id="large-number"),
        pytest.param({str(n): "x" * 60_000 for n in range(3)}, b"", id="many-headers"),
    ],
)
def test_what_does_not_fit_is_not_written(headers: dict[str, HeaderValue], payload: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        encode_frame(headers, payload)


def test_time_is_linear(growth: Callable[[Callable[[int], object], int], float]) -> None:
    def run(size: int) -> None:
        body = encode_frame(EVENT, b"x" * size)
        decoder = EventStreamDecoder(Limits())
        for at in range(0, len(body), 32):
            decoder.feed(body[at : at + 32])
        assert len(decoder.found) == 1

    assert growth(run, MIB // 8) < 8
