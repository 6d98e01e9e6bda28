"""1. The source: an official SDK client makes the request and hands over raw bytes.

The SDK brings keys, base URLs, headers, retries on open and the Azure, Bedrock and Vertex
variants. Its per-chunk objects stay off the path: the open response is read as bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2

from tokenline.errors import TokenlineError
from tokenline.source import ByteStream, Request
from tokenline.stage import RawChunk

from .http.answers import (
    MAX_ANSWER_BYTES,
    NO_STREAM_TYPES,
    media_type,
    no_stream_error,
    redirect_error,
    status_error,
)
from .http.body import ResponseBytes
from .http.clients import LoopClients
from .http.failures import connect_timeout, unreachable, unsendable
from .http.sdk import client_secrets
from .http.source_spec import SourceSpec as SourceSpec

SendRequest = Callable[[Any, Request], Awaitable[httpx2.Response]]
"""Sends a request with an SDK client; gives the open response."""


class SdkSource:
    """A `tokenline.source.Source` over an official SDK client.

    Args:
        spec: names and address.
        send: sends a request with the client.
        make_client: makes an SDK client for the running loop.
        client: the user's own client; used instead, and never closed.
    """

    outlet: Any = RawChunk

    def __init__(
        self,
        spec: SourceSpec,
        send: SendRequest,
        make_client: Callable[[], Any],
        client: Any | None = None,
    ) -> None:
        self.name = spec.name
        self.provider = spec.provider
        self.api = spec.api
        self.operation = spec.operation
        self.server_address = spec.server_address
        self.server_port = spec.server_port
        self._send = send
        self._client = client
        self._clients: LoopClients[Any] = LoopClients(make_client, _close_client)

    async def prepare(self) -> None:
        """Make the running loop's client, if there is none yet."""
        await self._ready_client()

    async def open(self, request: Request) -> ByteStream:
        """Send the request; see `tokenline.source.Source.open`."""
        client = await self._ready_client()
        try:
            response = await self._send(client, request)
        except Exception as error:
            raise self._typed(error) from error
        try:
            await self._check_is_stream(response)
        except BaseException:
            await response.aclose()
            raise
        return ResponseBytes(response, self.provider)

    @property
    def secrets(self) -> set[str]:
        """The keys that its client sends; no error may show them."""
        client = self._client if self._client is not None else self._clients.known()
        return set() if client is None else client_secrets(client)

    async def aclose(self) -> None:
        """Close the client that this source made on the running loop."""
        await self._clients.aclose()

    def __repr__(self) -> str:
        return f"SdkSource({self.provider!r}, {self.api!r}, {self.server_address!r})"

    async def _ready_client(self) -> Any:
        return self._client if self._client is not None else await self._clients.get()

    async def _check_is_stream(self, response: httpx2.Response) -> None:
        status, headers = response.status_code, response.headers
        if 300 <= status < 400:
            raise redirect_error(self.provider, status, headers.get("location"))
        if media_type(headers) in NO_STREAM_TYPES:
            body = await _read_some(response)
            raise no_stream_error(self.provider, status, headers, body)

    def _typed(self, error: Exception) -> Exception:
        if isinstance(error, TokenlineError):
            return error
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._status_error(error, status)
        if "Timeout" in type(error).__name__:
            return connect_timeout(self.provider, self._where())
        if isinstance(error, (httpx2.HTTPError, OSError)) or "Connection" in type(error).__name__:
            return unreachable(self.provider, self._where(), error)
        return unsendable(self.provider, error)

    def _status_error(self, error: Exception, status: int) -> Exception:
        headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
        if 300 <= status < 400:
            return redirect_error(self.provider, status, headers.get("location"))
        answer: Any = getattr(error, "response", None)
        return status_error(self.provider, status, headers, answer.content if answer else b"")

    def _where(self) -> str:
        if self.server_address is None:
            return "the server"
        return f"{self.server_address}:{self.server_port}"


async def _close_client(client: Any) -> None:
    await client.close()


async def _read_some(response: httpx2.Response) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > MAX_ANSWER_BYTES:
            break
    return body
