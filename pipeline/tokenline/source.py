"""What a source is: it opens the provider's stream and hands over raw bytes.

The only I/O on the way in. A source maps every foreign exception to `tokenline.errors`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a provider.

    Attributes:
        payload: the provider's own request body; the source adds what streaming needs.
        headers: extra HTTP headers of this request. They are kept out of `repr`.
        connect_timeout_s: longest wait for a connection; None leaves it to the client.
    """

    payload: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout_s: float | None = None


class ByteStream(Protocol):
    """An open response."""

    @property
    def status(self) -> int:
        """HTTP status, 2xx."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in lower case."""
        ...

    def read(self) -> Awaitable[bytes]:
        """What one read brought, never waiting for more; `b""` at the end of the body.

        Raises:
            StreamCutError: the connection broke or the body ended early.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the response. Before its end this closes the socket. Idempotent."""
        ...


class PushStream(ByteStream, Protocol):
    """A stream that can hand over its bytes inside the loop's read callback.

    The reading task then sleeps through the whole response: one task wake-up less for each read.

    A stream may also have an attribute `wakes`, a `tokenline.wake.Wakes`: what let the task go on
    that opened it. Readers of what is pushed at once go on right after that task, then.
    """

    def attach(
        self, on_data: Callable[[bytes], bool], on_end: Callable[[BaseException | None], None]
    ) -> None:
        """From now on hand what each socket read brought to `on_data`.

        `on_data` takes the bytes; after it said False nothing more comes until `resume`.
        `on_end` is called once, after all data: None for a complete body, else the error.
        After `aclose` neither is called.
        """
        ...

    def resume(self) -> None:
        """Go on after `on_data` said False."""
        ...


class Source(Protocol):
    """Opens streams of one provider; shared by all runs of a pipeline.

    A source may also have an attribute `secrets`: the strings (keys, tokens) that it sends and
    that must not show up in the text of any error.

    Attributes:
        name: stage name, `source` unless set otherwise.
        provider: OpenTelemetry GenAI provider name.
        api: which wire API, `openai.chat` ...
        operation: GenAI operation name, `chat` ...
        server_address: host the requests go to, if known before the first.
        server_port: its port.
        outlet: type of the items that come out (`RawChunk` but for scripted sources).
    """

    @property
    def name(self) -> str:
        """Stage name."""
        ...

    @property
    def provider(self) -> str:
        """GenAI provider name."""
        ...

    @property
    def api(self) -> str:
        """Wire API."""
        ...

    @property
    def operation(self) -> str:
        """GenAI operation."""
        ...

    @property
    def server_address(self) -> str | None:
        """Host."""
        ...

    @property
    def server_port(self) -> int | None:
        """Port."""
        ...

    @property
    def outlet(self) -> Any:
        """Type of the items that come out."""
        ...

    async def prepare(self) -> None:
        """Make ready what the first request needs (imports, client, TLS context); else nothing.

        Kept apart from `open` so that a cold client does not count as the provider's time.

        Raises:
            MissingKeyError: no credentials.
        """
        ...

    async def open(self, request: Request) -> ByteStream:
        """Send the request; return when the response's headers are there.

        Raises:
            ConnectError: no connection.
            ProviderError: the server answered with an error status (a subclass by status).
            NotAStreamError: the answer is no event stream.
        """
        ...

    async def aclose(self) -> None:
        """Close the client this source made for itself; a user's client is left open."""
        ...


class Opening(Protocol):
    """A request that was sent and whose response was not waited for yet; one of both is called."""

    async def stream(self) -> ByteStream:
        """What `Source.open` gives; raises like that."""
        ...

    def abort(self) -> None:
        """Nobody waits for the response any more: close its socket."""
        ...


class EagerSource(Source, Protocol):
    """A source that can send without waiting.

    The pipeline then sends first and makes everything else ready while the server works.
    """

    def begin(self, request: Request) -> Opening | None:
        """Send the request now; None, and nothing was sent, leaves it to `prepare` and `open`.

        Never waits and never raises: what is wrong is left to `open`, too. Looked up on the
        class, so that a source that wraps another one has it only if it defines it.
        """
        ...
