"""Ollama's lines as tokenline events.

Thinking and content come token by token; consecutive tokens of one kind are one part. Calls
come whole. `done: true` ends the message; a server that stops before it has cut the answer.

- Calls get an id made of the message id and their part if the server sends none.
- An answer with calls ends with `TOOL_CALLS`; the raw reason stays `stop`.
- Usage: `prompt_eval_count` and `eval_count`, thinking included. A prompt in the server's cache
  may be counted as zero or not at all. The raw object has the durations too, in nanoseconds.
- An error inside the stream has no code; what its words do not tell is a `ServerError`.

Source: docs.ollama.com/api/chat, /api/generate, /api/usage and /api/errors.
"""

from collections.abc import Sequence

import msgspec

from tokenline.errors import LimitExceededError, ProviderError, ServerError, StreamCutError
from tokenline.events import (
    Event,
    FinishReason,
    Logprobs,
    PartKind,
    ProviderBlock,
    ReasoningDelta,
    ReasoningKind,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission
from tokenline_stages.provider_errors import provider_error
from tokenline_stages.wire.items import Unknown

from . import wire

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "load": FinishReason.OTHER,
    "unload": FinishReason.OTHER,
}
"""Ollama's `done_reason`; others are `OTHER`. Old servers send none: `STOP`, raw reason empty.

`load` and `unload` answer a request without a prompt: the model was put in or out of memory.
"""

_PROVIDER = "ollama"
_NOTHING = frozenset({b"", b"null", b"[]"})


class OllamaNormalizer:
    """From Ollama's lines to events; one for each response.

    `feed` raises `ProviderError` for an error line, `MalformedStreamError`,
    `LimitExceededError` and, if strict, `UnknownEventError`; `finish` raises `StreamCutError`.
    """

    def __init__(self, context: StepContext) -> None:
        self._emission = Emission(context)
        self._limits = context.limits
        self._part = -1
        self._kind: PartKind | None = None
        self._calls = 0
        self._ended = False

    @property
    def unknown(self) -> int:
        """How many unknown items were met."""
        return self._emission.unknown

    def feed(self, items: Sequence[wire.Item], recv_ns: int, out: list[Event]) -> None:
        """Turn a batch of lines into events; what follows the last line is counted only."""
        emission = self._emission
        emission.begin(recv_ns, out)
        for item in items:
            if self._ended:
                emission.unknown += 1
            elif isinstance(item, Unknown):
                emission.skip(item.type, item.data)
            else:
                self._line(item)

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        """Raise `StreamCutError` unless the last line has come."""
        if not self._ended:
            raise StreamCutError(
                "Ollama's response ended before its last line; send the request again",
                provider=_PROVIDER,
            )

    def _line(self, line: wire.Line) -> None:
        if line.error is not None:
            raise read_failure(line.error)
        emission = self._emission
        if not emission.started:
            emission.message_start(None, line.model)
        message = line.message
        if message is not None:
            self._content(message.thinking, message.content)
            if message.tool_calls or message.images:
                self._rest(message.tool_calls, "images", message.images)
        if message is None or line.response or line.thinking:
            self._content(line.thinking, line.response)
            if line.tool_calls or line.image:
                self._rest(line.tool_calls, "image", line.image)
        if line.logprobs and bytes(line.logprobs) not in _NOTHING:
            emission.emit(Logprobs, bytes(line.logprobs))
        for name, data in line.unread:
            emission.skip(name, data)
        if line.done:
            self._end(line)

    def _content(self, thinking: str | None, text: str | None) -> None:
        emission = self._emission
        if thinking:
            if self._kind is not PartKind.REASONING:
                self._open(PartKind.REASONING)
            seq = emission.seq
            emission.seq = seq + 1
            stamps = seq, emission.recv_ns, emission.message_id
            emission.out.append(ReasoningDelta(*stamps, self._part, thinking))
        if text:
            if self._kind is not PartKind.TEXT:
                self._open(PartKind.TEXT)
            seq = emission.seq
            emission.seq = seq + 1
            stamps = seq, emission.recv_ns, emission.message_id
            emission.out.append(TextDelta(*stamps, self._part, text))

    def _open(self, kind: PartKind) -> None:
        self._close()
        native = ReasoningKind.NATIVE if kind is PartKind.REASONING else None
        self._part = self._emission.open_part(kind, reasoning_kind=native)
        self._kind = kind

    def _close(self) -> None:
        if self._kind is not None:
            self._emission.close_part(self._part)
            self._kind = None

    def _rest(
        self, calls: tuple[wire.ToolCall, ...] | None, image_key: str, images: msgspec.Raw
    ) -> None:
        for call in calls or ():
            self._tool_call(call, call.function or wire.Function())
        if bytes(images) not in _NOTHING:
            self._block(image_key, bytes(images))

    def _tool_call(self, call: wire.ToolCall, function: wire.Function) -> None:
        self._close()
        emission = self._emission
        part = emission.new_part()
        call_id = call.id or f"call_{emission.message_id}_{part}"
        name = function.name or ""
        self._calls += 1
        emission.emit(ToolCallStart, part, call_id, name)
        arguments = wire.read_arguments(function.arguments)
        if len(arguments.encode()) > self._limits.max_arguments_bytes:
            raise LimitExceededError(
                "arguments of one tool call are too large; raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )
        if arguments:
            emission.emit(ToolCallDelta, part, call_id, name, arguments)
        emission.emit(ToolCallEnd, part, call_id, name, True)

    def _block(self, type_: str, data: bytes) -> None:
        self._close()
        part = self._emission.open_part(PartKind.BLOCK)
        self._emission.emit(ProviderBlock, part, type_, data)
        self._emission.close_part(part)

    def _end(self, line: wire.Line) -> None:
        emission = self._emission
        self._close()
        if bytes(line.context) not in _NOTHING:
            self._block("context", bytes(line.context))
        usage = read_usage(line)
        if usage is not None:
            emission.usage(usage)
        raw = line.done_reason or ""
        reason = FINISH_REASONS.get(raw, FinishReason.OTHER) if raw else FinishReason.STOP
        if reason is FinishReason.STOP and self._calls:
            reason = FinishReason.TOOL_CALLS
        emission.finish(reason, raw)
        emission.message_end(reason, raw)
        self._ended = True


def read_usage(line: wire.Statistics) -> Usage | None:
    """The token counts of the last line; None if it has no statistics."""
    raw = {
        name: value
        for name in wire.Statistics.__struct_fields__
        if (value := getattr(line, name)) is not None
    }
    if not raw:
        return None
    return Usage(input_tokens=line.prompt_eval_count, output_tokens=line.eval_count, raw=raw)


def read_failure(error: object) -> ProviderError:
    """The typed error for the `error` of a line or of an error body."""
    message = error
    if isinstance(error, dict):
        message = error.get("message") or error
    failure = provider_error(str(message), provider=_PROVIDER)
    if type(failure) is ProviderError:
        return ServerError(str(failure), provider=_PROVIDER)
    return failure
