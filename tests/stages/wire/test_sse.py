"""Bodies are written by hand after WHATWG HTML 9.2.6; `interpret` is a second, slow reading."""

import re
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokenline.errors import LimitExceededError
from tokenline.options import KIB, MIB, Limits
from tokenline_stages.wire.sse import COMMENT, STRAY, SseDecoder

Found = tuple[str, bytes, int]
BOM = b"\xef\xbb\xbf"

CASES = [
    pytest.param(b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")], id="lf"),
    pytest.param(b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")], id="cr"),
    pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")], id="crlf"),
    pytest.param(b"data: a\n\r\ndata: b\r\n\r", [("", b"a"), ("", b"b")], id="mixed-line-ends"),
    pytest.param(b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a"), ("", b"b")], id="named"),
    pytest.param(b"data: a\nevent: x\n\n", [("x", b"a")], id="name-after-data"),
    pytest.param(b"event: x\nevent: y\ndata: a\n\n", [("y", b"a")], id="last-name-counts"),
    pytest.param(b"event:\ndata: a\n\n", [("", b"a")], id="empty-name"),
    pytest.param(b"event: x\n\ndata: a\n\n", [("", b"a")], id="name-without-data-does-not-leak"),
    pytest.param(
        b"event: x\ndata: a\n\nevent: x\n\ndata: b\n\n",
        [("x", b"a"), ("", b"b")],
        id="known-name-without-data",
    ),
    pytest.param(b"data:a\n\ndata:  a \n\n", [("", b"a"), ("", b" a ")], id="one-space-goes"),
    pytest.param(b"data: a\ndata: b\ndata:\n\n", [("", b"a\nb\n")], id="lines-join"),
    pytest.param(b"data\n\ndata\ndata\n\n", [("", b""), ("", b"\n")], id="data-without-colon"),
    pytest.param(b"data:\n\ndata: \n\n", [("", b""), ("", b"")], id="empty-data"),
    pytest.param(b"id: 1\nretry: 9\nfoo: b\nbar\n\ndata: a\n\n", [("", b"a")], id="other-fields"),
    pytest.param(b" data: a\ndatab: c\nDATA: d\n\n", [], id="names-are-exact"),
    pytest.param(b"id: 1\ndata: a\n\n", [("", b"a")], id="id-and-data"),
    pytest.param(
        b": ping\n\n:\ndata: a\n: in\n\n",
        [(COMMENT, b"ping"), (COMMENT, b""), (COMMENT, b"in"), ("", b"a")],
        id="comments",
    ),
    pytest.param(b"event: :\ndata: a\n\n", [("", b"a")], id="an-event-is-never-a-comment"),
    pytest.param(BOM + b"data: a\n\n", [("", b"a")], id="bom"),
    pytest.param(BOM + BOM + b"data: a\n\ndata: b\n\n", [("", b"b")], id="only-one-bom"),
    pytest.param(b"data: a\n\n" + BOM + b"data: b\n\n", [("", b"a")], id="bom-only-at-the-start"),
    pytest.param(b"data: a", [("", b"a")], id="cut-in-line"),
    pytest.param(b"event: x\ndata: a\n", [("x", b"a")], id="cut-before-blank-line"),
    pytest.param(b"data: a\n\nevent: x\n", [("", b"a")], id="cut-without-data"),
    pytest.param(b"\xef\xbb", [], id="cut-in-bom"),
    pytest.param(b"\n\r\n\r\n", [], id="blank"),
    pytest.param(b"", [], id="empty"),
    pytest.param(
        "data: \u2028\u2029\u0085\x0b\x0c\x1c\x1e😀\n\n".encode(),
        [("", "\u2028\u2029\u0085\x0b\x0c\x1c\x1e😀".encode())],
        id="other-separators-are-data",
    ),
    pytest.param(b"data: \xff\x00\n\n", [("", b"\xff\x00")], id="any-byte-is-data"),
    pytest.param(b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")], id="name-that-is-no-utf-8"),
    pytest.param(
        b'data: a\n\nerror: {"code":400}\n\ndata: b\n\n',
        [("", b"a"), (STRAY, b'{"code":400}'), ("", b"b")],
        id="error-field",
    ),
    pytest.param(
        b'data: a\n\n{"error":"x: y"}\n\ndata: b\n\n',
        [("", b"a"), (STRAY, b'{"error":"x: y"}'), ("", b"b")],
        id="json-line",
    ),
]


def interpret(body: bytes) -> list[Found]:
    """The events of a whole body, with their offsets."""
    found: list[Found] = []
    begin = len(BOM) if body.startswith(BOM) else 0
    name, values, start = "", list[bytes](), begin
    for match in re.finditer(rb"([^\r\n]*)(\r\n|\r|\n|$)", body[begin:]):
        line = match[1]
        if not line:
            if values:
                found.append((name, b"\n".join(values), start))
            name, values, start = "", [], begin + match.end()
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            values.append(value)
        elif field == b"event":
            name = value.decode(errors="replace").removeprefix(":" if value == b":" else "\n")
        elif not field:
            found.append((COMMENT, value, start))
        elif field == b"error" or line.startswith(b"{"):
            found.append((STRAY, value if field == b"error" else line, start))
    if values:
        found.append((name, b"\n".join(values), start))
    return found


def decode(reads: Iterable[bytes], limits: Limits | None = None) -> tuple[list[Found], str | None]:
    """What a decoder finds, with offsets, and the limit that stopped it."""
    decoder = SseDecoder(limits or Limits())
    found: list[Found] = []

    def collect() -> None:
        for index, (name, data) in enumerate(decoder.found):
            found.append((name, data, decoder.offset_of(index)))

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


@pytest.mark.parametrize(("body", "events"), CASES)
def test_decodes(body: bytes, events: list[tuple[str, bytes]]) -> None:
    found, _ = decode([body])
    assert [(name, data) for name, data, _ in found] == events
    assert found == interpret(body)


@pytest.mark.parametrize(("body", "events"), CASES)
def test_cuts_do_not_matter(body: bytes, events: list[tuple[str, bytes]]) -> None:
    whole = decode([body])
    assert decode(single_bytes(body)) == whole
    for place in range(len(body) + 1):
        assert decode(cut(body, [place])) == whole


PIECES = [
    *(b"data: ", b"data:", b"data", b"event: ", b"event:", b"id: 1", b": c", b":", b" ", b"x"),
    *(b"\n", b"\n", b"\r", b"\r\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"{", b"error: ", BOM, b"\xe2"),
    *(b"data: y\n\n", b"data: y\r\n\r\n", b"data: y\n\ndata: z\n\n", b"event: x\n\n"),
    *(b"event: x\ndata: y\n\n", b"event: x\r\ndata: y\r\n\r\n", b"event: x\nid: 1\ndata: y\n\n"),
]
BODIES = st.lists(st.sampled_from(PIECES), max_size=16).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=5)


@given(BODIES, CUTS)
@example(b"event: x\ndata: y\n\nevent: x\n\nevent: x\ndata: y\n\n", [18])
@settings(max_examples=400, deadline=None)
def test_both_paths_agree_with_the_reference(body: bytes, cuts: list[int]) -> None:
    expected = (interpret(body), None)
    assert decode([body]) == expected
    # Events that come in several reads never take the fast path.
    assert decode(single_bytes(body)) == expected
    assert decode(cut(body, cuts)) == expected
    # After a first event that leaves nothing behind, all else may.
    assert decode([b"data: 0\n\n", *cut(body, cuts)])[0] == decode([b"data: 0\n\n" + body])[0]


@given(BODIES, CUTS, st.sampled_from([5, 6, 7, 9, 20]), st.sampled_from([1, 2, 3, 8]))
@settings(max_examples=250, deadline=None)
def test_limits_do_not_depend_on_cuts(body: bytes, cuts: list[int], line: int, event: int) -> None:
    limits = Limits(max_line_bytes=line, max_event_bytes=event)
    whole = decode([body], limits)
    assert decode(single_bytes(body), limits) == whole
    assert decode(cut(body, cuts), limits) == whole


@given(st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_bytes_decode(reads: list[bytes]) -> None:
    found, limit = decode(reads)
    assert limit is None
    assert found == interpret(b"".join(reads))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        pytest.param(b"event: 890123\ndata: 12345\n\n", None, id="at-both-limits"),
        pytest.param(b"data: 123456\n\n", "max_event_bytes", id="one-line"),
        pytest.param(b"data: 12\ndata: 34\ndata: 5\n\n", "max_event_bytes", id="joined-lines"),
        pytest.param(b"data: 12\ndata: 34\ndata\n\n", "max_event_bytes", id="line-ends-count"),
        pytest.param(b": 345678901234", "max_line_bytes", id="comment"),
        pytest.param(b"event: 8901234\n", "max_line_bytes", id="name"),
    ],
)
def test_limits(body: bytes, limit: str | None) -> None:
    limits = Limits(max_line_bytes=13, max_event_bytes=5)
    before = b"data: 0\n\n"
    found, passed = decode([before + body], limits)
    assert passed == limit
    assert found[0] == ("", b"0", 0)
    assert decode(single_bytes(before + body), limits) == (found, passed)


def test_limit_is_raised_as_soon_as_it_is_passed() -> None:
    decoder = SseDecoder(Limits(max_event_bytes=10))
    decoder.feed(b"data: 1234567890")
    with pytest.raises(LimitExceededError, match=r"10 bytes.*max_event_bytes") as caught:
        decoder.feed(b"x")
    assert caught.value.limit == "max_event_bytes"


@pytest.mark.parametrize("read", [b"x" * 16 * KIB, b"data\n" * 64], ids=["one-line", "tiny-lines"])
def test_memory_stays_below_the_limit_and_a_read(read: bytes) -> None:
    limits = Limits(max_line_bytes=64 * KIB, max_event_bytes=64 * KIB)
    decoder = SseDecoder(limits)
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceededError):
            feed_for_ever(decoder, read)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A growing buffer is moved, so that for a moment there are two.
    assert peak_bytes < 2.5 * 64 * KIB + 4 * len(read)


def feed_for_ever(decoder: SseDecoder, read: bytes) -> None:
    while True:
        decoder.feed(read)


@pytest.mark.parametrize("unit", [b"x", b"\ndata: x"], ids=["one-line", "many-lines"])
def test_time_is_linear(
    unit: bytes, growth: Callable[[Callable[[int], object], int], float]
) -> None:
    def run(size: int) -> None:
        body = b"data: " + unit * (size // len(unit)) + b"\n\n"
        decoder = SseDecoder(Limits())
        for at in range(0, len(body), 64):
            decoder.feed(body[at : at + 64])
        assert len(decoder.found) == 1

    assert growth(run, MIB // 16) < 8
