"""1. The source: an official SDK client makes the request and hands over raw bytes.

The SDK brings keys, base URLs, headers, retries on open and the Azure, Bedrock and Vertex
variants. Its per-chunk objects stay off the path: the open response is read as bytes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenline.errors import TokenlineError
from tokenline.source import ByteStream, Request
from tokenline.stage import RawChunk

from .http.answers import (
    NO_STREAM_TYPES,
    media_type,
    no_stream_error,
    read_answer,
    redirect_error,
    status_error,
)
from .http.clients import LoopClients
from .http.failures import client_failure
from .http.sdk import HTTP_MODULES, client_secrets
from .http.source_spec import SourceSpec as SourceSpec
from .http.tls import default_context

if TYPE_CHECKING:
    import httpx2

_importing = threading.Lock()

SendRequest = Callable[[Any, Request], Awaitable["httpx2.Response"]]
"""Sends a request with an SDK client; gives the open response."""


class SdkSource:
    """A `tokenline.source.Source` over an official SDK client.

    Args:
        spec: names and address.
        send: sends a request with the client.
        make_client: makes an SDK client for the running loop.
        client: the user's own client; used instead, and never closed.
        modules: of the SDK; imported before the client is made, beside the event loop, which
            would stand still for it (0.4 to 2.7 s, measured on two cores).
    """

    outlet: Any = RawChunk

    def __init__(
        self,
        spec: SourceSpec,
        send: SendRequest,
        make_client: Callable[[], Any],
        client: Any | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        self.name = spec.name
        self.provider = spec.provider
        self.api = spec.api
        self.operation = spec.operation
        self.server_address = spec.server_address
        self.server_port = spec.server_port
        self._send = send
        self._client = client
        self._modules = tuple(modules)
        self._loaded = False
        self._clients: LoopClients[Any] = LoopClients(make_client, _close_client)

    async def prepare(self) -> None:
        """Import the SDK and make the running loop's client, if there is none yet."""
        if not self._loaded:
            await asyncio.to_thread(self._load)
        await self._ready_client()

    async def open(self, request: Request) -> ByteStream:
        """Send the request; see `tokenline.source.Source.open`."""
        from .http.body import ResponseBytes

        client = await self._ready_client()
        try:
            response = await self._send(client, request)
        except Exception as error:
            raise self._typed(error) from error
        body = ResponseBytes(response, self.provider)
        try:
            await self._check_is_stream(body)
        except BaseException:
            await response.aclose()
            raise
        return body

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

    def _load(self) -> None:
        # Two threads that import one SDK at once see it half made.
        with _importing:
            for name in HTTP_MODULES:
                import_module(name)
            if self._client is None:
                for name in self._modules:
                    with suppress(ImportError):  # whoever needs it says how to install it
                        import_module(name)
                default_context()
        self._loaded = True

    async def _check_is_stream(self, answer: ByteStream) -> None:
        status, headers = answer.status, answer.headers
        if 300 <= status < 400:
            raise redirect_error(self.provider, status, headers.get("location"))
        if media_type(headers) in NO_STREAM_TYPES:
            body = await read_answer(answer.read)
            raise no_stream_error(self.provider, status, headers, body)

    def _typed(self, error: Exception) -> Exception:
        if isinstance(error, TokenlineError):
            return error
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._status_error(error, status)
        return client_failure(self.provider, self._where(), error)

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
