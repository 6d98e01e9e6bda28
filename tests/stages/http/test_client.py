"""The client over real sockets: pool, retries, limits, TLS."""

import asyncio
import contextvars
import gc
import socket
import ssl
import weakref
from pathlib import Path

import pytest

from tokenline.errors import ConfigError, StreamCutError
from tokenline_stages.http.client import HttpClient
from tokenline_stages.http.clients import LoopClients
from tokenline_stages.http.connection import ConnectionLostError
from tokenline_stages.http.response import HttpResponse
from tokenline_stages.http.tls import default_context
from tokenline_stages.simulator.tls import server_context, write_self_signed

from .servers import Server, always, deaf_port, read_request
from .wires import CHUNKED, Collector, in_chunks, read_all, with_length

pytestmark = pytest.mark.anyio

OK = with_length(b"fine")


async def _post(client: HttpClient, url: str, body: bytes = b"{}") -> bytes:
    response = await client.post(url, {}, body, connect_timeout_s=5)
    data = await read_all(response)
    await response.aclose()
    return data


async def test_the_request_as_it_is_sent() -> None:
    seen = []

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    client = HttpClient()
    async with Server(answer) as server:
        headers = {"X-Key": "grüße", "Host": "elsewhere", "content-length": "1"}
        await (await client.post(f"{server.url}a b?q=ü#f", headers, b'{"a":1}')).aclose()
    await client.aclose()
    [(head, body)] = seen
    authority = server.url.removeprefix("http://").rstrip("/")
    assert head.split("\r\n") == [
        "POST /a%20b?q=%C3%BC HTTP/1.1",
        f"host: {authority}",
        "content-length: 7",
        "X-Key: grüße",
        "",
        "",
    ]
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://h/", {}),
        ("/path", {}),
        ("http://h:x/", {}),
        ("http://user:secret@h/", {}),
        ("http://h h/", {}),
        ("http://h/", {"x": "secret\r\ny: 1"}),
        ("http://h/", {"x": "secret\0"}),
        ("http://h/", {"x": "secret \N{GRINNING FACE}"}),
        ("http://h/", {"x y": "secret"}),
        ("http://h/", {"": "secret"}),
        ("http://h/", {"x\r\ny": "secret"}),
    ],
)
async def test_what_cannot_be_sent_is_refused_first(url: str, headers: dict[str, str]) -> None:
    client = HttpClient()
    with pytest.raises(ConfigError) as caught:
        await client.post(url, headers, b"")
    assert "secret" not in str(caught.value)
    await client.aclose()


async def test_a_connection_is_used_again() -> None:
    client = HttpClient()
    async with Server(always(OK)) as server:
        for _ in range(3):
            assert await _post(client, server.url) == b"fine"
        assert server.connections == 1
        await asyncio.gather(*(_post(client, server.url) for _ in range(3)))
        assert server.connections == 3
    await client.aclose()


@pytest.mark.parametrize("keep_alive", [b"", b"keep-alive: timeout=1"])
async def test_a_connection_expires(keep_alive: bytes) -> None:
    closed = asyncio.Event()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(with_length(b"fine", keep_alive) if keep_alive else OK)
        assert await reader.read() == b""
        closed.set()

    client = HttpClient(keep_alive_s=0.02)
    async with Server(answer) as server:
        await _post(client, server.url)
        await asyncio.wait_for(closed.wait(), 5)
        await _post(client, server.url)
        assert server.connections == 2
    await client.aclose()


@pytest.mark.parametrize("some", [b"", b"HTTP/1.1 2"])
async def test_only_a_kept_connection_without_any_answer_is_retried(some: bytes) -> None:
    """The server leaves when the second request comes, as if it had just given up waiting."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(some)
        if some:
            await writer.drain()

    client = HttpClient()
    async with Server(answer) as server:
        assert await _post(client, server.url) == b"fine"
        if some:
            with pytest.raises(ConnectionLostError):
                await _post(client, server.url)
            assert server.connections == 1
        else:
            assert await _post(client, server.url) == b"fine"
            assert server.connections == 2
    await client.aclose()


async def test_a_fresh_connection_is_not_retried() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)

    client = HttpClient()
    async with Server(answer) as server:
        with pytest.raises(ConnectionLostError):
            await _post(client, server.url)
        assert server.connections == 1
    await client.aclose()


async def test_a_connection_that_the_server_closed_meanwhile_is_not_taken() -> None:
    gone = asyncio.Event()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        gone.set()

    client = HttpClient()
    async with Server(answer) as server:
        for _ in range(3):
            assert await _post(client, server.url) == b"fine"
            await gone.wait()
            gone.clear()
    await client.aclose()


async def test_requests_wait_for_a_place() -> None:
    go_on = asyncio.Event()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            await read_request(reader)
            await go_on.wait()
            writer.write(OK)

    client = HttpClient(max_connections=1)
    async with Server(answer) as server:
        first = asyncio.ensure_future(_post(client, server.url))
        while not server.connections:
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await client.post(server.url, {}, b"", connect_timeout_s=0.01)
        waiting = asyncio.ensure_future(_post(client, server.url))
        await asyncio.sleep(0)
        waiting.cancel()
        go_on.set()
        assert await first == b"fine"
        for _ in range(3):
            assert await _post(client, server.url) == b"fine"
        assert server.connections == 1
    await client.aclose()


async def test_failures_give_their_place_back() -> None:
    client = HttpClient(max_connections=1)
    async with Server(always(b"nonsense\r\n\r\n")) as server:
        dead = server.url
        for _ in range(3):
            with pytest.raises(Exception, match="HTTP"):
                await _post(client, server.url)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await _post(client, dead)
    async with Server(always(CHUNKED)) as server:
        for _ in range(3):
            response = await client.post(server.url, {}, b"", connect_timeout_s=5)
            await response.aclose()
    await client.aclose()


async def test_a_host_that_does_not_exist() -> None:
    client = HttpClient()
    with pytest.raises(socket.gaierror):
        await client.post("http://no-such-host.invalid/", {}, b"")
    await client.aclose()


async def test_connecting_takes_no_longer_than_allowed() -> None:
    client = HttpClient(max_connections=1)
    with deaf_port() as port:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await client.post(f"http://127.0.0.1:{port}/", {}, b"", connect_timeout_s=0.02)
        task = asyncio.ensure_future(client.post(f"http://127.0.0.1:{port}/", {}, b""))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await client.aclose()


async def test_the_connect_timeout_covers_tls() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await reader.read()

    client = HttpClient(tls=ssl.create_default_context())
    async with Server(answer) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(TimeoutError):
            await client.post(url, {}, b"", connect_timeout_s=0.05)
    await client.aclose()


# --- bodies --------------------------------------------------------------------------------


async def test_a_large_request_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    seen = []

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            seen.append((await read_request(reader))[1] == body)
            writer.write(OK)

    client = HttpClient()
    async with Server(answer) as server:
        for _ in range(2):
            assert await _post(client, server.url, body) == b"fine"
        assert server.connections == 1
    assert seen == [True, True]
    await client.aclose()


async def test_a_refusal_stops_a_large_request() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(with_length(b"too large", status=b"413 Content Too Large"))
        await asyncio.sleep(3600)

    client = HttpClient()
    async with Server(answer) as server:
        response = await client.post(server.url, {}, bytes(50_000_000))
        assert response.status == 413
        assert await read_all(response) == b"too large"
        response = await client.post(server.url, {}, b"")
        assert response.status == 413
        assert server.connections == 2, "half a request is in the first one"
        await response.aclose()
    await client.aclose()


async def test_a_reader_that_stops_is_felt_by_the_server() -> None:
    sent = asyncio.Event()
    size = 30_000_000

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(with_length(bytes(size)))
        await writer.drain()
        sent.set()
        await reader.read()

    collector = Collector(stop_after=1)
    client = HttpClient()
    async with Server(answer) as server:
        response = await client.post(server.url, {}, b"")
        response.attach(collector.on_data, collector.on_end)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not sent.is_set()
        assert len(collector.data) < 1_000_000
        collector.stop_after = None
        response.resume()
        while not collector.ends:
            await asyncio.sleep(0)
        assert len(collector.data) == size
        assert collector.ends == [None]
    await client.aclose()


async def test_leaving_closes_the_socket_at_once() -> None:
    left = asyncio.Event()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(CHUNKED + in_chunks(b"a", end=b""))
        try:
            await reader.read()
        finally:
            left.set()

    client = HttpClient()
    async with Server(answer) as server:
        response = await client.post(server.url, {}, b"")
        assert await response.read() == b"a"
        await response.aclose()
        await asyncio.wait_for(left.wait(), 5)
    await client.aclose()


async def test_closing_the_client_ends_what_is_open() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(CHUNKED)
        await reader.read()

    client = HttpClient()
    async with Server(answer) as server:
        response = await client.post(server.url, {}, b"")
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(StreamCutError, match="client was closed"):
            await reading


def test_nothing_is_left_when_the_loop_ends() -> None:
    """Warnings about open sockets are errors here."""
    clients: LoopClients[HttpClient] = LoopClients(HttpClient, HttpClient.aclose)
    kept: list[HttpResponse] = []

    async def use() -> None:
        async with Server(always(OK)) as whole, Server(always(CHUNKED)) as endless:
            client = await clients.get()
            await _post(client, whole.url)
            kept.append(await client.post(endless.url, {}, b""))

    for _ in range(2):
        asyncio.run(use())
    gc.collect()


class _Big:
    """Something that a run's context holds."""


_held: contextvars.ContextVar[_Big] = contextvars.ContextVar("_held")


async def test_a_pooled_connection_keeps_no_context() -> None:
    client = HttpClient()
    body = CHUNKED + in_chunks(b"x" * 2_000_000)

    async def use(url: str) -> None:
        collector = Collector(stop_after=1)
        response = await client.post(url, {}, b"")
        response.attach(collector.on_data, collector.on_end)
        while not collector.ends:
            collector.stop_after = len(collector.calls) + 1
            response.resume()
            await asyncio.sleep(0)

    async with Server(always(body)) as server:
        held = _Big()
        context = contextvars.Context()
        context.run(_held.set, held)
        await asyncio.get_running_loop().create_task(use(server.url), context=context)
        reference = weakref.ref(held)
        del held, context
        await asyncio.sleep(0)  # the turn that woke us still refers to the task
        gc.collect()
        assert reference() is None
        await use(server.url)
        assert server.connections == 1
    await client.aclose()


async def test_sockets_say_no_delay_and_keep_alive() -> None:
    client = HttpClient()
    async with Server(always(CHUNKED)) as server:
        response = await client.post(server.url, {}, b"")
        connection = response._carrier
        raw = connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await response.aclose()
    await client.aclose()


async def test_ipv6() -> None:
    client = HttpClient()
    try:
        server = await Server(always(OK), host="::1").__aenter__()
    except OSError:
        pytest.skip("no IPv6 here")
    assert await _post(client, server.url) == b"fine"
    await client.aclose()
    await server.__aexit__()


# --- TLS -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("cryptography")
    return write_self_signed(tmp_path_factory.mktemp("tls"))


async def test_tls_with_roots_of_ones_own(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    context = server_context(*certificate)
    context.sni_callback = lambda sock, name, context: names.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    big = CHUNKED + in_chunks(b"x" * 3_000_000)
    client = HttpClient()
    async with Server(always(big), tls=context) as server:
        for _ in range(2):
            assert len(await _post(client, server.url, bytes(600_000))) == 3_000_000
        assert server.connections == 1
        collector = Collector(stop_after=1)
        response = await client.post(server.url, {}, b"")
        response.attach(collector.on_data, collector.on_end)
        while not collector.ends:
            collector.stop_after = len(collector.calls) + 1
            response.resume()
            await asyncio.sleep(0)
        assert len(collector.data) == 3_000_000
        assert collector.ends == [None]
        assert default_context() is default_context()
    assert names == ["localhost"]
    await client.aclose()


async def test_tls_trusts_nobody_else(certificate: tuple[Path, Path]) -> None:
    client = HttpClient()
    async with Server(always(OK), tls=server_context(*certificate)) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await _post(client, server.url)
    await client.aclose()


async def test_tls_checks_the_name(certificate: tuple[Path, Path]) -> None:
    trusting = ssl.create_default_context(cafile=certificate[0])
    client = HttpClient(tls=trusting)
    context = server_context(*certificate)
    async with (
        Server(always(OK), tls=context) as server,
        Server(always(OK), tls=context, host="127.0.0.2") as other,
    ):
        assert await _post(client, server.url) == b"fine"
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            await _post(client, other.url.replace("localhost", "127.0.0.2"))
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.post(server.url, {}, b"", ssl=ssl.create_default_context())
    await client.aclose()


async def test_tls_to_a_server_without_it() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        writer.write(with_length(b"", status=b"400 Bad Request"))
        await reader.read()

    client = HttpClient(tls=ssl.create_default_context())
    async with Server(answer) as server:
        with pytest.raises(ssl.SSLError):
            await _post(client, server.url.replace("http:", "https:"))
    await client.aclose()


def test_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def use() -> None:
        async with Server(always(CHUNKED + in_chunks(b"x" * 2_000_000))) as server:
            client = HttpClient()
            url = server.url.replace("127.0.0.1", "localhost")
            assert len(await _post(client, url, bytes(1_000_000))) == 2_000_000
            await client.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(use())
