"""What one provider API has to tell the simulator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tokenline_stages.simulator.answer import Answer
from tokenline_stages.simulator.frames import Frame
from tokenline_stages.simulator.plan import Plan


@dataclass(frozen=True, slots=True)
class Job:
    """What an answer's rendering depends on beside its content; the key of the cache.

    Attributes:
        plan: the plan.
        model: the model to name.
        message_id: the id's variable part.
        include_usage: the request asks for token counts.
        max_tokens: the request's limit, where the plan obeys it.
        path: the request's path.
    """

    plan: Plan
    model: str
    message_id: str
    include_usage: bool = False
    max_tokens: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Framing:
    """How events are put on the wire, and how to spoil them.

    Attributes:
        content_type: of the stream.
        ping: the sign of life; empty where there is none.
        malform: breaks an event's content and leaves its framing intact.
        oversize: an event of at least that many bytes, of a type nobody knows.
    """

    content_type: str
    ping: bytes
    malform: Callable[[bytes], bytes]
    oversize: Callable[[int], bytes]


class WireApi(Protocol):
    """One provider API. Stateless."""

    @property
    def name(self) -> str:
        """Name in the ledger."""
        ...

    def __hash__(self) -> int:
        """Rendered answers are kept by API."""
        ...

    def framing(self, job: Job) -> Framing:
        """How this request's stream is framed."""
        ...

    def wants_stream(self, path: str, payload: Mapping[str, Any]) -> bool:
        """Whether the request asks for a stream."""
        ...

    def key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """The key that the request presents."""
        ...

    def max_tokens(self, payload: Mapping[str, Any]) -> int | None:
        """The request's limit on output tokens."""
        ...

    def render(self, answer: Answer, job: Job) -> list[Frame]:
        """The answer as a stream of events."""
        ...

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """The answer as one JSON object."""
        ...

    def error_body(self, status: int, message: str, error_type: str | None) -> dict[str, Any]:
        """The JSON body of an HTTP error; None stands for the type usual at that status."""
        ...

    def error_event(self, message: str, error_type: str | None) -> bytes:
        """An error inside the stream; None stands for an overloaded server."""
        ...


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def whole_number(payload: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that is a number of tokens."""
    values = (payload.get(name) for name in names)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), None)
