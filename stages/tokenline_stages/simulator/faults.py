"""What can be made to go wrong with one response, as data.

Faults are listed in `Plan.faults` and in its JSON form by their `fault` name, such as
`{"fault": "cut", "after_tokens": 3}`. Where a fault strikes is told by one of

- `after_tokens`: before the content event (text, reasoning, tool arguments) that follows that
  many of them, or right after the last,
- `at_event`: at that event of the stream, from 0, service events included,
- `at_byte`: at that byte of the body, inside an event if need be,

or by none of them: then at an event drawn from the seed.
"""

import msgspec

from tokenline.errors import ConfigError


class _Fault(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fault", forbid_unknown_fields=True
):
    pass


class AtEvent(_Fault, frozen=True, kw_only=True):
    """A fault that strikes at an event."""

    after_tokens: int | None = None
    at_event: int | None = None

    def __post_init__(self) -> None:
        given = [
            (name, getattr(self, name))
            for name in ("after_tokens", "at_event", "at_byte")
            if getattr(self, name, None) is not None
        ]
        if len(given) > 1:
            raise ConfigError(f"{given[0][0]} and {given[1][0]} exclude each other; give one")
        if given and given[0][1] < 0:
            raise ConfigError(f"{given[0][0]} is {given[0][1]}; give 0 or more")


class AtByte(AtEvent, frozen=True, kw_only=True):
    """A fault that strikes at an event or inside one."""

    at_byte: int | None = None


# Timing and connection.


class DelayHeaders(_Fault, frozen=True, kw_only=True, tag="delay_headers"):
    """Wait before the response's status line. What is overdue then goes out at once."""

    delay_s: float


class Delay(AtByte, frozen=True, kw_only=True, tag="delay"):
    """Stop for a while; everything after it comes that much later. `at_byte=0`: the first byte."""

    delay_s: float


class Cut(AtByte, frozen=True, kw_only=True, tag="cut"):
    """Close the connection in an orderly way (FIN), the body unfinished."""


class Reset(AtByte, frozen=True, kw_only=True, tag="reset"):
    """Tear the connection down (RST); the client may lose bytes that were already sent."""


class Silence(AtByte, frozen=True, kw_only=True, tag="silence"):
    """Send nothing more and keep the connection open, until `hold_s` or until the client leaves.

    After `hold_s` the connection is closed with the body unfinished.
    """

    hold_s: float = 3600.0


class SlowLoris(AtByte, frozen=True, kw_only=True, tag="slow_loris"):
    """From there on send `bytes_per_write` bytes every `interval_s`."""

    interval_s: float = 0.01
    bytes_per_write: int = 1


# Events.


class MalformedEvent(AtEvent, frozen=True, kw_only=True, tag="malformed_event"):
    """Break an event's JSON: its last third is missing, its framing is intact."""


class OversizedEvent(AtEvent, frozen=True, kw_only=True, tag="oversized_event"):
    """Put in an event of at least that size, with valid JSON of a type nobody knows."""

    size_bytes: int = 2_000_000


class DuplicateEvent(AtEvent, frozen=True, kw_only=True, tag="duplicate_event"):
    """Send an event again, `copies` times."""

    copies: int = 1


class ReorderedEvents(AtEvent, frozen=True, kw_only=True, tag="reordered_events"):
    """Swap an event with the one after it."""


class ErrorEvent(AtEvent, frozen=True, kw_only=True, tag="error_event"):
    """Report an error inside the stream in the provider's own form, then end the body.

    `error_type` is the provider's code; None takes the API's word for an overloaded server.
    """

    message: str = "Overloaded"
    error_type: str | None = None


# The response's head.


class HttpError(_Fault, frozen=True, kw_only=True, tag="http_error"):
    """Answer with an error status instead of a stream.

    `body` is `provider` (the API's JSON form), `empty`, `text` or `html` (a proxy's page).
    `retry_after` is sent as it is: seconds or an HTTP date.
    """

    status: int
    message: str = "the simulator was asked to fail"
    error_type: str | None = None
    body: str = "provider"
    retry_after: str | None = None

    def __post_init__(self) -> None:
        if self.body not in ("provider", "empty", "text", "html"):
            raise ConfigError(f"body is {self.body!r}; give provider, empty, text or html")
        if not 300 <= self.status <= 599:
            raise ConfigError(f"status is {self.status}; give 300 to 599")


class WrongContentType(_Fault, frozen=True, kw_only=True, tag="wrong_content_type"):
    """Send the stream under another content type."""

    content_type: str = "text/html"


class WrongLength(_Fault, frozen=True, kw_only=True, tag="wrong_length"):
    """Announce `Content-Length` wrong by `delta_bytes`.

    Above 0 the body ends before its length (the connection closes); below 0 it runs over.
    """

    delta_bytes: int = 10


class Gzip(_Fault, frozen=True, kw_only=True, tag="gzip"):
    """Compress the body, flushed at every write. `declared=False` leaves the header out."""

    declared: bool = True


class HugeHeaders(_Fault, frozen=True, kw_only=True, tag="huge_headers"):
    """Add headers of `size_bytes` in all, `header_bytes` each."""

    size_bytes: int = 100_000
    header_bytes: int = 4_000


class Redirect(_Fault, frozen=True, kw_only=True, tag="redirect"):
    """Answer with a redirect to `location`."""

    location: str
    status: int = 307


Fault = (
    DelayHeaders
    | Delay
    | Cut
    | Reset
    | Silence
    | SlowLoris
    | MalformedEvent
    | OversizedEvent
    | DuplicateEvent
    | ReorderedEvents
    | ErrorEvent
    | HttpError
    | WrongContentType
    | WrongLength
    | Gzip
    | HugeHeaders
    | Redirect
)
