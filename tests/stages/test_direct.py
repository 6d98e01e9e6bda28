"""The source without an SDK, against the simulator and servers that misbehave."""

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tokenline.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ConnectError,
    ConnectTimeoutError,
    ContextOverflowError,
    LimitExceededError,
    MissingKeyError,
    NotAStreamError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamCutError,
    StreamError,
)
from tokenline.source import Request
from tokenline_stages.direct import DirectSource
from tokenline_stages.http.openai_server import OpenAIServer
from tokenline_stages.providers.anthropic.direct_source import direct_messages_source
from tokenline_stages.providers.gemini.direct_source import direct_gemini_source
from tokenline_stages.providers.ollama import direct_source as ollama
from tokenline_stages.providers.openai_chat.direct_source import direct_chat_source
from tokenline_stages.providers.openai_chat.quirks import quirks_of
from tokenline_stages.providers.openai_responses.direct_source import direct_responses_source
from tokenline_stages.providers.registry import Access
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import (
    Cut,
    DelayHeaders,
    Fault,
    Gzip,
    HttpError,
    HugeHeaders,
    Redirect,
    Reset,
    Silence,
    SlowLoris,
    WrongContentType,
    WrongLength,
)
from tokenline_stages.simulator.tls import server_context, write_self_signed

from .http.servers import Server, always, read_request
from .http.wires import CHUNKED, in_chunks, with_length

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
OPENAI = OpenAIServer(
    "openai", "openai", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY"
)
_VARIABLES = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
    *("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    *("ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
    *("GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST", "OLLAMA_API_KEY", "DEEPSEEK_API_KEY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


def chat(access: Access, server: OpenAIServer = OPENAI) -> DirectSource:
    return direct_chat_source(server, quirks_of(server.name), access)


def plan(*faults: Fault, **changes: Any) -> Plan:
    fields = {"ttft_s": 0.0, "inter_token_s": 0.0, "text": "a b c d e f"}
    return Plan(faults=faults, **{**fields, **changes})


async def read(source: DirectSource, payload: Mapping[str, Any] = CHAT, **given: Any) -> bytes:
    """The body of one response, and what came of it before an error."""
    await source.prepare()
    stream = await source.open(Request(payload, **given))
    body = b""
    try:
        while data := await stream.read():
            body += data
        return body
    except StreamError as error:
        error.add_note(body.decode())
        raise
    finally:
        await stream.aclose()
        await source.aclose()


async def fail(source: DirectSource, payload: Mapping[str, Any] = CHAT, **given: Any) -> Any:
    """The error of a request."""
    with pytest.raises(StreamError) as caught:
        await read(source, payload, **given)
    return caught.value


# --- requests ------------------------------------------------------------------------------


APIS: dict[str, tuple[Callable[[Access], DirectSource], str, dict[str, Any]]] = {
    "openai.chat": (chat, "/v1", CHAT),
    "openai.responses": (
        lambda access: direct_responses_source(OPENAI, access),
        "/v1",
        {"model": "m", "input": "hi"},
    ),
    "anthropic.messages": (direct_messages_source, "", {**CHAT, "max_tokens": 9}),
    "gemini.generate_content": (direct_gemini_source, "", {"model": "m", "contents": []}),
    "ollama.chat": (ollama.direct_chat_source, "", CHAT),
    "ollama.generate": (ollama.direct_generate_source, "", {"model": "m", "prompt": "hi"}),
}


@pytest.mark.parametrize("api", APIS)
async def test_every_api_streams_with_its_key(api: str) -> None:
    make, path, payload = APIS[api]
    async with Simulator(plan(), api_key=KEY) as simulator:
        source = make(Access(KEY, simulator.url + path))
        body = await read(source, payload)
        assert source.api == api
        assert (source.server_address, source.server_port) == (
            "127.0.0.1",
            int(simulator.url.rpartition(":")[2]),
        )
        assert b"a" in body
        assert simulator.ledger.last.model == "m"
        error = await fail(make(Access("sk-wrong-0123456789", simulator.url + path)), payload)
        assert isinstance(error, (AuthenticationError, BadRequestError))
        assert "sk-wrong" not in str(error)


async def sent_by(
    make: Callable[[Access], DirectSource],
    payload: Mapping[str, Any],
    access: Access | None = None,
    path: str = "",
    headers: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str], Any]:
    """Request line, headers and JSON body that a source sends."""
    seen = []

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        seen.append(await read_request(reader))
        writer.write(CHUNKED + in_chunks())

    async with Server(answer) as server:
        given = access or Access(KEY)
        base_url = given.base_url or server.url.rstrip("/") + path
        await read(make(Access(given.api_key, base_url)), payload, headers=headers or {})
    [(head, body)] = seen
    line, *lines = head.strip().split("\r\n")
    return line, dict(x.split(": ", 1) for x in lines), json.loads(body)


async def test_a_chat_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: a\nX-Mine: env")
    line, headers, body = await sent_by(
        chat, {**CHAT, "stream_options": {"x": 1}}, path="/v1/", headers={"X-Mine": "request"}
    )
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("tokenline/")
    assert headers["openai-organization"] == "org"
    assert headers["openai-project"] == "proj"
    assert (headers["x-team"], headers["x-mine"]) == ("a", "request")
    assert body == {**CHAT, "stream": True, "stream_options": {"include_usage": True, "x": 1}}


async def test_other_servers_learn_nothing_of_an_account_at_openai(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "openai-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-team: openai-secret")
    mistral = OpenAIServer("mistral", "mistral_ai", needs_key=False)
    _, headers, body = await sent_by(
        lambda access: chat(access, mistral), CHAT, Access(), path="/v1"
    )
    assert "openai-secret" not in str(headers)
    assert "authorization" not in headers
    assert body == {**CHAT, "stream": True}, "it refuses stream_options"


async def test_an_anthropic_request(monkeypatch: pytest.MonkeyPatch) -> None:
    line, headers, body = await sent_by(direct_messages_source, CHAT)
    assert line == "POST /v1/messages HTTP/1.1"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in headers
    assert body == {**CHAT, "stream": True}
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "tok")
    _, headers, _ = await sent_by(
        direct_messages_source, CHAT, Access(), headers={"Anthropic-Version": "2030-01-01"}
    )
    assert headers["authorization"] == "Bearer tok"
    assert "x-api-key" not in headers
    assert headers["anthropic-version"] == "2030-01-01"
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"{KEY}\n")
    _, headers, _ = await sent_by(direct_messages_source, CHAT, Access())
    assert headers["x-api-key"] == KEY
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("model", "path", "line"),
    [
        ("gemini-x", "", "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        ("models/gemini-x", "/v1", "/v1/models/gemini-x:streamGenerateContent?alt=sse"),
        ("tunedModels/a b?", "/p", "/p/v1beta/tunedModels/a%20b%3F:streamGenerateContent?alt=sse"),
    ],
)
async def test_a_gemini_request(
    model: str, path: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    got, headers, body = await sent_by(
        direct_gemini_source, {"model": model, "contents": []}, Access(), path
    )
    assert got == f"POST {line} HTTP/1.1"
    assert headers["x-goog-api-key"] == KEY
    assert body == {"contents": []}


async def test_gemini_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="model"):
        await read(direct_gemini_source(Access(KEY, "http://127.0.0.1:1")), {"contents": []})


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        ("box:80", "http://box:80"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1", "http://127.0.0.1:1"),
        ("http://box", "http://box"),
        ("https://box/", "https://box"),
        ("https://box:8443/ollama", "https://box:8443/ollama"),
        ("[::1]:9", "http://[::1]:9"),
        (' "box" ', "http://box:11434"),
    ],
)
def test_ollama_hosts(host: str, base_url: str) -> None:
    assert ollama.read_host(host) == base_url


async def test_a_keyless_ollama_request() -> None:
    line, headers, body = await sent_by(ollama.direct_chat_source, CHAT, Access())
    assert line == "POST /api/chat HTTP/1.1"
    assert "authorization" not in headers
    assert body == {**CHAT, "stream": True}


@pytest.mark.parametrize("api", [api for api in APIS if not api.startswith("ollama")])
async def test_a_missing_key_is_found_before_anything_is_sent(api: str) -> None:
    source = APIS[api][0](Access())
    with pytest.raises(MissingKeyError, match=r"no API key; set \w+_API_KEY"):
        await source.prepare()
    assert source.secrets == set()


def test_no_address_is_no_openai() -> None:
    with pytest.raises(ConfigError, match="pass base_url"):
        chat(Access(KEY), OpenAIServer("acme", "acme"))


def test_base_urls_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://one.test/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://two.test:8443")
    monkeypatch.setenv("OLLAMA_HOST", "three.test")
    assert chat(Access(KEY)).server_address == "one.test"
    assert direct_messages_source(Access(KEY)).server_port == 8443
    assert ollama.direct_chat_source(Access()).server_address == "three.test"
    assert direct_gemini_source(Access(KEY)).server_port == 443


async def test_models_in_payloads_and_what_is_no_json() -> None:
    class Message(BaseModel):
        role: str
        content: str = "hi"
        name: str | None = None

    _, _, body = await sent_by(chat, {"model": "m", "messages": [Message(role="user")]})
    assert body["messages"] == [{"role": "user"}]
    source = chat(Access(KEY, "http://127.0.0.1:1/v1"))
    for value in (object(), "\ud800", {1.5: object()}):
        with pytest.raises(ConfigError, match="JSON"):
            await read(source, {"model": value})


async def test_a_header_that_cannot_be_sent() -> None:
    source = chat(Access(f"{KEY}\n{KEY}", "http://127.0.0.1:1/v1"))
    with pytest.raises(ConfigError, match="'authorization'") as caught:
        await read(source)
    assert KEY not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    source = chat(Access(KEY))
    assert KEY not in repr(source) + repr(vars(source))
    assert source.secrets == {KEY}


def test_clients_and_their_options_are_for_the_sdk() -> None:
    with pytest.raises(ConfigError, match="without an SDK"):
        chat(Access(KEY, client=object()))
    with pytest.raises(ConfigError, match="without an SDK"):
        direct_messages_source(Access(KEY, client_options={"timeout": 1}))


async def test_netrc_is_no_business_of_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    _, headers, _ = await sent_by(chat, CHAT)
    assert headers["authorization"] == f"Bearer {KEY}"


async def test_a_proxy_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    source = chat(Access(KEY, "http://127.0.0.1:1/v1"))
    assert source.applies
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy.test:1")
    assert not source.applies
    with pytest.raises(ConfigError, match="NO_PROXY") as caught:
        await source.prepare()
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert source.applies


def test_no_sdk_and_no_other_http_client_is_imported() -> None:
    code = (
        "import sys, tokenline_stages.providers.openai_chat.direct_source as _;"
        "heavy = {'openai', 'anthropic', 'httpx2', 'aiohttp'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        (HttpError(status=400), BadRequestError, False),
        (HttpError(status=401), AuthenticationError, False),
        (HttpError(status=429, retry_after="7"), RateLimitError, True),
        (HttpError(status=500, body="html"), ServerError, True),
        (HttpError(status=503, body="empty"), OverloadedError, True),
        (HttpError(status=529, body="text"), OverloadedError, True),
        (HttpError(status=400, message="maximum context length"), ContextOverflowError, False),
        (Redirect(location="http://elsewhere.test/v1"), NotAStreamError, False),
        (WrongContentType(content_type="text/html"), NotAStreamError, False),
        (WrongContentType(content_type="application/json"), NotAStreamError, False),
        (HugeHeaders(), LimitExceededError, False),
    ],
)
async def test_answers_that_are_no_stream(
    fault: Fault, kind: type[StreamError], retryable: bool
) -> None:
    async with Simulator(plan(fault)) as simulator:
        error = await fail(chat(Access(KEY, simulator.openai_base_url)))
        assert type(error) is kind
        assert error.retryable is retryable
        assert error.provider == "openai"
        assert str(error).startswith("openai: ")
        if isinstance(fault, HttpError):
            assert error.status == fault.status
            assert error.request_id == simulator.ledger.last.request_id
        if kind is RateLimitError:
            assert error.retry_after_s == 7.0
        if isinstance(fault, Redirect):
            assert "elsewhere.test" in str(error)


async def test_a_key_that_comes_back_is_hidden() -> None:
    body = json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()
    async with Server(always(with_length(body, status=b"401 Unauthorized"))) as server:
        error = await fail(chat(Access(KEY, server.url)))
    assert KEY not in str(error)
    assert "bad key" in str(error)


async def test_a_compressed_error_is_read() -> None:
    body = gzip.compress(b'{"error": {"message": "packed"}}')
    answer = with_length(body, b"content-encoding: gzip", status=b"400 Bad Request")
    async with Server(always(answer)) as server:
        assert "packed" in str(await fail(chat(Access(KEY, server.url))))


@pytest.mark.parametrize(
    ("rest", "stays"),
    [(b"", False), (b"x" * 10_000_000, False), (b"", True)],
    ids=["cut", "endless", "silent"],
)
async def test_an_error_body_needs_no_end(
    rest: bytes, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenline_stages.http.answers.ANSWER_TIMEOUT_S", 0.1)

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 99999999\r\n\r\nthe reason" + rest
        )
        await writer.drain()
        if stays:
            await reader.read()

    async with Server(answer) as server:
        error = await fail(chat(Access(KEY, server.url)))
    assert isinstance(error, BadRequestError)
    assert "the reason" in str(error)


# --- streams -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Gzip(),
        SlowLoris(interval_s=0.0, bytes_per_write=3),
        DelayHeaders(delay_s=0.01),
    ],
)
async def test_odd_streams_arrive_whole(fault: Fault) -> None:
    expected = plan(message_id="one")
    async with Simulator(expected) as simulator:
        clean = await read(chat(Access(KEY, simulator.openai_base_url)))
        simulator.plan = plan(fault, message_id="one")
        assert await read(chat(Access(KEY, simulator.openai_base_url))) == clean


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Cut(after_tokens=3), '"c'),
        (Cut(at_byte=20), "data: "),
        (Reset(after_tokens=3), ""),
        (WrongLength(delta_bytes=10), "[DONE]"),
    ],
)
async def test_cut_streams_keep_what_came(fault: Fault, told: str) -> None:
    async with Simulator(plan(fault)) as simulator:
        error = await fail(chat(Access(KEY, simulator.openai_base_url)))
    assert type(error) is StreamCutError
    assert error.retryable
    assert error.status == 200
    assert told in error.__notes__[0]


async def test_a_body_longer_than_its_length_is_cut_to_it() -> None:
    async with Simulator(plan(WrongLength(delta_bytes=-10))) as simulator:
        source = chat(Access(KEY, simulator.openai_base_url))
        body = await read(source)
        assert not body.endswith(b"[DONE]\n\n")
        simulator.plan = plan()
        assert (await read(source)).endswith(b"[DONE]\n\n")


async def test_leaving_a_silent_stream_frees_the_server() -> None:
    async with Simulator(plan(Silence(after_tokens=2))) as simulator:
        source = chat(Access(KEY, simulator.openai_base_url))
        await source.prepare()
        stream = await source.open(Request(CHAT))
        assert await stream.read()
        await stream.aclose()
        entry = simulator.ledger.last
        async with asyncio.timeout(5):
            while entry.outcome == "open":
                await asyncio.sleep(0)
        assert entry.outcome == "client_gone"
        await source.aclose()


# --- no connection -------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    async with Server(always(b"")) as server:
        url = server.url
    error = await fail(chat(Access(KEY, url)))
    assert type(error) is ConnectError
    assert error.retryable
    assert url.removeprefix("http://").rstrip("/") in str(error)
    assert "check the address" in str(error)


async def test_no_such_host() -> None:
    error = await fail(chat(Access(KEY, "http://no-such-host.invalid/v1")))
    assert type(error) is ConnectError
    assert "no-such-host.invalid:80" in str(error)


async def test_the_server_hangs_up() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)

    async with Server(answer) as server:
        error = await fail(chat(Access(KEY, server.url)))
    assert type(error) is ConnectError
    assert "was reached but did not answer" in str(error)
    assert error.retryable


async def test_something_else_answers() -> None:
    async with Server(always(b"220 mail.test ESMTP\r\n")) as server:
        error = await fail(chat(Access(KEY, server.url)))
    assert type(error) is NotAStreamError
    assert "HTTP/1.1" in str(error)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    pytest.importorskip("cryptography")
    return write_self_signed(tmp_path)


async def test_a_certificate_that_nobody_trusts(certificate: tuple[Path, Path]) -> None:
    async with Server(always(b""), tls=server_context(*certificate)) as server:
        error = await fail(chat(Access(KEY, server.url)))
    assert type(error) is ConnectError
    assert not error.retryable
    assert "certificate" in str(error)
    assert "SSL_CERT_FILE" in str(error)


async def test_roots_of_ones_own(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    answer = CHUNKED + in_chunks(b"data: x\n\n")
    async with Server(always(answer), tls=server_context(*certificate)) as server:
        assert await read(chat(Access(KEY, server.url))) == b"data: x\n\n"


async def test_a_connection_in_time() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await reader.read()

    async with Server(answer) as server:
        url = server.url.replace("http:", "https:")
        error = await fail(chat(Access(KEY, url)), connect_timeout_s=0.02)
    assert type(error) is ConnectTimeoutError
    assert error.retryable
