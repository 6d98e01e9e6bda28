"""1. The source: an official SDK client makes the request and hands over raw bytes.

The SDK brings keys, base URLs, headers, retries on open and the Azure, Bedrock and Vertex
variants. Its per-chunk objects stay off the path: the open response is read as bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from tokenline.errors import (
    ConnectError,
    MissingKeyError,
    NotAStreamError,
    StreamError,
    StreamTimeoutError,
)
from tokenline.source import ByteStream, Request
from tokenline.stage import RawChunk

from .http.body import ResponseBytes
from .http.clients import LoopClients
from .provider_errors import provider_error

_SHOWN_BYTES = 200
_NO_STREAM_TYPES = ("application/json", "text/html")

SendRequest = Callable[[Any, Request], Awaitable[httpx2.Response]]
"""Sends a request with an SDK client; gives the open response."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What tells one source from another.

    Attributes:
        provider: OpenTelemetry GenAI provider name.
        api: wire API, `openai.chat` ...
        base_url: where requests go, if known before the first.
        operation: GenAI operation name.
        name: stage name.
    """

    provider: str
    api: str
    base_url: str | None = None
    operation: str = "chat"
    name: str = "source"


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
        address = urlsplit(spec.base_url) if spec.base_url else None
        self.server_address = address.hostname if address else None
        default_port = 80 if address is not None and address.scheme == "http" else 443
        self.server_port = (address.port or default_port) if address else None
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

    async def aclose(self) -> None:
        """Close the client that this source made on the running loop."""
        await self._clients.aclose()

    def __repr__(self) -> str:
        return f"SdkSource({self.provider!r}, {self.api!r}, {self.server_address!r})"

    async def _ready_client(self) -> Any:
        return self._client if self._client is not None else await self._clients.get()

    async def _check_is_stream(self, response: httpx2.Response) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if 300 <= response.status_code < 400:
            raise NotAStreamError(
                f"{self.provider}: the server redirects (HTTP {response.status_code}) to"
                f" {response.headers.get('location')}; keys are not sent along a redirect,"
                " set that address as the base URL",
                provider=self.provider,
                status=response.status_code,
            )
        if kind in _NO_STREAM_TYPES:
            body = await _read_some(response)
            self._raise_reported(body, response)
            raise NotAStreamError(
                f"{self.provider}: the server answered with {kind}, not an event stream;"
                f" check the base URL and that the server streams: {_shown(body)}",
                provider=self.provider,
                status=response.status_code,
            )

    def _raise_reported(self, body: bytes, response: httpx2.Response) -> None:
        try:
            answer = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return
        if isinstance(answer, dict) and answer.get("error"):
            message, code = reported(answer)
            raise provider_error(
                message, provider=self.provider, status=response.status_code, code=code
            )

    def _typed(self, error: Exception) -> Exception:
        if isinstance(error, (StreamError, MissingKeyError)):
            return error
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._status_error(error, status)
        if "Timeout" in type(error).__name__:
            return StreamTimeoutError(
                f"{self.provider}: no connection to {self._where()} in time; check that the"
                " server runs and can be reached",
                provider=self.provider,
            )
        if isinstance(error, (httpx2.HTTPError, OSError)) or "Connection" in type(error).__name__:
            return ConnectError(
                f"{self.provider}: cannot reach {self._where()} ({_root_cause(error)}); check the"
                " address and that the server runs",
                provider=self.provider,
            )
        return ConnectError(
            f"{self.provider}: the request could not be sent: {_root_cause(error)}",
            provider=self.provider,
            retryable=False,
        )

    def _status_error(self, error: Exception, status: int) -> Exception:
        headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
        message, code = reported(getattr(error, "body", None))
        return provider_error(
            message or str(error),
            provider=self.provider,
            status=status,
            code=code,
            request_id=getattr(error, "request_id", None),
            retry_after_s=_retry_after_s(headers),
        )

    def _where(self) -> str:
        if self.server_address is None:
            return "the server"
        return f"{self.server_address}:{self.server_port}"


def reported(body: Any) -> tuple[str, str | None]:
    """Message and code of an error body in any of the providers' forms."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if isinstance(body, dict):
        message = body.get("message") or body.get("error") or body.get("detail") or ""
        code = body.get("code") if isinstance(body.get("code"), str) else None
        kind = body.get("type") if isinstance(body.get("type"), str) else None
        return str(message), code or kind
    return (body if isinstance(body, str) else ""), None


async def _close_client(client: Any) -> None:
    await client.close()


async def _read_some(response: httpx2.Response) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > 64 * 1024:
            break
    return body


def _shown(body: bytes) -> str:
    return repr(body[:_SHOWN_BYTES].decode("utf-8", "replace").strip())


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0] or type(error).__name__


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after` (RFC 9110 10.2.3, seconds form)."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
    return None
