"""An HTTP/1.1 client made for streams: one POST, one response read as it comes."""

from __future__ import annotations

import ssl as tls_module
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from .address import Address, parse_url
from .answer import Answer
from .connection import WRITE_BYTES, ConnectionLostError, HttpConnection
from .pool import KEEP_ALIVE_S, MAX_CONNECTIONS, ConnectionPool
from .request import encode_head
from .response import HttpResponse
from .tls import default_context

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for a connection, TLS and a free place in the pool included."""


@dataclass(slots=True)
class _Outgoing:
    address: Address
    tls: tls_module.SSLContext | None
    head: bytes
    body: bytes


class SentRequest:
    """A request on its way over a kept connection; `response` or `abort` is called once."""

    __slots__ = ("_answer", "_connection", "_send_again")

    def __init__(
        self,
        connection: HttpConnection,
        answer: Answer,
        send_again: Callable[[], Awaitable[HttpResponse]],
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._send_again = send_again

    async def response(self) -> HttpResponse:
        """Its response, as `HttpClient.post` gives it; raises like that."""
        try:
            return await self._connection.answered(self._answer)
        except ConnectionLostError as error:
            if error.received:
                raise
        return await self._send_again()

    def abort(self) -> None:
        """Nobody waits for it any more: its socket is closed."""
        self._connection.give_up(self._answer)


class HttpClient:
    """Sends requests over a pool of connections; belongs to one event loop.

    No redirects are followed, no cookies kept, no proxy used, and nothing compressed is asked
    for. A request is sent again, once, in one case only: it went out on a kept connection and
    the server closed that before any byte of a response.

    Args:
        peer: whose servers these are, for messages.
        max_connections: requests under way at once; more wait.
        keep_alive_s: how long an unused connection is kept.
        tls: context for `https`; by default one that verifies against the system's roots.
    """

    def __init__(
        self,
        peer: str = "the server",
        *,
        max_connections: int = MAX_CONNECTIONS,
        keep_alive_s: float = KEEP_ALIVE_S,
        tls: tls_module.SSLContext | None = None,
    ) -> None:
        self._pool = ConnectionPool(peer, max_connections, keep_alive_s)
        self._tls = tls

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
        ssl: tls_module.SSLContext | None = None,
    ) -> HttpResponse:
        """Send a request; gives its response, any status, when the headers are there.

        Args:
            url: absolute, `http` or `https`.
            headers: `host` and the body's length are added; these names are left out.
            body: the request's body.
            connect_timeout_s: longest wait for a connection; None waits as the system does.
            ssl: TLS context of this request, instead of the client's.

        Raises:
            ConfigError: a URL or header that cannot be sent.
            TimeoutError: no connection in time.
            OSError: no connection (`socket.gaierror`: no such host; `ssl.SSLError`).
            ConnectionLostError: the server closed the connection before a response.
            MalformedResponseError: the answer is not HTTP (`HeadTooLargeError` among them).
        """
        address = parse_url(url)
        tls = (ssl or self._context()) if address.secure else None
        outgoing = _Outgoing(address, tls, encode_head(address, headers, len(body)), body)
        await self._pool.reserve(connect_timeout_s)
        kept = self._pool.take((address.host, address.port, tls))
        if kept is not None:
            try:
                return await kept.exchange(outgoing.head, body)
            except ConnectionLostError as error:
                if error.received:
                    raise
            await self._pool.reserve(connect_timeout_s)
        return await self._send_anew(outgoing, connect_timeout_s)

    def keeps(self, url: str) -> bool:
        """Whether `post_nowait` may find a connection, as far as can be told beforehand.

        Arguments and errors are those of `post`.
        """
        address = parse_url(url)
        tls = self._context() if address.secure else None
        return self._pool.keeps((address.host, address.port, tls))

    def post_nowait(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
    ) -> SentRequest | None:
        """`post` as far as it goes without waiting: the request is written when this returns.

        None, and nothing was sent, where it would have to wait: no kept connection, none free,
        or a large body. Arguments and errors are those of `post`.
        """
        address = parse_url(url)
        tls = self._context() if address.secure else None
        if len(body) > WRITE_BYTES:
            return None
        connection = self._pool.take_nowait((address.host, address.port, tls))
        if connection is None:
            return None
        try:
            outgoing = _Outgoing(address, tls, encode_head(address, headers, len(body)), body)
            answer = connection.send(outgoing.head, body)
        except BaseException:
            connection.abort()
            raise

        async def send_again() -> HttpResponse:
            await self._pool.reserve(connect_timeout_s)
            return await self._send_anew(outgoing, connect_timeout_s)

        return SentRequest(connection, answer, send_again)

    async def _send_anew(self, outgoing: _Outgoing, timeout_s: float | None) -> HttpResponse:
        connection = await self._pool.dial(outgoing.address, outgoing.tls, timeout_s)
        return await connection.exchange(outgoing.head, outgoing.body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    def _context(self) -> tls_module.SSLContext:
        if self._tls is None:
            self._tls = default_context()
        return self._tls
