"""An httpx2 transport over aiohttp that leaves the response body within reach.

The SDKs build the request (keys, URL, retries); aiohttp carries it: it reads a streamed body at
a third of the cost of httpx2's own transport, and on top of it the pipeline reads from
aiohttp's buffer directly, without httpx2's three layers of generators for each read.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx2
from yarl import URL

BODY_EXTENSION = "tokenline.body"
"""Key in `httpx2.Response.extensions` under which the aiohttp response is found."""

MAX_CONNECTIONS = 1000
"""Connections of one client; the SDKs' own default."""

KEEP_ALIVE_S = 15.0
"""How long an unused connection is kept; below the idle limit of common proxies (60 s)."""


class AiohttpBody(httpx2.AsyncByteStream):
    """The body, for readers that come through httpx2 (error answers, non-streamed bodies)."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.content.iter_any():
                yield data
        except aiohttp.ClientError as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Close; the connection goes back to the pool if the body was read to its end."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Carries httpx2 requests over one aiohttp session. Belongs to one event loop.

    Args:
        verify: TLS context; None verifies against the system's and certifi's roots.
    """

    def __init__(self, verify: ssl.SSLContext | None = None) -> None:
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    def _open_session(self) -> aiohttp.ClientSession:
        context = self._verify if self._verify is not None else httpx2.create_ssl_context()
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ssl=context
        )
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
            read_bufsize=256 * 1024,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; gives the response as soon as its headers are there.

        Raises:
            httpx2.TimeoutException: no connection in time.
            httpx2.TransportError: no connection, or it broke.
        """
        if self._session is None:
            self._session = self._open_session()
        limits = request.extensions.get("timeout") or {}
        timeout = aiohttp.ClientTimeout(
            total=None, connect=limits.get("pool"), sock_connect=limits.get("connect")
        )
        try:
            response = await self._session.request(
                request.method,
                # As it is: a path that is signed must not be quoted anew on its way.
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=timeout,
            )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error) or "timed out", request=request) from error
        except aiohttp.ClientConnectorError as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        except (aiohttp.ClientError, ValueError) as error:
            text = str(error) or type(error).__name__
            raise httpx2.RemoteProtocolError(text, request=request) from error
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=AiohttpBody(response),
            extensions={BODY_EXTENSION: response},
            request=request,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
