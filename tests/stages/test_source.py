"""The source over an SDK's client, against servers that misbehave and odd environments."""

import asyncio
import base64
import gzip
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tokenline.errors import (
    BadRequestError,
    ConfigError,
    ConnectError,
    ConnectTimeoutError,
    HeadersTimeoutError,
    LimitExceededError,
    MalformedStreamError,
    NotAStreamError,
    ServerError,
    StreamCutError,
    StreamError,
)
from tokenline.source import Request
from tokenline_stages import connect
from tokenline_stages.http.failures import client_failure
from tokenline_stages.http.openai_sdk import openai_source
from tokenline_stages.http.openai_server import OpenAIServer
from tokenline_stages.http.proxies import find_proxy
from tokenline_stages.http.tls import _make
from tokenline_stages.providers.registry import Access, provider
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import WrongLength
from tokenline_stages.source import SdkSource

from .http.servers import Server, always, read_request
from .http.wires import CHUNKED, in_chunks, with_length

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr("tokenline_stages.http.answers.ANSWER_TIMEOUT_S", 0.2)


def chat(base_url: str) -> SdkSource:
    return openai_source(OpenAIServer("acme", "acme"), Access(KEY, base_url), "openai.chat")


async def read(
    base_url: str, payload: Mapping[str, Any] = CHAT, **given: Any
) -> tuple[bytes, StreamError | None]:
    """The body of a response, and the error that ended it."""
    source = chat(base_url)
    await source.prepare()
    body = b""
    try:
        stream = await source.open(Request(payload, **given))
        try:
            while data := await stream.read():
                body += data
        except StreamError as error:
            return body, error
        finally:
            await stream.aclose()
        return body, None
    finally:
        await source.aclose()


async def fail(answer: Any, **given: Any) -> Any:
    """The error of a request that such a server answers."""
    async with Server(answer) as server:
        with pytest.raises(StreamError) as caught:
            await read(server.url, **given)
    error = caught.value
    assert error.provider == "acme"
    assert "\n" not in str(error)
    assert "cannot reach" not in str(error)
    return error


def then(response: bytes, *, stays: bool = False) -> Any:
    """Answers one request with these bytes, then closes the connection or stays silent."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(response)
        await writer.drain()
        if stays:
            await reader.read()

    return answer


# --- environment ---------------------------------------------------------------------------


async def test_netrc_is_no_business_of_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with Streaming() as (server, heads):
        assert await read(server.url) == (b"data: x\n\n", None)
    assert f"authorization: bearer {KEY}" in heads[0].lower()


class Streaming:
    """A server that streams one event, and the heads of the requests that it got."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.server = Server(self._answer)

    async def __aenter__(self) -> tuple[Server, list[str]]:
        return await self.server.__aenter__(), self.heads

    async def __aexit__(self, *exc: object) -> None:
        await self.server.__aexit__(*exc)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            head, _ = await read_request(reader)
            self.heads.append(head)
            writer.write(CHUNKED + in_chunks(b"data: x\n\n"))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_used(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Streaming() as (proxy, heads):
        monkeypatch.setenv(variable, proxy.url.replace("http://", "http://me:pass@"))
        assert await read("http://api.test/v1") == (b"data: x\n\n", None)
        monkeypatch.setenv("NO_PROXY", "api.test")
        with pytest.raises(ConnectError):
            await read("http://api.test/v1")
    [head] = heads
    login = base64.b64encode(b"me:pass").decode()
    assert head.startswith("POST http://api.test/v1/chat/completions HTTP/1.1")
    assert f"proxy-authorization: basic {login}".lower() in head.lower()
    assert f"authorization: bearer {KEY}" in head.lower()


async def test_a_proxy_of_another_kind_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:pass@127.0.0.1:1")
    with pytest.raises(ConfigError, match="socks5 proxy") as caught:
        await read("http://api.test/v1")
    assert "pass@" not in str(caught.value)


def test_proxies_may_lack_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    assert find_proxy("https://api.test/") == "http://proxy.test:3128"


def test_imports_of_an_sdk_do_not_stop_the_loop() -> None:
    code = """
import asyncio, sys, threading
places = {}
class Note:
    def find_spec(self, name, path=None, target=None):
        places.setdefault(name, threading.current_thread() is threading.main_thread())
from tokenline_stages.connection import connect
payload = {"model": "m", "messages": []}
source = connect("openai", api_key="k", direct=False).pipeline(payload).source
heavy = ("openai", "httpx2", "aiohttp")
assert not set(heavy) & set(sys.modules)
sys.meta_path.insert(0, Note())
async def main():
    await source.prepare()
    await source.aclose()
asyncio.run(main())
assert [places[name] for name in heavy] == [False] * 3, places
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_imports_for_signing_do_not_stop_the_loop() -> None:
    code = """
import asyncio, sys, threading
late = []
class Note:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("boto") and threading.current_thread() is threading.main_thread():
            late.append(name)
from tokenline.errors import ConnectError
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages.connection import connect
AWS = {"aws_region": "r", "aws_access_key": "k", "aws_secret_key": "s"}
sys.meta_path.insert(0, Note())
async def main():
    url = "http://127.0.0.1:9"
    connection = connect("bedrock", client_options=AWS, base_url=url, telemetry=NoTelemetry())
    async with connection, connection.run({"modelId": "m", "messages": []}) as run:
        try:
            await run.result()
        except ConnectError:
            return
asyncio.run(main())
assert late == [], late
assert "botocore.auth" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-800:]


@pytest.mark.parametrize("make", ["direct", "sdk"])
async def test_set_up_is_no_time_of_the_provider(
    make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[bool] = []
    load = ssl.create_default_context

    def watched() -> ssl.SSLContext:
        beside.append(threading.current_thread() is not threading.main_thread())
        return load()

    monkeypatch.setattr("tokenline_stages.http.tls.ssl.create_default_context", watched)
    _make.cache_clear()
    access = Access(KEY, "https://127.0.0.1:9/v1", direct=make == "direct")
    source = provider("openai").api_for(CHAT).source(access)
    await source.prepare()
    assert beside == [True]
    with pytest.raises(ConnectError):
        await source.open(Request(CHAT))
    assert len(beside) == 1
    await source.aclose()


# --- answers -------------------------------------------------------------------------------


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ERROR = b"HTTP/1.1 500 Oops\r\ncontent-type: text/plain\r\n"


@pytest.mark.parametrize("stays", [False, True])
async def test_damaged_framing_ends_the_stream(stays: bool) -> None:
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(head + b"5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"zz\r\nabc\r\n")
        await writer.drain()
        if stays:
            await reader.read()

    async with Server(answer) as server, asyncio.timeout(5):
        body, error = await read(server.url)
    assert body == b"hello"
    assert isinstance(error, MalformedStreamError)
    assert error.offset == 5


async def test_damaged_compression_ends_the_stream() -> None:
    answer = then(HEAD + b"content-encoding: gzip\r\ncontent-length: 7\r\n\r\nnotgzip")
    async with Server(answer) as server:
        body, error = await read(server.url)
    assert body == b""
    assert isinstance(error, MalformedStreamError)


async def test_a_cut_stream_keeps_what_came() -> None:
    async with Server(then(HEAD + b"content-length: 99\r\n\r\nhello")) as server:
        body, error = await read(server.url)
    assert body == b"hello"
    assert type(error) is StreamCutError


async def test_a_body_beyond_its_length_keeps_what_came() -> None:
    """Head, body and more in one read, which aiohttp's parser refuses as a whole."""
    async with Server(then(HEAD + b"content-length: 5\r\n\r\nhello, world")) as server:
        body, error = await read(server.url)
    assert (body, error) == (b"hello", None)


async def test_framing_that_is_damaged_at_once_keeps_what_came() -> None:
    bad = HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"
    async with Server(then(bad)) as server, asyncio.timeout(5):
        body, error = await read(server.url)
    assert body == b"hello"
    assert isinstance(error, MalformedStreamError)


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
async def test_heads_may_come_in_pieces(size: int) -> None:
    response = HEAD + b"content-length: 5\r\n\r\nhello, world"

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        for start in range(0, len(response), size):
            writer.write(response[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)  # the client's turn

    async with Server(answer) as server:
        body, error = await read(server.url)
    assert (body, error) == (b"hello", None)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_a_stream_beyond_its_length(name: str, direct: bool) -> None:
    plan = Plan(
        ttft_s=0.0,
        inter_token_s=0.0,
        tokens=20,
        events_per_write=1000,
        faults=(WrongLength(delta_bytes=-600),),
    )
    payload = {**CHAT, "max_tokens": 9}
    async with Simulator(plan) as simulator:
        url = simulator.url + ("/v1" if name == "openai" else "")
        connection = connect(name, api_key=KEY, base_url=url, direct=direct)
        async with connection, connection.run(payload) as run:
            with pytest.raises(StreamCutError) as raised:
                await run.result()
        sent = simulator.ledger.last.text
    assert raised.value.partial is not None
    assert raised.value.partial.text
    assert sent.startswith(raised.value.partial.text)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (then(JSON + b'content-length: 99\r\n\r\n{"a":'), '{"a":'),
        (then(JSON + b'transfer-encoding: chunked\r\n\r\n50\r\n{"a":'), '{"a":'),
        (then(JSON + b'\r\n{"a":', stays=True), '{"a":'),
        (then(JSON + b"content-encoding: gzip\r\n\r\nnotgzip"), "application/json"),
        (then(JSON.replace(b"application/json", b"text/html") + b"\r\n<html>"), "<html>"),
    ],
    ids=["cut", "cut chunk", "silent", "bad gzip", "html"],
)
async def test_answers_that_are_no_stream_need_no_end(answer: Any, words: str) -> None:
    error = await fail(answer)
    assert type(error) is NotAStreamError
    assert words in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        then(ERROR + b"content-length: 500\r\n\r\nthe reason"),
        then(ERROR + b"\r\nthe reason", stays=True),
        then(ERROR + b"\r\nthe reason" + b"x" * 5_000_000),
        then(ERROR + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"the reason")),
        then(ERROR + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"the reason" * 999)[:-9]),
    ],
    ids=["cut", "silent", "endless", "gzip", "cut gzip"],
)
async def test_error_bodies_need_no_end(answer: Any) -> None:
    error = await fail(answer)
    assert type(error) is ServerError
    assert error.status == 500
    assert "the reason" in str(error)


async def test_an_error_whose_compression_is_damaged_is_that_error() -> None:
    answer = b"content-encoding: gzip"
    error = await fail(always(with_length(b"notgzip", answer, status=b"400 Bad Request")))
    assert type(error) is BadRequestError


async def test_a_redirect_names_its_target() -> None:
    target = b"location: http://elsewhere.test/v1"
    error = await fail(always(with_length(b"", target, status=b"307 Temporary Redirect")))
    assert type(error) is NotAStreamError
    assert "http://elsewhere.test/v1; keys are not sent along" in str(error)
    error = await fail(then(b"HTTP/1.1 304 Not Modified\r\n\r\n"))
    assert error.status == 304


async def test_the_server_was_reached() -> None:
    error = await fail(then(b""))
    assert type(error) is ConnectError
    assert error.retryable
    assert "was reached but did not answer" in str(error)
    error = await fail(then(b"220 mail.test ESMTP\r\n"))
    assert type(error) is NotAStreamError
    assert "HTTP/1.1" in str(error)
    error = await fail(then(HEAD + b"x-a: " + b"a" * 70_000 + b"\r\n\r\n"))
    assert type(error) is LimitExceededError


# --- requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")], ids=str)
async def test_what_is_no_json_is_our_mistake(value: object) -> None:
    async with Streaming() as (server, heads):
        with pytest.raises(ConfigError, match="cannot be written"):
            await read(server.url, {"model": value})
    assert heads == []


@pytest.mark.parametrize("value", ["a\r\nb: c", "ü", 5], ids=repr)
async def test_headers_that_cannot_be_sent(value: Any) -> None:
    async with Streaming() as (server, heads):
        with pytest.raises(ConfigError, match="cannot be written"):
            await read(server.url, headers={"x-mine": value})
    assert heads == []


async def test_a_connection_in_time() -> None:
    async def silent(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await reader.read()

    async with Server(silent) as server:
        with pytest.raises(ConnectTimeoutError) as caught:
            await read(server.url.replace("http:", "https:"), connect_timeout_s=0.02)
    assert caught.value.retryable


class ReadTimeout(Exception):
    """As HTTP libraries call it."""


class RemoteProtocolError(Exception):
    """As HTTP libraries call it."""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Server disconnected without sending a response.", ConnectError),
        ("peer closed connection without sending complete message body", ConnectError),
        ("illegal status line", NotAStreamError),
    ],
)
def test_servers_that_hang_up_and_servers_that_babble(
    words: str, expected: type[StreamError]
) -> None:
    wrapped = RuntimeError("Connection error.")
    wrapped.__cause__ = RemoteProtocolError(words)
    error = client_failure("acme", "h:1", wrapped)
    assert type(error) is expected
    assert words in str(error)
    assert "cannot reach" not in str(error)


def test_failures_of_clients_of_every_kind() -> None:
    error = client_failure("acme", "h:1", ReadTimeout("slow"))
    assert type(error) is HeadersTimeoutError
    error = client_failure("acme", "h:1", RuntimeError("out of order\nhere"))
    assert type(error) is ConnectError
    assert not error.retryable
    assert "out of order here" in str(error)


COLD_START = """
import asyncio
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages import connect

AWS = {"aws_region": "r", "aws_access_key": "k", "aws_secret_key": "s"}
DEAD = {"base_url": "http://127.0.0.1:9", "telemetry": NoTelemetry()}

async def main():
    connections = [
        connect("anthropic", api_key="x", direct=False, **DEAD),
        connect("bedrock", client_options=AWS, **DEAD),
        connect("openai", api_key="x", direct=False, **DEAD),
    ]
    sources = [connection.pipeline().source for connection in connections]
    await asyncio.gather(*(source.prepare() for source in sources for _ in range(3)))
    for connection in connections:
        await connection.aclose()

asyncio.run(main())
"""


def test_first_requests_of_several_sdks_at_once() -> None:
    """Threads that import one SDK at the same time would see it half made."""
    done = subprocess.run([sys.executable, "-c", COLD_START], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-800:]
