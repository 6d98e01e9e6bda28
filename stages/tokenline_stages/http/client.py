"""An HTTP/1.1 client made for streams: one POST, one response read as it comes."""

from __future__ import annotations

import ssl as tls_module
from collections.abc import Mapping

from .address import parse_url
from .connection import ConnectionLostError
from .pool import KEEP_ALIVE_S, MAX_CONNECTIONS, ConnectionPool
from .request import encode_head
from .response import HttpResponse
from .tls import default_context

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for a connection, TLS and a free place in the pool included."""


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
        head = encode_head(address, headers, len(body))
        await self._pool.reserve(connect_timeout_s)
        kept = self._pool.take((address.host, address.port, tls))
        if kept is not None:
            try:
                return await kept.exchange(head, body)
            except ConnectionLostError as error:
                if error.received:
                    raise
            await self._pool.reserve(connect_timeout_s)
        connection = await self._pool.dial(address, tls, connect_timeout_s)
        return await connection.exchange(head, body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    def _context(self) -> tls_module.SSLContext:
        if self._tls is None:
            self._tls = default_context()
        return self._tls
