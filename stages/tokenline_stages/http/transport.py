"""An httpx2 transport over aiohttp that leaves the response body within reach.

The SDKs build the request (keys, URL, retries); aiohttp carries it: it reads a streamed body at
a third of the cost of httpx2's own transport, and on top of it the pipeline reads from
aiohttp's buffer directly, without httpx2's three layers of generators for each read.

Of the environment only proxies are respected (`http.proxies`). aiohttp's `trust_env` would also
read `.netrc`, and put its passwords where the SDK has put the key.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextvars import Context

import aiohttp
import httpx2
from yarl import URL

from tokenline.errors import ConfigError

from .answers import read_answer
from .inflate import inflate
from .proxies import find_proxy
from .response_handler import PatientConnector

BODY_EXTENSION = "tokenline.body"
"""Key in `httpx2.Response.extensions` under which the aiohttp response is found."""

MAX_CONNECTIONS = 1000
"""Connections of one client; the SDKs' own default."""

KEEP_ALIVE_S = 15.0
"""How long an unused connection is kept; below the idle limit of common proxies (60 s)."""

_BODY_HEADERS = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class BrokenBodyError(aiohttp.ClientPayloadError):
    """The body breaks HTTP's framing."""


class AiohttpBody(httpx2.AsyncByteStream):
    """The body, for readers that come through httpx2 (compressed and non-streamed bodies).

    It also sees to it that readers of a body whose framing is damaged do not wait for ever:
    aiohttp closes such a connection without telling them.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._lost: asyncio.Future[None] | None = None
        connection = response.connection
        if connection is None or connection.protocol is None:
            return
        self._lost = connection.protocol.closed
        if self._lost is None:
            self._fail_readers()
            return
        # The future lives as long as the connection: no run's context may stay with it.
        self._lost.remove_done_callback(_note_error)
        self._lost.add_done_callback(_note_error, context=Context())
        self._lost.add_done_callback(self._fail_readers, context=Context())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.content.iter_any():
                yield data
        except aiohttp.ClientError as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Close; the connection goes back to the pool if the body was read to its end."""
        if self._lost is not None:
            self._lost.remove_done_callback(self._fail_readers)
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def _fail_readers(self, lost: object = None) -> None:
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(BrokenBodyError("the body breaks HTTP/1.1's framing"))


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Carries httpx2 requests over one aiohttp session. Belongs to one event loop.

    Args:
        verify: TLS context; None verifies against the system's and certifi's roots.
    """

    def __init__(self, verify: ssl.SSLContext | None = None) -> None:
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    def prepare(self) -> None:
        """Make ready what the first request needs. Call it on the loop that will use it."""
        if self._session is None:
            self._session = self._open_session()

    def _open_session(self) -> aiohttp.ClientSession:
        context = self._verify if self._verify is not None else httpx2.create_ssl_context()
        connector = PatientConnector(
            limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ssl=context
        )
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
            read_bufsize=256 * 1024,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; gives the response as soon as its headers are there.

        The body of an answer that is no stream (status 300 and above) is read here, and no more
        of it than is of use: whoever calls would read it without a bound.

        Raises:
            httpx2.TimeoutException: no connection in time.
            httpx2.TransportError: no connection, or it broke, or the answer is no HTTP.
            ConfigError: the environment wants a proxy of an unknown kind.
        """
        self.prepare()
        try:
            response = await self._send(request)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error) or "timed out", request=request) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _httpx_error(error, request) from error
        body = AiohttpBody(response)
        if response.status < 300:
            return httpx2.Response(
                response.status,
                headers=list(response.raw_headers),
                stream=body,
                extensions={BODY_EXTENSION: response},
                request=request,
            )
        try:
            coding = response.headers.get("content-encoding", "").strip().lower()
            content = inflate(await read_answer(response.content.readany), coding)
        finally:
            await body.aclose()
        headers = [(k, v) for k, v in response.raw_headers if k.lower() not in _BODY_HEADERS]
        return httpx2.Response(response.status, headers=headers, content=content, request=request)

    async def _send(self, request: httpx2.Request) -> aiohttp.ClientResponse:
        assert self._session is not None
        limits = request.extensions.get("timeout") or {}
        connect_s, pool_s = limits.get("connect"), limits.get("pool")
        url = str(request.url)
        return await self._session.request(
            request.method,
            # As it is: a path that is signed must not be quoted anew on its way.
            URL(url, encoded=True),
            headers=request.headers.multi_items(),
            data=await request.aread() or None,
            allow_redirects=False,
            proxy=_known_proxy(url),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=connect_s if pool_s is None else pool_s, sock_connect=connect_s
            ),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _known_proxy(url: str) -> str | None:
    proxy = find_proxy(url)
    scheme = proxy.partition(":")[0].lower() if proxy is not None else "http"
    if scheme not in ("http", "https"):
        raise ConfigError(
            f"the environment sets a {scheme} proxy, which requests cannot use; set an http proxy,"
            " add the host to NO_PROXY, or pass your own client=..."
        )
    return proxy


def _httpx_error(error: Exception, request: httpx2.Request) -> httpx2.TransportError:
    text = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return httpx2.ProxyError(f"the proxy answered {error.status} {error.message}")
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)):
        return httpx2.RemoteProtocolError(getattr(error, "message", text), request=request)
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx2.ConnectError(text, request=request)
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return httpx2.ReadError(text, request=request)
    return httpx2.LocalProtocolError(text, request=request)


def _note_error(lost: asyncio.Future[None]) -> None:
    if not lost.cancelled():
        lost.exception()  # seen, so that asyncio does not complain of it
