"""One connection, fed by hand: framing, ends, pressure and reuse."""

import asyncio
import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.errors import MalformedStreamError, StreamCutError, StreamError, UsageError
from tokenline.wake import Waiter, Wakes
from tokenline_stages.http.connection import ConnectionLostError
from tokenline_stages.http.inflate import PIECE_BYTES
from tokenline_stages.http.response import READ_AHEAD_BYTES
from tokenline_stages.http.response_parser import (
    MAX_HEAD_BYTES,
    HeadTooLargeError,
    MalformedResponseError,
)

from .wires import (
    CHUNKED,
    Bench,
    Collector,
    cut_at,
    in_chunks,
    payload_of,
    read_all,
    with_length,
)

pytestmark = pytest.mark.anyio

BODY = b"data: one\n\ndata: two \xf0\x9f\x98\x80\n\n"
PARTS = (BODY[:5], BODY[5:9], BODY[9:])


def _deflated(data: bytes, wbits: int) -> bytes:
    engine = zlib.compressobj(wbits=wbits)
    return engine.compress(data) + engine.flush()


WHOLE: dict[str, tuple[bytes, bytes]] = {
    "chunked": (CHUNKED, in_chunks(*PARTS)),
    "chunk extensions and trailers": (
        CHUNKED,
        in_chunks(end=b"%x;a=b\r\n%s\r\n0\r\nx-t: 1\r\n\r\n" % (len(BODY), BODY)),
    ),
    "length": (with_length(BODY)[: -len(BODY)], BODY),
    "interim first": (
        b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + CHUNKED,
        in_chunks(*PARTS),
    ),
    "bare line feeds": (CHUNKED.replace(b"\r\n", b"\n"), in_chunks(*PARTS)),
    "gzip": (
        CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n",
        in_chunks(gzip.compress(BODY)),
    ),
    "gzip, two members": (
        CHUNKED[:-2] + b"Content-Encoding: x-gzip\r\n\r\n",
        in_chunks(gzip.compress(PARTS[0]), gzip.compress(PARTS[1] + PARTS[2])),
    ),
    "deflate": (
        CHUNKED[:-2] + b"Content-Encoding: deflate\r\n\r\n",
        in_chunks(_deflated(BODY, zlib.MAX_WBITS)),
    ),
    "raw deflate": (
        CHUNKED[:-2] + b"Content-Encoding: deflate\r\n\r\n",
        in_chunks(_deflated(BODY, -zlib.MAX_WBITS)),
    ),
}


def _run(test: Callable[[], object]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=25, deadline=None)
@given(places=st.lists(st.integers(0, 4000), max_size=12), attach_at=st.integers(0, 12))
def test_any_cut_gives_the_same_body(name: str, places: list[int], attach_at: int) -> None:
    """Pushed and read, whatever a read from the socket brings."""
    head, body = WHOLE[name]
    pieces = cut_at(head + body, places)

    async def push() -> None:
        bench, collector = Bench(), Collector()
        await bench.send()
        head_bytes, response = 0, None
        for number, piece in enumerate(pieces):
            bench.connection.data_received(piece)
            head_bytes += len(piece)
            if response is None and head_bytes >= len(head) and number >= attach_at:
                response = await bench.respond()
                response.attach(collector.on_data, collector.on_end)
        if response is None:
            response = await bench.respond()
            response.attach(collector.on_data, collector.on_end)
        assert collector.data == BODY
        assert collector.ends == [None]
        assert (bench.freed, bench.gone) == (1, 0)

    async def read() -> None:
        bench = Bench()
        response = await bench.respond(*pieces)
        assert response.status == 200
        assert await read_all(response) == BODY
        assert await response.read() == b""
        await response.aclose()
        assert (bench.freed, bench.gone) == (1, 0)

    _run(push)
    _run(read)


@pytest.mark.parametrize("name", ["chunked", "chunk extensions and trailers", "length"])
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), reset=st.booleans())
def test_a_cut_body_keeps_what_came(name: str, share: float, reset: bool) -> None:
    head, body = WHOLE[name]
    begun = body[: int(len(body) * share)]
    payload = begun if name == "length" else payload_of(begun)
    exc = ConnectionResetError("reset by peer") if reset else None

    async def push() -> None:
        bench, collector = Bench(), Collector()
        response = await bench.respond(head)
        response.attach(collector.on_data, collector.on_end)
        for at in range(len(begun)):
            bench.connection.data_received(begun[at : at + 1])
        bench.connection.connection_lost(exc)
        assert collector.data == payload
        [error] = collector.ends
        assert isinstance(error, StreamCutError)
        assert f"after {len(payload)} bytes" in str(error)
        assert error.provider == "peer"
        assert (bench.freed, bench.gone) == (0, 1)

    async def read() -> None:
        bench = Bench()
        response = await bench.respond(head, begun)
        bench.connection.connection_lost(exc)
        if payload:
            assert await response.read() == payload
        with pytest.raises(StreamCutError):
            await response.read()

    _run(push)
    _run(read)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    spoiled=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    more=st.binary(max_size=20),
    places=st.lists(st.integers(0, 400), max_size=5),
    pushed=st.booleans(),
)
def test_damaged_bytes_give_documented_errors_and_an_end(
    name: str,
    spoiled: list[tuple[int, int]],
    more: bytes,
    places: list[int],
    pushed: bool,
) -> None:
    data = bytearray(b"".join(WHOLE[name]) + more)
    for place, value in spoiled:
        data[place % len(data)] = value

    async def feed() -> None:
        bench, collector = Bench(), Collector()
        await bench.send()
        for piece in cut_at(bytes(data), places):
            bench.connection.data_received(piece)
        bench.connection.connection_lost(None)
        try:
            response = await bench.respond()
            if pushed:
                response.attach(collector.on_data, collector.on_end)
                assert len(collector.ends) == 1
            else:
                await read_all(response)
        except (MalformedResponseError, ConnectionLostError, StreamError):
            pass
        assert bench.gone == 1

    _run(feed)


async def test_a_body_until_close_ends_well_with_the_connection() -> None:
    bench = Bench()
    response = await bench.respond(b"HTTP/1.0 200 OK\r\n\r\n", PARTS[0])
    bench.connection.data_received(PARTS[1])
    bench.connection.connection_lost(None)
    assert await read_all(response) == PARTS[0] + PARTS[1]
    assert (bench.freed, bench.gone) == (0, 1)


async def test_a_body_until_close_is_cut_by_a_reset() -> None:
    bench = Bench()
    response = await bench.respond(b"HTTP/1.1 200 OK\r\n\r\n", PARTS[0])
    bench.connection.connection_lost(ConnectionResetError("reset"))
    assert await response.read() == PARTS[0]
    with pytest.raises(StreamCutError, match="reset"):
        await response.read()


async def test_headers_are_lower_case_and_joined() -> None:
    bench = Bench()
    response = await bench.respond(with_length(b"", b"X-A: 1", b"X-Empty:", b"x-a:  two "))
    assert response.headers == {"content-length": "0", "x-a": "1, two", "x-empty": ""}
    assert await response.read() == b""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02", "HTTP"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", "101"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-encoding: br\r\n\r\nx", "coding 'br'"),
    ],
)
async def test_what_is_no_http_is_refused(answer: bytes, words: str) -> None:
    bench = Bench()
    with pytest.raises(MalformedResponseError, match=words):
        await bench.respond(answer)
    assert bench.transport.aborted
    assert bench.gone == 1


@pytest.mark.parametrize(
    "flood",
    [b"x-h: " + b"v" * 500 + b"\r\n", b"v" * 512, b"HTTP/1.1 100 C\r\nx: y\r\n\r\n"],
    ids=["headers", "one line", "interim responses"],
)
@pytest.mark.parametrize("piece_bytes", [100, 1 << 20])
async def test_a_head_has_a_limit(flood: bytes, piece_bytes: int) -> None:
    bench = Bench()
    start = b"" if flood.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nx-first: "
    data = start + flood * (2 * MAX_HEAD_BYTES // len(flood))
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    with pytest.raises(HeadTooLargeError):
        await bench.respond(*pieces)
    assert bench.transport.aborted


@pytest.mark.parametrize(
    "flood", [b"x" * 1000, b"0\r\n" + b"x-t: " + b"t" * 1000], ids=["chunk extension", "trailer"]
)
async def test_what_frames_a_body_has_a_limit(flood: bytes) -> None:
    bench = Bench()
    response = await bench.respond(CHUNKED)
    bench.connection.data_received(in_chunks(BODY, end=b"") + b"5;" * (flood[:1] == b"x"))
    for _ in range(2 * MAX_HEAD_BYTES // 1000):
        bench.connection.data_received(flood)
        flood = b"x" * 1000
    assert await response.read() == BODY
    with pytest.raises(MalformedStreamError, match="larger than"):
        await response.read()
    assert bench.transport.aborted


async def test_long_streams_of_small_reads_pass_no_limit() -> None:
    bench, collector = Bench(), Collector()
    response = await bench.respond(CHUNKED)
    response.attach(collector.on_data, collector.on_end)
    for _ in range(MAX_HEAD_BYTES // 2):
        bench.connection.data_received(b"1\r")
        bench.connection.data_received(b"\nx\r\n")
    bench.connection.data_received(b"0\r\n\r\n")
    assert len(collector.data) == MAX_HEAD_BYTES // 2
    assert collector.ends == [None]


async def test_a_broken_chunk_ends_the_body_after_what_came() -> None:
    bench, collector = Bench(), Collector()
    response = await bench.respond(CHUNKED)
    response.attach(collector.on_data, collector.on_end)
    bench.connection.data_received(in_chunks(BODY, end=b"zz\r\n"))
    assert collector.data == BODY
    [error] = collector.ends
    assert isinstance(error, MalformedStreamError)
    assert error.offset == len(BODY)
    assert bench.transport.aborted


@pytest.mark.parametrize(
    "excess",
    [
        b"junk",
        with_length(b"not yours"),
        b"HTTP/1.1 101 X\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["junk", "a second response", "an upgrade"],
)
async def test_bytes_after_the_end_are_dropped_with_the_connection(excess: bytes) -> None:
    bench = Bench()
    response = await bench.respond(with_length(BODY) + excess)
    assert await read_all(response) == BODY
    assert (bench.freed, bench.gone) == (0, 1)


async def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    bench = Bench()
    await read_all(await bench.respond(with_length(BODY)))
    bench.connection.data_received(with_length(b"", status=b"408 Request Timeout"))
    assert bench.connection.closed
    assert bench.gone == 1


@pytest.mark.parametrize(
    "answer",
    [
        with_length(BODY, b"Connection: close"),
        with_length(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_a_connection_that_will_close_is_not_used_again(answer: bytes) -> None:
    bench = Bench()
    assert await read_all(await bench.respond(answer)) == BODY
    assert (bench.freed, bench.gone) == (0, 1)
    assert bench.transport.aborted


async def test_responses_follow_each_other() -> None:
    bench = Bench()
    for number in range(3):
        body = b"%d" % number
        response = await bench.respond(with_length(body, b"keep-alive: timeout=5, max=9"))
        assert await read_all(response) == body
    assert bench.freed == 3
    assert bench.connection.keep_alive_s == 5.0


@pytest.mark.parametrize("some", [b"", b"HTT"])
async def test_a_connection_lost_before_the_response_tells_if_bytes_came(some: bytes) -> None:
    bench = Bench()
    await bench.send()
    if some:
        bench.connection.data_received(some)
    bench.connection.connection_lost(None)
    with pytest.raises(ConnectionLostError) as caught:
        await bench.respond()
    assert caught.value.received == bool(some)


async def test_a_connection_lost_before_anybody_waits_is_told() -> None:
    bench = Bench()
    answer = bench.connection.send(b"HEAD", b"")
    bench.connection.connection_lost(None)
    with pytest.raises(ConnectionLostError) as caught:
        await bench.connection.answered(answer)
    assert not caught.value.received


async def test_a_response_that_comes_before_anybody_waits_is_kept() -> None:
    bench = Bench()
    answer = bench.connection.send(b"HEAD", b"")
    bench.connection.data_received(with_length(b"one"))
    assert await read_all(await bench.connection.answered(answer)) == b"one"


async def test_cancelling_an_exchange_closes_its_socket() -> None:
    bench = Bench()
    task = asyncio.ensure_future(bench.connection.exchange(b"HEAD", b""))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.transport.aborted
    assert bench.gone == 1


async def test_the_answer_to_a_cancelled_request_reaches_nobody() -> None:
    """It may come in the same turn of the loop, before the cancelled task has run again."""
    bench = Bench()
    task = asyncio.ensure_future(bench.connection.exchange(b"HEAD", b""))
    await asyncio.sleep(0)
    task.cancel()
    bench.connection.data_received(with_length(b"one"))
    assert (bench.freed, bench.gone) == (0, 1)
    assert bench.transport.aborted
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancelled", [False, True])
async def test_the_next_exchange_may_begin_before_the_last_one_woke(cancelled: bool) -> None:
    """A short response frees its connection before its own task has run again."""
    bench = Bench()
    first = asyncio.ensure_future(bench.connection.exchange(b"", b""))
    await asyncio.sleep(0)
    bench.connection.data_received(with_length(b"one"))
    assert bench.freed == 1
    second = bench.connection.exchange(b"", b"")
    second.send(None)
    if cancelled:
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    else:
        assert await read_all(await first) == b"one"
    bench.connection.data_received(with_length(b"two"))
    with pytest.raises(StopIteration) as done:
        second.send(None)
    assert await read_all(done.value.value) == b"two"
    assert (bench.freed, bench.gone) == (2, 0)


async def test_whoever_waits_for_the_head_goes_on_inside_the_read_callback() -> None:
    """With what came beside it; and so do readers of what is pushed at once."""
    bench = Bench()
    seen: list[object] = []
    run_wakes = Wakes()
    reader = Waiter(asyncio.get_running_loop(), run_wakes)

    async def read() -> None:
        await reader
        seen.append("reader")

    async def open_stream() -> None:
        response = await bench.connection.exchange(b"HEAD", b"")
        assert isinstance(response.wakes, Wakes)
        run_wakes.held = True
        reader.set()
        run_wakes.pass_to(response.wakes)
        seen.append(await response.read())

    def receive() -> None:
        bench.connection.data_received(CHUNKED + in_chunks(b"one", end=b""))
        seen.append("callback over")

    tasks = [asyncio.ensure_future(read()), asyncio.ensure_future(open_stream())]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(receive)
    await asyncio.gather(*tasks)
    assert seen == [b"one", "reader", "callback over"]


# --- pressure ------------------------------------------------------------------------------


async def test_pushed_data_stops_on_false_and_goes_on_after_resume() -> None:
    bench, collector = Bench(), Collector(stop_after=1)
    response = await bench.respond(CHUNKED)
    response.attach(collector.on_data, collector.on_end)
    bench.connection.data_received(in_chunks(b"a", end=b""))
    assert bench.transport.paused
    collector.stop_after = None
    response.resume()
    assert not bench.transport.paused
    bench.connection.data_received(in_chunks(b"b"))
    assert collector.calls == [b"a", b"b"]
    assert collector.ends == [None]


async def test_the_end_waits_for_resume_too() -> None:
    bench, collector = Bench(), Collector(stop_after=1)
    response = await bench.respond(CHUNKED)
    response.attach(collector.on_data, collector.on_end)
    bench.connection.data_received(in_chunks(b"a"))
    assert bench.freed == 1, "the connection is free at once"
    assert not bench.transport.paused
    assert collector.ends == []
    response.resume()
    response.resume()
    assert collector.ends == [None]


async def test_attach_hands_over_what_came_before_and_may_stop_at_once() -> None:
    bench, collector = Bench(), Collector(stop_after=1)
    response = await bench.respond(CHUNKED, in_chunks(b"a", b"b", end=b""))
    bench.connection.data_received(in_chunks(b"c", end=b""))
    response.attach(collector.on_data, collector.on_end)
    assert collector.calls == [b"abc"]
    assert bench.transport.paused
    response.resume()
    bench.connection.connection_lost(None)
    assert isinstance(collector.ends[0], StreamCutError)


async def test_a_slow_reader_stops_the_socket() -> None:
    bench = Bench()
    response = await bench.respond(CHUNKED)
    piece, sent = b"x" * 50_000, 0
    while not bench.transport.paused:
        bench.connection.data_received(in_chunks(piece, end=b""))
        sent += len(piece)
    assert READ_AHEAD_BYTES < sent <= READ_AHEAD_BYTES + len(piece)
    assert len(await response.read()) == sent
    assert not bench.transport.paused
    bench.connection.data_received(b"0\r\n\r\n")
    assert await response.read() == b""


async def test_attach_after_a_stopped_read_ahead_reads_on() -> None:
    bench, collector = Bench(), Collector()
    big = b"x" * (READ_AHEAD_BYTES + 1)
    response = await bench.respond(CHUNKED, in_chunks(big, end=b""))
    assert bench.transport.paused
    response.attach(collector.on_data, collector.on_end)
    assert collector.data == big
    assert not bench.transport.paused


@pytest.mark.parametrize("pushed", [True, False])
async def test_a_small_bomb_comes_in_bounded_pieces(pushed: bool) -> None:
    size = 40 * PIECE_BYTES + 123
    packed = gzip.compress(bytes(size))
    bench, collector = Bench(), Collector(stop_after=1)
    response = await bench.respond(
        CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n", in_chunks(packed)
    )
    if pushed:
        response.attach(collector.on_data, collector.on_end)
        while not collector.ends:
            assert max(map(len, collector.calls)) <= READ_AHEAD_BYTES + PIECE_BYTES
            collector.stop_after = len(collector.calls) + 1
            response.resume()
        assert len(collector.data) == size
        assert collector.ends == [None]
    else:
        read_bytes = 0
        while data := await response.read():
            assert len(data) <= READ_AHEAD_BYTES + PIECE_BYTES
            read_bytes += len(data)
        assert read_bytes == size


async def test_a_compressed_body_lets_others_have_the_loop() -> None:
    size = 20 * PIECE_BYTES
    bench, collector = Bench(), Collector()
    most_bytes = turns = 0
    packed = in_chunks(gzip.compress(bytes(size)))
    response = await bench.respond(CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n", packed)
    response.attach(collector.on_data, collector.on_end)
    while not collector.ends:
        had_bytes = len(collector.data)
        await asyncio.sleep(0)
        most_bytes = max(most_bytes, len(collector.data) - had_bytes)
        turns += 1
    assert len(collector.data) == size
    assert collector.ends == [None]
    assert most_bytes <= PIECE_BYTES
    assert turns >= 15


async def test_a_stop_in_between_is_kept_to() -> None:
    size = 20 * PIECE_BYTES
    bench, collector = Bench(), Collector(stop_after=3)
    packed = in_chunks(gzip.compress(bytes(size)))
    response = await bench.respond(CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n", packed)
    response.attach(collector.on_data, collector.on_end)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(collector.calls) == 3
    collector.stop_after = 1000
    response.resume()
    while not collector.ends:
        await asyncio.sleep(0)
    assert len(collector.data) == size


async def test_closing_in_between_ends_it() -> None:
    bench, collector = Bench(), Collector()
    packed = in_chunks(gzip.compress(bytes(20 * PIECE_BYTES)))
    response = await bench.respond(CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n", packed)
    response.attach(collector.on_data, collector.on_end)
    await asyncio.sleep(0)
    response.close()
    count = len(collector.calls)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(collector.calls) == count
    assert not collector.ends


async def test_a_reader_that_raises_in_between_ends_it() -> None:
    bench, collector = Bench(), Collector()

    def refuse_third(data: bytes) -> bool:
        if len(collector.calls) == 2:
            raise ValueError("too much")
        return collector.on_data(data)

    packed = in_chunks(gzip.compress(bytes(20 * PIECE_BYTES)))
    response = await bench.respond(CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n", packed)
    response.attach(refuse_third, collector.on_end)
    for _ in range(50):
        await asyncio.sleep(0)
    (error,) = collector.ends
    assert isinstance(error, ValueError)


async def test_a_compressed_body_that_ends_early_is_cut() -> None:
    bench, collector = Bench(), Collector()
    response = await bench.respond(CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n")
    response.attach(collector.on_data, collector.on_end)
    engine = zlib.compressobj(wbits=31)
    packed = engine.compress(BODY) + engine.flush(zlib.Z_SYNC_FLUSH)
    bench.connection.data_received(in_chunks(packed))
    assert collector.data == BODY
    assert isinstance(collector.ends[0], StreamCutError)


async def test_damaged_compression_keeps_what_came_before() -> None:
    bench = Bench()
    engine = zlib.compressobj(wbits=31)
    packed = engine.compress(BODY) + engine.flush(zlib.Z_SYNC_FLUSH)
    response = await bench.respond(
        CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n", in_chunks(packed, end=b"")
    )
    bench.connection.data_received(in_chunks(b"\xff" * 40, end=b""))
    assert await response.read() == BODY
    with pytest.raises(MalformedStreamError, match="damaged"):
        await response.read()
    assert bench.transport.aborted


async def test_an_empty_compressed_body_is_complete() -> None:
    bench = Bench()
    response = await bench.respond(with_length(b"", b"content-encoding: gzip"))
    assert await response.read() == b""


# --- leaving -------------------------------------------------------------------------------


async def test_closing_early_aborts_the_socket_once() -> None:
    bench, collector = Bench(), Collector()
    response = await bench.respond(CHUNKED)
    response.attach(collector.on_data, collector.on_end)
    await response.aclose()
    await response.aclose()
    assert bench.transport.aborted
    assert bench.gone == 1
    bench.connection.data_received(in_chunks(b"late"))
    bench.connection.connection_lost(None)
    assert (collector.calls, collector.ends) == ([], [])


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("coding", [b"", b"content-encoding: gzip\r\n"])
async def test_closing_from_within_on_data_is_obeyed(more: bool, coding: bytes) -> None:
    bench, seen = Bench(), []
    response = await bench.respond(CHUNKED[:-2] + coding + b"\r\n")

    def on_data(data: bytes) -> bool:
        seen.append(data)
        response.close()
        return more

    response.attach(on_data, lambda error: seen.append(b"end"))
    body = gzip.compress(BODY) if coding else BODY
    bench.connection.data_received(in_chunks(body))
    bench.connection.data_received(in_chunks(body))
    assert seen == [BODY]
    assert (bench.freed, bench.gone) == (0, 1)


async def test_closing_wakes_who_reads() -> None:
    bench = Bench()
    response = await bench.respond(CHUNKED)
    reading = asyncio.ensure_future(response.read())
    await asyncio.sleep(0)
    with pytest.raises(UsageError):
        await response.read()
    with pytest.raises(UsageError):
        response.attach(lambda data: True, lambda error: None)
    await response.aclose()
    with pytest.raises(StreamCutError, match="closed"):
        await reading


async def test_cancelling_a_read_loses_nothing() -> None:
    bench = Bench()
    response = await bench.respond(CHUNKED)
    reading = asyncio.ensure_future(response.read())
    await asyncio.sleep(0)
    bench.connection.data_received(in_chunks(b"a", end=b""))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await response.read() == b"a"


async def test_an_error_of_on_data_ends_the_response_with_it() -> None:
    bench = Bench()
    ends: list[BaseException | None] = []
    response = await bench.respond(CHUNKED)

    def on_data(data: bytes) -> bool:
        raise ZeroDivisionError("mine")

    response.attach(on_data, ends.append)
    bench.connection.data_received(in_chunks(b"a"))
    assert [type(error) for error in ends] == [ZeroDivisionError]
    assert bench.transport.aborted


async def test_a_client_that_closes_ends_its_responses() -> None:
    bench = Bench()
    response = await bench.respond(CHUNKED)
    bench.connection.lose("the client was closed")
    with pytest.raises(StreamCutError, match="the client was closed"):
        await response.read()
