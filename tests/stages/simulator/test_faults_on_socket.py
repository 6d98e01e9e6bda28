"""Every fault, seen from a bare socket."""

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer

from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import (
    Cut,
    Delay,
    DelayHeaders,
    DuplicateEvent,
    ErrorEvent,
    Fault,
    Gzip,
    HttpError,
    HugeHeaders,
    MalformedEvent,
    OversizedEvent,
    Redirect,
    ReorderedEvents,
    Reset,
    Silence,
    SlowLoris,
    WrongContentType,
    WrongLength,
)

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[Any]]


def plan(*faults: Fault, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "ttft_s": 0.0,
        "inter_token_s": 0.0,
        "tokens": 6,
        "text": "a b c d e f",
    } | changes
    return Plan(faults=faults, **fields)


async def test_no_fault(fetch: Fetch) -> None:
    answer = await fetch(plan())
    assert answer.status == 200
    assert answer.complete
    assert answer.text == "a b c d e f"
    assert answer.chunks[0].startswith(b'data: {"id":"chatcmpl-')
    assert answer.chunks[-2] == b"data: [DONE]\n\n"


async def test_delay_headers(fetch: Fetch) -> None:
    answer = await fetch(plan(DelayHeaders(delay_s=0.05)))
    assert answer.read_s[0] - answer.start_s >= 0.05
    assert answer.complete


async def test_delay_before_first_byte(fetch: Fetch) -> None:
    answer = await fetch(plan(Delay(delay_s=0.05, at_byte=0)))
    assert answer.reads[0].endswith(b"\r\n\r\n"), "the headers do not wait"
    assert answer.read_s[1] - answer.start_s >= 0.05
    assert answer.text == "a b c d e f"


async def test_delay_after_tokens(fetch: Fetch) -> None:
    async with Simulator(plan(Delay(delay_s=0.05, after_tokens=3))) as simulator:
        answer = await fetch(simulator)
        entry = simulator.ledger.last
    due_ms = [(planned - entry.started_ns) / 1e6 for planned in entry.planned_ns]
    assert due_ms == [0] * 4 + [50] * (len(due_ms) - 4)
    assert answer.read_s[-1] - answer.start_s >= 0.05
    late = [
        data
        for data, at in zip(answer.reads, answer.read_s, strict=True)
        if at > answer.start_s + 0.05
    ]
    assert b'" c"' not in b"".join(late)
    assert b'" d"' in b"".join(late)
    assert answer.complete


async def test_cut_after_tokens(fetch: Fetch) -> None:
    async with Simulator(plan(Cut(after_tokens=2))) as simulator:
        answer = await fetch(simulator)
        entry = simulator.ledger.last
    assert answer.ended
    assert not answer.complete
    assert answer.text == entry.text == "a b"
    assert entry.outcome == "cut"


@pytest.mark.parametrize("position", [0, 1, 200, 333])
async def test_cut_at_byte(fetch: Fetch, position: int) -> None:
    whole = await fetch(plan(message_id="x"))
    answer = await fetch(plan(Cut(at_byte=position), message_id="x"))
    assert answer.ended
    assert not answer.complete
    assert answer.body == whole.body[:position]


async def test_reset(fetch: Fetch) -> None:
    async with Simulator(plan(Reset(after_tokens=2), inter_token_s=0.01)) as simulator:
        answer = await fetch(simulator)
        assert simulator.ledger.last.outcome == "reset"
    assert isinstance(answer.error, ConnectionResetError)
    assert answer.text == "a b"


async def test_silence(fetch: Fetch) -> None:
    async with Simulator(plan(Silence(after_tokens=1))) as simulator:
        answer = await fetch(simulator, until_s=0.1)
        assert isinstance(answer.error, TimeoutError)
        assert answer.text == "a"
        await asyncio.sleep(0.01)
        assert simulator.ledger.last.outcome == "client_gone"


async def test_silence_ends(fetch: Fetch) -> None:
    answer = await fetch(plan(Silence(after_tokens=1, hold_s=0.02)))
    assert answer.ended
    assert not answer.complete


async def test_slow_loris(fetch: Fetch) -> None:
    slow = SlowLoris(after_tokens=6, interval_s=0.0, bytes_per_write=3)
    answer = await fetch(plan(slow))
    assert answer.text == "a b c d e f"
    assert answer.complete
    assert {len(chunk) for chunk in answer.chunks[-10:-2]} == {3}


async def test_malformed_event(fetch: Fetch) -> None:
    answer = await fetch(plan(MalformedEvent(after_tokens=1)))
    assert answer.complete
    broken = answer.chunks[2]
    assert broken.startswith(b"data: {")
    assert broken.endswith(b"\n\n")
    assert not broken.rstrip().endswith(b"}")


async def test_oversized_event(fetch: Fetch) -> None:
    answer = await fetch(plan(OversizedEvent(after_tokens=1, size_bytes=300_000)))
    assert len(answer.chunks[2]) > 300_000
    assert answer.text == "a b c d e f"


async def test_duplicate_event(fetch: Fetch) -> None:
    answer = await fetch(plan(DuplicateEvent(after_tokens=1, copies=2)))
    assert answer.text == "a b b b c d e f"


async def test_reordered_events(fetch: Fetch) -> None:
    answer = await fetch(plan(ReorderedEvents(after_tokens=1)))
    assert answer.text == "a c b d e f"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", b'data: {"error":{"message":"Overloaded","type":"server_error"'),
        ("/v1/responses", b'event: error\ndata: {"type":"error","code":"server_error"'),
        ("/v1/messages", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"'),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", b'data: {"error":{"code":503,'),
        ("/api/chat", b'{"error":"Overloaded"}\n'),
        ("/model/m/converse-stream", b":exception-type\x07\x00\x1bserviceUnavailableException"),
    ],
)
async def test_error_event(fetch: Fetch, path: str, expected: bytes) -> None:
    answer = await fetch(plan(ErrorEvent(after_tokens=2)), path)
    assert answer.status == 200
    assert answer.complete
    assert expected in answer.chunks[-2]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", b'"code":"rate_limit_exceeded"'),
        ("/v1/messages", b'"type":"rate_limit_error"'),
        ("/v1beta/models/g:streamGenerateContent", b'"status":"RESOURCE_EXHAUSTED"'),
        ("/api/generate", b'{"error":"slow"}'),
        ("/model/m/invoke-with-response-stream", b'"__type":"ThrottlingException"'),
    ],
)
async def test_http_error(fetch: Fetch, path: str, expected: bytes) -> None:
    answer = await fetch(plan(HttpError(status=429, message="slow", retry_after="7")), path)
    assert answer.status == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"].startswith("application/json")
    assert expected in answer.payload


@pytest.mark.parametrize(
    ("body", "expected"),
    [("empty", b""), ("text", b"no"), ("html", b"<html><body><h1>502 Bad Gateway</h1>")],
)
async def test_http_error_bodies(fetch: Fetch, body: str, expected: bytes) -> None:
    answer = await fetch(plan(HttpError(status=502, body=body, message="no")))
    assert answer.status == 502
    assert answer.payload.startswith(expected)


async def test_redirect(fetch: Fetch) -> None:
    answer = await fetch(plan(Redirect(location="http://127.0.0.1:9/x")))
    assert answer.status == 307
    assert answer.headers["location"] == "http://127.0.0.1:9/x"


async def test_wrong_content_type(fetch: Fetch) -> None:
    answer = await fetch(plan(WrongContentType()))
    assert answer.headers["content-type"] == "text/html"
    assert answer.text == "a b c d e f"


@pytest.mark.parametrize("delta", [25, -25])
async def test_wrong_length(fetch: Fetch, delta: int) -> None:
    answer = await fetch(plan(WrongLength(delta_bytes=delta)), headers={"X-A": "b"})
    assert answer.ended
    assert int(answer.headers["content-length"]) == len(answer.payload) + delta
    assert answer.payload.endswith(b"data: [DONE]\n\n")


async def test_gzip(fetch: Fetch) -> None:
    plain = await fetch(plan(message_id="x"))
    answer = await fetch(plan(Gzip(), message_id="x"))
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == plain.body
    first = zlib.decompressobj(wbits=31).decompress(answer.chunks[0])
    assert first == plain.chunks[0], "a write can be read before the next one comes"


async def test_gzip_undeclared(fetch: Fetch) -> None:
    answer = await fetch(plan(Gzip(declared=False)))
    assert "content-encoding" not in answer.headers
    assert answer.body.startswith(b"\x1f\x8b")


async def test_huge_headers(fetch: Fetch) -> None:
    answer = await fetch(plan(HugeHeaders(size_bytes=40_000)))
    assert len(answer.raw.partition(b"\r\n\r\n")[0]) > 40_000
    assert answer.text == "a b c d e f"


async def test_split_bytes_keeps_the_body(fetch: Fetch) -> None:
    whole = await fetch(plan(message_id="x"))
    one = await fetch(plan(message_id="x", split_bytes=1))
    some = await fetch(plan(message_id="x", split_bytes=(1, 40), seed=4))
    assert one.body == some.body == whole.body
    assert {len(chunk) for chunk in one.chunks[:-1]} == {1}
    assert len({len(chunk) for chunk in some.chunks[:-1]}) > 5


async def test_the_id_is_whole_however_the_body_is_cut(fetch: Fetch) -> None:
    answer = await fetch(plan(split_bytes=7))
    ids = {event["id"] for event in answer.events}
    assert len(ids) == 1
    assert "tokenline" not in ids.pop()


async def test_faults_without_a_place_repeat_with_the_seed(fetch: Fetch) -> None:
    answers = [await fetch(plan(Cut(), message_id="x", seed=5)) for _ in range(2)]
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize(
    "path",
    ["/api/chat", "/v1beta/models/g:streamGenerateContent", "/model/m/converse-stream"],
)
async def test_other_framings_are_spoiled_too(fetch: Fetch, path: str) -> None:
    malformed = plan(MalformedEvent(after_tokens=1), message_id="x")
    chunks = (await fetch(plan(message_id="x"), path)).chunks
    spoiled = (await fetch(malformed, path)).chunks
    changed = [n for n, (a, b) in enumerate(zip(chunks, spoiled, strict=True)) if a != b]
    assert len(changed) == 1
    if path.endswith("converse-stream"):
        buffer = EventStreamBuffer()
        buffer.add_data(spoiled[changed[0]])
        with pytest.raises(ChecksumMismatch):
            list(buffer)
    else:
        assert spoiled[changed[0]].endswith(b"\n")
        with pytest.raises(json.JSONDecodeError):
            json.loads(spoiled[changed[0]].lstrip(b",["))
    oversized = await fetch(plan(OversizedEvent(at_event=2, size_bytes=70_000)), path)
    assert len(oversized.chunks[2]) > 70_000


async def test_a_client_that_reads_slowly_loses_nothing() -> None:
    burst = plan(text=None, tokens=20_000, events_per_write=64)
    async with Simulator(burst) as simulator:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", int(simulator.url.rpartition(":")[2])))
        body = b'{"stream":true}'
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        await loop.sock_sendall(slow, head.encode() + body)
        while not len(simulator.ledger):
            await asyncio.sleep(0.01)
        entry = simulator.ledger.last
        before = -1
        while len(entry.sent_ns) != before:
            before = len(entry.sent_ns)
            await asyncio.sleep(0.05)
        waiting = entry.outcome
        received = 0
        last = b""
        while not last.endswith(b"0\r\n\r\n"):
            last = last[-5:] + await loop.sock_recv(slow, 1 << 20)
            received += len(last)
        slow.close()
    assert waiting == "open", "the server waited for its client"
    assert entry.outcome == "complete"
    assert entry.events_sent == 20_003
    assert received > sum(entry.progress.body_bytes)
