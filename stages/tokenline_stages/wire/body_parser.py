"""What the parsers of all wire formats share: limits, the first look at a body, bad input."""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import msgspec

from tokenline.errors import (
    LimitExceededError,
    MalformedStreamError,
    NotAStreamError,
    ProviderError,
    StreamCutError,
    StreamError,
)
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.provider_errors import provider_error

from .json_text import is_deeper, mend_text

W = TypeVar("W")
Found = TypeVar("Found")

UNREADABLE = (msgspec.MsgspecError, ValueError, LookupError, RecursionError, StreamError)
"""What a provider's `decode` may raise for an item that it cannot read."""

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_HEAD_BYTES = 4096
_SHOWN_CHARS = 500
_SHOWN_DATA_BYTES = 80


class Decoder(Protocol[Found]):
    """A wire format: bytes in, items out; `found` has them also when `feed` raises."""

    found: list[Found]

    def feed(self, data: bytes) -> list[Found]:
        """The items that `data` completes."""
        ...

    def finish(self) -> list[Found]:
        """What lacks only its end."""
        ...

    def offset_of(self, index: int) -> int:
        """Where `found[index]` begins in the body."""
        ...


class BodyParser(Generic[Found, W]):
    """A step around a decoder; the subclass turns what the decoder finds into wire items.

    Attributes:
        repaired: how many items had text that is no Unicode; U+FFFD stands in its place.
    """

    form: ClassVar[str]
    """What the body should be, for messages."""
    foreign: ClassVar[re.Pattern[bytes]]
    """How a body begins that is surely something else: an error report, a web page."""

    def __init__(self, decoder: Decoder[Found], context: StepContext, provider: str) -> None:
        limits = context.limits
        self._decoder = decoder
        self._provider = provider
        self._max_bytes = self._left_bytes = limits.max_message_bytes
        self._max_depth = limits.max_json_depth
        # Every level of JSON opens and closes: fewer bytes than this cannot be too deep.
        self._deep_bytes = 2 * limits.max_json_depth
        # How the body begins, kept until there is an item.
        self._head: bytearray | None = bytearray()
        self._is_foreign = False
        self.repaired = 0

    def feed(self, items: Sequence[RawChunk], recv_ns: int, out: list[W]) -> None:
        """Parse what the reads brought.

        Raises:
            MalformedStreamError: bytes that the wire format or the provider's types forbid.
            LimitExceededError: a limit on lines, events, nesting or the whole body was passed.
            NotAStreamError: the body is something else; the message shows how it begins.
            ProviderError: the body, or a line outside of any event, is an error report.
        """
        for chunk in items:
            data = chunk.data
            left_bytes = self._left_bytes - len(data)
            if self._head is not None or left_bytes < 0:
                self._parse_carefully(data, out)
                continue
            self._left_bytes = left_bytes
            try:  # `_parse`, spelled out
                found = self._decoder.feed(data)
            except StreamError as error:
                raise self._stopped(error, out) from None
            self._emit(found, out)

    def finish(self, recv_ns: int, out: list[W]) -> None:
        """Parse an item that lacks only its end.

        Raises:
            StreamCutError: the body ended inside an item.
            NotAStreamError, ProviderError: as `feed`.
        """
        if self._is_foreign:
            raise self._refusal()
        try:
            found = self._decoder.finish()
        except StreamError as error:
            raise self._placed(error) from None
        if found:
            self._head = None
        self._emit(found, out, ended=True)

    def _emit(self, found: list[Found], out: list[W], ended: bool = False) -> None:
        """Append the wire items of `found`, exactly one each; `ended`: by `finish`."""
        raise NotImplementedError

    def _parse(self, data: bytes, out: list[W]) -> None:
        try:
            found = self._decoder.feed(data)
        except StreamError as error:
            raise self._stopped(error, out) from None
        self._emit(found, out)

    def _stopped(self, error: StreamError, out: list[W]) -> StreamError:
        """The decoder refused to go on: what it found before still counts."""
        self._emit(self._decoder.found, out)
        return self._placed(error)

    def _parse_carefully(self, data: bytes, out: list[W]) -> None:
        """Parse the beginning of the body, or the last bytes that `max_message_bytes` allows."""
        allowed = data[: self._left_bytes]
        self._left_bytes -= len(allowed)
        if self._head is not None:
            self._look_at(self._head, allowed)
        if not self._is_foreign:
            self._parse(allowed, out)
            if self._decoder.found:
                self._head = None
        if len(allowed) < len(data):
            raise LimitExceededError(
                f"{self._provider}: the response is larger than {self._max_bytes} bytes;"
                " raise Limits.max_message_bytes if this is no fault",
                limit="max_message_bytes",
                provider=self._provider,
            )

    def _look_at(self, head: bytearray, data: bytes) -> None:
        if len(head) < _HEAD_BYTES:
            head += data[: _HEAD_BYTES - len(head)]
            self._is_foreign = self.foreign.match(head) is not None
        if self._is_foreign and len(head) == _HEAD_BYTES:
            raise self._refusal()

    def _refusal(self) -> StreamError:
        """The error for a body that is not of this form."""
        head = bytes(self._head or b"").removeprefix(_BOM)
        report = read_report(head, self._provider)
        if report is not None:
            return report
        if head.startswith(_GZIP):
            return NotAStreamError(
                f"{self._provider}: the answer is compressed with gzip and its headers do not say"
                " so; check the proxies on the way to the server",
                provider=self._provider,
            )
        text = " ".join(head.decode("utf-8", "replace").split())
        return NotAStreamError(
            f"{self._provider}: the answer is no {self.form}; check the URL and that the server"
            f" supports streaming. It begins: {text[:_SHOWN_CHARS]}",
            provider=self._provider,
        )

    def _rescue(
        self, decode: Callable[[bytes], W], data: bytes, index: int, error: Exception, ended: bool
    ) -> W:
        """Decode `found[index]` once more with its text mended, or raise for it."""
        if isinstance(error, StreamError) and type(error) is not MalformedStreamError:
            raise self._named(error)
        if isinstance(error, RecursionError):
            raise self._too_deep() from None
        mended = mend_text(data)
        if mended != data:
            try:
                item = decode(mended)
            except UNREADABLE:
                pass
            else:
                self.repaired += 1
                return item
        raise self._unreadable(data, index, error, ended) from error

    def _unreadable(self, data: bytes, index: int, error: Exception, ended: bool) -> StreamError:
        offset = self._decoder.offset_of(index)
        shown = " ".join(data[:_SHOWN_DATA_BYTES].decode("utf-8", "replace").split())
        if ended:
            return StreamCutError(
                f"{self._provider}: the response ended inside the event at byte {offset}: {shown}",
                provider=self._provider,
            )
        reason = " ".join(str(error).split())[:_SHOWN_CHARS]
        return MalformedStreamError(
            f"{self._provider}: cannot read the event at byte {offset} ({reason}): {shown}",
            offset=offset,
            provider=self._provider,
        )

    def _placed(self, error: StreamError) -> StreamError:
        """An error of the decoder, which does not know the provider."""
        error.provider = self._provider
        error.args = (f"{self._provider}: {error}",)
        return error

    def _named(self, error: StreamError) -> StreamError:
        if error.provider is None:
            error.provider = self._provider
        return error

    def _check_depth(self, data: bytes) -> None:
        if is_deeper(data, self._max_depth):
            raise self._too_deep()

    def _too_deep(self) -> LimitExceededError:
        return LimitExceededError(
            f"{self._provider}: the JSON of an event is nested deeper than {self._max_depth} levels"
            " (Limits.max_json_depth) or than Python's recursion limit",
            limit="max_json_depth",
            provider=self._provider,
        )


def read_report(data: bytes, provider: str) -> ProviderError | None:
    """The error that a JSON text reports, if it does.

    Known forms: `{"error": {...}}` or `{"error": "text"}`, a list of one such object (Google), and
    `{"code": ..., "message": ...}` (llama.cpp).
    """
    try:
        report = msgspec.json.decode(data)
    except UNREADABLE:
        return None
    if isinstance(report, list) and len(report) == 1:
        report = report[0]
    if not isinstance(report, dict):
        return None
    error = report.get("error") or (report if "code" in report and "message" in report else None)
    if isinstance(error, str):
        return provider_error(error, provider=provider)
    if not isinstance(error, dict):
        return None
    message, code = error.get("message"), error.get("code")
    kinds = (error.get("type"), error.get("status"))
    return provider_error(
        message if isinstance(message, str) else data.decode("utf-8", "replace"),
        provider=provider,
        status=code if isinstance(code, int) else None,
        code=code if isinstance(code, str) else None,
        kind=next((kind for kind in kinds if isinstance(kind, str)), None),
    )
