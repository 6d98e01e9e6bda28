from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.errors import LimitExceededError
from tokenline.options import MIB, Limits
from tokenline_stages.wire.ndjson import NdjsonDecoder

Line = tuple[bytes, int]

CASES = [
    pytest.param(b"{}\n[]\n", [(b"{}", 0), (b"[]", 3)], id="lf"),
    pytest.param(b"{}\r\n[]\r\n", [(b"{}", 0), (b"[]", 4)], id="crlf"),
    pytest.param(b"\n{}\n\n \r\n[]\n\n", [(b"{}", 1), (b"[]", 8)], id="blank-lines"),
    pytest.param(b"{}\n[]", [(b"{}", 0), (b"[]", 3)], id="no-last-newline"),
    pytest.param(b" {} \n", [(b"{}", 0)], id="white-space-around"),
    pytest.param(b'"\r"\n', [(b'"\r"', 0)], id="lone-cr-ends-no-line"),
    pytest.param('"\u2028\u0085😀"\n'.encode(), [('"\u2028\u0085😀"'.encode(), 0)], id="unicode"),
    pytest.param(b"", [], id="empty"),
]


def decode(reads: Iterable[bytes], limits: Limits | None = None) -> tuple[list[Line], str | None]:
    decoder = NdjsonDecoder(limits or Limits())
    found: list[Line] = []

    def collect() -> None:
        found.extend((line, decoder.offset_of(index)) for index, line in enumerate(decoder.found))

    try:
        for read in reads:
            assert decoder.feed(read) is decoder.found
            collect()
        decoder.finish()
    except LimitExceededError as error:
        collect()
        return found, error.limit
    collect()
    return found, None


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def single_bytes(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


@pytest.mark.parametrize(("body", "lines"), CASES)
def test_decodes_however_cut(body: bytes, lines: list[Line]) -> None:
    assert decode([body]) == (lines, None)
    assert decode(single_bytes(body)) == (lines, None)
    for place in range(len(body) + 1):
        assert decode(cut(body, [place])) == (lines, None)


@given(
    st.lists(st.sampled_from([b"{}", b"12345", b"\n", b"\r\n", b" ", b"\xff"])).map(b"".join),
    st.lists(st.integers(0, 99), max_size=4),
    st.integers(1, 9),
    st.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_cuts_do_not_matter(body: bytes, cuts: list[int], line: int, event: int) -> None:
    assert [text for text, _ in decode([body])[0]] == [
        text.strip() for text in body.split(b"\n") if text.strip()
    ]
    for limits in (Limits(), Limits(max_line_bytes=line, max_event_bytes=event)):
        whole = decode([body], limits)
        assert decode(cut(body, cuts), limits) == whole
        assert decode(single_bytes(body), limits) == whole


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(max_line_bytes=4), "max_line_bytes"),
        (Limits(max_event_bytes=4), "max_event_bytes"),
    ],
)
def test_the_smaller_limit_counts(limits: Limits, name: str) -> None:
    assert decode([b"1234\n", b"12345"], limits) == ([(b"1234", 0)], name)
    decoder = NdjsonDecoder(limits)
    with pytest.raises(LimitExceededError, match=rf"4 bytes \(line at byte 5\).*{name}"):
        decoder.feed(b"1234\n12345")
    assert decoder.found == [b"1234"]


def test_time_is_linear(growth: Callable[[Callable[[int], object], int], float]) -> None:
    def run(size: int) -> None:
        decoder = NdjsonDecoder(Limits())
        for _ in range(size // 32):
            decoder.feed(b"x" * 32)
        assert len(decoder.finish()) == 1

    assert growth(run, MIB // 8) < 8
