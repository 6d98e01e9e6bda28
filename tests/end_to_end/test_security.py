"""What keeps keys and memory safe, over real sockets, without an SDK and with one."""

import asyncio
import gzip
import inspect
import json
import pickle
import ssl
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.stages.http.servers import Server, always, read_request
from tests.stages.http.wires import CHUNKED, in_chunks
from tokenline import Limits, RunOptions, Timeouts
from tokenline.errors import (
    ConnectError,
    LimitExceededError,
    MalformedStreamError,
    NotAStreamError,
    ServerError,
    StreamError,
    StreamTimeoutError,
)
from tokenline.source import Request
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.providers.registry import Access
from tokenline_stages.simulator import Plan, Simulator, ToolCall
from tokenline_stages.simulator.command import serve
from tokenline_stages.simulator.faults import OversizedEvent, Redirect
from tokenline_stages.simulator.tls import server_context, write_self_signed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

KEY = "swordfish-0123456789"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
MIB = 1024 * 1024
ways = pytest.mark.parametrize("direct", [True, False], ids=["direct", "sdk"])
providers = pytest.mark.parametrize("provider", ["openai", "anthropic"])


def to(url: str, direct: bool, provider: str = "openai", **options: Any) -> Connection:
    base_url = f"{url.rstrip('/')}/v1" if provider == "openai" else url.rstrip("/")
    return connect(
        provider,
        api_key=KEY,
        base_url=base_url,
        direct=direct,
        telemetry=NoTelemetry(),
        options=RunOptions(**options),
    )


async def ask(connection: Connection) -> Any:
    """A run's result, or the error it ends with."""
    payload = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    async with connection, connection.run(payload) as run:
        try:
            return await run.result()
        except StreamError as error:
            return error


# --- TLS -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("cryptography")
    return write_self_signed(tmp_path_factory.mktemp("tls"))


@ways
@providers
async def test_a_certificate_that_nobody_signed_is_refused(
    provider: str, direct: bool, certificate: tuple[Path, Path]
) -> None:
    async with Simulator(Plan(tokens=1), tls=server_context(*certificate)) as simulator:
        error = await ask(to(simulator.url, direct, provider))
        assert len(simulator.ledger) == 0, "nothing was sent, no key least of all"
    assert type(error) is ConnectError
    assert isinstance(error.__cause__, Exception)
    assert not error.retryable
    assert "is not trusted" in str(error)


@ways
@providers
async def test_an_authority_of_ones_own_is_trusted_when_named(
    provider: str,
    direct: bool,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    plan = Plan(ttft_s=0, inter_token_s=0, text="well met")
    async with Simulator(plan, tls=server_context(*certificate)) as simulator:
        result = await ask(to(simulator.url, direct, provider))
    assert result.text == "well met"


@ways
async def test_a_certificate_for_another_name_is_refused(
    direct: bool, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = server_context(*certificate)
    async with Simulator(Plan(), host="127.0.0.2", tls=context) as simulator:
        error = await ask(to(simulator.url.replace("127.0.0.1", "127.0.0.2"), direct))
    assert type(error) is ConnectError
    assert len(simulator.ledger) == 0


# --- redirects -----------------------------------------------------------------------------


@ways
@providers
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, provider: str, direct: bool) -> None:
    async with Simulator(Plan(tokens=1)) as other:
        away = Redirect(location=f"{other.url}/v1/chat/completions", status=status)
        async with Simulator(Plan(faults=(away,))) as simulator:
            error = await ask(to(simulator.url, direct, provider))
        assert len(other.ledger) == 0
    assert type(error) is NotAStreamError
    assert other.url in str(error)
    assert KEY not in str(error) + repr(error)


# --- what a server may send ----------------------------------------------------------------

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


def endless(head: bytes, piece: bytes) -> Answer:
    """Says `head`, then `piece` again and again for as long as somebody listens."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


def bomb(coding: str, size_mib: int) -> bytes:
    """One SSE line of that size, compressed a thousandfold."""
    bits = 31 if coding == "gzip" else 15
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    piece = b"x" * MIB
    parts = [packer.compress(b"data: "), *(packer.compress(piece) for _ in range(size_mib))]
    return b"".join([*parts, packer.flush()])


def packed(coding: bytes, body: bytes, status: bytes = b"200 OK") -> Answer:
    head = HEAD.replace(b"200 OK", status)
    length = str(len(body)).encode()
    return always(
        head
        + b"content-encoding: "
        + coding
        + b"\r\ncontent-length: "
        + length
        + b"\r\n\r\n"
        + body
    )


CHUNKS = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LINE_LIMIT = {"max_line_bytes": 2 * MIB, "max_event_bytes": 2 * MIB}
TOO_MUCH: dict[str, tuple[Answer, type[StreamError], type[StreamError], str | None]] = {
    # what comes: (the answer, the error without an SDK, the error with one, its limit)
    "a header line": (
        endless(HEAD + b"x-a: ", b"a" * 65536),
        LimitExceededError,
        LimitExceededError,
        "MAX_HEAD_BYTES",
    ),
    "headers": (
        endless(HEAD, b"x-a: b\r\n" * 1000),
        LimitExceededError,
        LimitExceededError,
        "MAX_HEAD_BYTES",
    ),
    "a status line": (
        endless(b"HTTP/1.1 200 ", b"a" * 65536),
        LimitExceededError,
        LimitExceededError,
        "MAX_HEAD_BYTES",
    ),
    "interim responses": (
        endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        LimitExceededError,
        StreamTimeoutError,
        None,
    ),
    "a chunk's size line": (
        endless(CHUNKS + b"5;x=", b"a" * 65536),
        MalformedStreamError,
        StreamTimeoutError,
        None,
    ),
    "trailers": (
        endless(CHUNKS + b"0\r\n", b"x-a: b\r\n" * 1000),
        MalformedStreamError,
        StreamError,
        None,
    ),
    "a line": (
        endless(HEAD + b"\r\ndata: ", b"a" * 65536),
        LimitExceededError,
        LimitExceededError,
        "max_line_bytes",
    ),
    "an event": (
        endless(HEAD + b"\r\n", b"data: " + b"a" * 65536 + b"\n"),
        LimitExceededError,
        LimitExceededError,
        "max_event_bytes",
    ),
    "a body": (
        endless(HEAD + b"\r\n", b": " + b"a" * 65536 + b"\n\n"),
        LimitExceededError,
        LimitExceededError,
        "max_message_bytes",
    ),
    "gzip": (
        packed(b"gzip", bomb("gzip", 300)),
        LimitExceededError,
        LimitExceededError,
        "max_line_bytes",
    ),
    "deflate": (
        packed(b"deflate", bomb("deflate", 300)),
        LimitExceededError,
        LimitExceededError,
        "max_line_bytes",
    ),
    "gzip in gzip": (
        packed(b"gzip, gzip", gzip.compress(bomb("gzip", 300))),
        NotAStreamError,
        LimitExceededError,
        None,
    ),
    "an error's body": (
        endless(b"HTTP/1.1 500 Oh\r\n\r\n", b"a" * 65536),
        ServerError,
        ServerError,
        None,
    ),
    "an error's gzip": (
        packed(b"gzip", bomb("gzip", 300), b"500 Oh"),
        ServerError,
        ServerError,
        None,
    ),
    "a page": (
        endless(HEAD.replace(b"text/event-stream", b"text/html") + b"\r\n", b"a" * 65536),
        NotAStreamError,
        NotAStreamError,
        None,
    ),
}


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@ways
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("what", list(TOO_MUCH))
async def test_endless_input_ends_in_a_typed_error_and_little_memory(
    what: str, direct: bool
) -> None:
    answer, without_sdk, with_sdk, limit = TOO_MUCH[what]
    limits = Limits(max_message_bytes=16 * MIB, **LINE_LIMIT)
    async with Server(answer) as server:
        connection = to(server.url, direct, limits=limits, timeouts=Timeouts(total_s=1.0))
        await connection.pipeline().source.prepare()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        error = await ask(connection)
        grown = tracemalloc.get_traced_memory()[1] - before
    assert isinstance(error, without_sdk if direct else with_sdk), error
    if limit is not None:
        assert getattr(error, "limit", None) == limit
    assert grown < 24 * MIB
    assert len(str(error)) < 1200


@ways
async def test_events_that_are_too_large_too_deep_or_too_many(direct: bool) -> None:
    deep = b'data: {"choices": ' + b"[" * 300 + b"]" * 300 + b"}\n\n"
    async with Server(always(CHUNKED + in_chunks(deep))) as server:
        error = await ask(to(server.url, direct))
    assert error.limit == "max_json_depth"
    big = Plan(ttft_s=0, inter_token_s=0, tokens=9, faults=(OversizedEvent(after_tokens=1),))
    async with Simulator(big) as simulator:
        limits = Limits(max_line_bytes=MIB, max_event_bytes=MIB)
        error = await ask(to(simulator.url, direct, limits=limits))
    assert error.limit in ("max_line_bytes", "max_event_bytes")
    assert error.partial.text


@ways
@providers
@pytest.mark.parametrize(
    ("plan", "limits", "limit"),
    [
        (Plan(tokens=0, tool_calls=40), Limits(max_parts=20), "max_parts"),
        (
            Plan(
                tokens=0,
                tool_calls=(ToolCall(arguments=json.dumps({"a": "x" * 9000}), fragments=9),),
            ),
            Limits(max_arguments_bytes=5000),
            "max_arguments_bytes",
        ),
    ],
    ids=["calls", "arguments"],
)
async def test_tool_calls_have_limits(
    plan: Plan, limits: Limits, limit: str, provider: str, direct: bool
) -> None:
    fast = plan.with_changes({"ttft_s": 0, "inter_token_s": 0})
    async with Simulator(fast) as simulator:
        error = await ask(to(simulator.url, direct, provider, limits=limits))
    assert type(error) is LimitExceededError
    assert error.limit == limit
    assert error.partial is not None


# --- secrets -------------------------------------------------------------------------------
# That keys show up in no log, span, record or error: `tests/stages/traces/test_secrets.py`.
# That cassettes have none: `tests/stages/simulator/test_recording.py`.


@ways
@providers
async def test_nothing_shows_a_key_when_printed(provider: str, direct: bool) -> None:
    access = Access(api_key=KEY, client_options={"default_headers": {"x-key": KEY}})
    async with Simulator(Plan(ttft_s=0, inter_token_s=0, tokens=2), api_key="other") as simulator:
        connection = to(simulator.url, direct, provider)
        error = await ask(connection)
    pipeline = connection.pipeline()
    headers = {"authorization": f"Bearer {KEY}"}
    run, request = pipeline.run({"model": "m"}, headers=headers), Request({}, headers)
    shown = [access, connection, pipeline, pipeline.source, run, request, error, error.partial]
    shown += [pipeline.describe(), vars(error), pickle.loads(pickle.dumps(error)).args]
    assert not [thing for thing in shown if KEY in f"{thing!r} {thing}"]
    assert error.status == 401


# --- what we offer -------------------------------------------------------------------------


def test_the_simulator_listens_on_loopback_unless_told_otherwise() -> None:
    (host,) = [option for option in serve.params if option.name == "host"]
    assert host.default == "127.0.0.1"
    assert inspect.signature(Simulator).parameters["host"].default == "127.0.0.1"
    assert "127.0.0.1" in CliRunner().invoke(serve, ["--help"]).output


async def test_nobody_else_reaches_the_simulator() -> None:
    async with Simulator() as simulator:
        port = int(simulator.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        with pytest.raises(OSError, match=r"127\.0\.0\.2"):
            await asyncio.open_connection("127.0.0.2", port)
        assert not await reader.read()


def test_no_context_of_ours_skips_verification() -> None:
    from tokenline_stages.http.tls import default_context

    context = default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
