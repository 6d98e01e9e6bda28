"""From the events of a Messages stream to the common vocabulary.

What becomes of content blocks is told in `content_blocks`, and how a tool call is found complete
in `tool_calls`. A missing `message_start` is made up for. `message_stop` closes what is still
open, and so does the end of the input once a stop reason was sent: some proxies leave
`message_stop` out. At an error, or where the input ends before both, open calls end incomplete.

`message_stop` with neither a block nor a stop reason raises `EmptyResponseError`. No block but a
stop reason is an answer: Claude may end its turn, or refuse, without a word.

Sources: docs.claude.com/en/docs/build-with-claude/streaming and .../handling-stop-reasons.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenline.errors import EmptyResponseError, StreamCutError
from tokenline.events import Event, FinishReason
from tokenline.stage import StepContext
from tokenline_stages.provider_errors import provider_error
from tokenline_stages.wire.items import Comment, Done, Unknown

from . import structs
from .content_blocks import ContentBlocks
from .messages_emission import MessagesEmission
from .usage import merge_usage, normalize_usage

FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "compaction": FinishReason.PAUSE,  # like pause_turn: send the message back to go on
    "refusal": FinishReason.REFUSAL,
    "model_context_window_exceeded": FinishReason.CONTEXT_OVERFLOW,
}
"""Stop reasons of the API; any other is `OTHER`."""


class MessagesNormalizer:
    """One response's worth of Messages events; a `tokenline.stage.Step`.

    Metadata without an event of its own (container, context management, stop details, Bedrock's
    invocation metrics...) comes as `UnknownEvent` where the run passes unknown input through; it
    does not count as unknown.

    Args:
        context: what the step may know of its run.
        provider: the provider's name, for errors.
    """

    def __init__(self, context: StepContext, provider: str = "anthropic") -> None:
        self._provider = provider
        self._emission = MessagesEmission(context)
        self._blocks = ContentBlocks(self._emission, context)
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._ended = False

    @property
    def unknown(self) -> int:
        """How many unknown items were met."""
        return self._emission.unknown

    def feed(self, items: Sequence[structs.MessagesWire], recv_ns: int, out: list[Event]) -> None:
        """Turn a batch of wire events into events.

        Raises:
            ProviderError: the stream reports a failure (see `provider_errors`).
            EmptyResponseError: the message stopped without a block or a stop reason.
            LimitExceededError: too many parts, or too long arguments of a tool call.
            UnknownEventError: strict mode met something unknown.
        """
        emission = self._emission
        emission.begin(recv_ns, out)
        message_id = emission.message_id
        blocks, grow_call = self._blocks.open, self._blocks.grow_call
        for item in items:
            if type(item) is structs.ContentBlockDelta:
                block = blocks.get(item.index)
                delta: Any = item.delta
                if block is not None and type(delta) is block.grows_by:
                    if block.event is None:  # a tool call
                        grow_call(block, delta.text)  # type: ignore[arg-type]
                    elif delta.text:
                        seq = emission.seq
                        emission.seq = seq + 1
                        out.append(block.event(seq, recv_ns, message_id, block.part, delta.text))
                    continue
            if not self._ended:
                _HANDLERS[type(item)](self, item)

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        """The input is over.

        Raises:
            StreamCutError: neither `message_stop` nor a stop reason was seen; open tool calls are
                ended as incomplete.
        """
        if self._ended:
            return
        self._emission.begin(recv_ns, out)
        if self._stop_reason is not None:
            self._end()
            return
        self._blocks.abandon()
        raise StreamCutError(
            f"{self._provider}: the stream ended before message_stop and without a stop reason; "
            "send the request again",
            provider=self._provider,
        )

    def _start_message(self, item: structs.MessageStart) -> None:
        head = item.message or structs.MessageHead()
        self._emission.message_start(head.id, head.model)
        self._update_usage(head.usage)
        self._emission.pass_on("message_start.container", head.container)
        self._emission.pass_on("message_start.context_management", head.context_management)
        self._emission.pass_on("message_start.input_transformations", head.input_transformations)

    def _start_block(self, item: structs.ContentBlockStart) -> None:
        self._blocks.start(item)

    def _grow_block(self, item: structs.ContentBlockDelta) -> None:
        self._blocks.grow(item)

    def _grow_block_otherwise(self, item: structs.OtherBlockDelta) -> None:
        self._blocks.grow_otherwise(item)

    def _stop_block(self, item: structs.ContentBlockStop) -> None:
        self._blocks.stop(item)

    def _update_message(self, item: structs.MessageDelta) -> None:
        self._emission.message_start(None, None)
        delta = item.delta or structs.StopDelta()
        self._update_usage(item.usage)
        if delta.stop_reason:
            self._set_stop(delta.stop_reason, delta.stop_sequence)
        self._emission.pass_on("message_delta.stop_details", delta.stop_details)
        self._emission.pass_on("message_delta.container", delta.container)
        self._emission.pass_on("message_delta.context_management", item.context_management)
        self._emission.pass_on("message_delta.input_transformations", item.input_transformations)

    def _update_usage(self, counts: dict[str, Any] | None) -> None:
        if counts:
            self._usage = merge_usage(self._usage, counts)
            self._emission.usage(normalize_usage(self._usage))

    def _set_stop(self, stop_reason: str, stop_sequence: str | None) -> None:
        self._blocks.settle(stop_reason)
        if stop_reason != self._stop_reason:
            self._stop_reason = stop_reason
            reason = FINISH_REASONS.get(stop_reason, FinishReason.OTHER)
            self._emission.finish(reason, stop_reason, stop_sequence=stop_sequence)

    def _stop_message(self, item: structs.MessageStop) -> None:
        name = "message_stop.amazon-bedrock-invocationMetrics"
        self._emission.pass_on(name, item.invocation_metrics)
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._emission.message_start(None, None)
        self._blocks.close_all()
        raw = self._stop_reason
        if raw is not None:
            self._emission.message_end(FINISH_REASONS.get(raw, FinishReason.OTHER), raw)
        elif self._blocks.any_started:
            self._emission.message_end(None, None)
        else:
            raise EmptyResponseError(
                f"{self._provider}: the response has no content and no stop reason; "
                "send the request again",
                provider=self._provider,
            )

    def _fail(self, item: structs.Error) -> None:
        self._ended = True
        self._blocks.abandon()
        error = item.error
        body = error if isinstance(error, structs.ErrorBody) else structs.ErrorBody(None, error)
        raise provider_error(
            body.message or body.type or "error without a message",
            provider=self._provider,
            code=body.type,
            request_id=item.request_id,
        )

    def _complete_text(self, item: structs.Completion) -> None:
        self._emission.message_start(item.id, item.model)
        block = self._blocks.open.get(0) or self._blocks.start_text(0, structs.TextBlock())
        self._emission.text(block.part, item.completion or "")
        if item.stop_reason:
            self._set_stop(item.stop_reason, item.stop)
            self._end()

    def _ping(self, item: structs.Ping | Comment) -> None:
        self._emission.ping()

    def _take_watched(self, item: structs.Watched) -> None:
        _HANDLERS[type(item.item)](self, item.item)
        for place, data in item.unread:
            self._emission.skip(place, data)

    def _skip(self, item: Unknown) -> None:
        self._emission.skip(item.type, item.data)

    def _ignore(self, item: Done) -> None:
        """Proxies close with an OpenAI end marker; `message_stop` is what counts."""


_HANDLERS: Mapping[type, Callable[[MessagesNormalizer, Any], None]] = {
    structs.MessageStart: MessagesNormalizer._start_message,
    structs.ContentBlockStart: MessagesNormalizer._start_block,
    structs.ContentBlockDelta: MessagesNormalizer._grow_block,
    structs.OtherBlockDelta: MessagesNormalizer._grow_block_otherwise,
    structs.ContentBlockStop: MessagesNormalizer._stop_block,
    structs.MessageDelta: MessagesNormalizer._update_message,
    structs.MessageStop: MessagesNormalizer._stop_message,
    structs.Ping: MessagesNormalizer._ping,
    structs.Error: MessagesNormalizer._fail,
    structs.Completion: MessagesNormalizer._complete_text,
    Comment: MessagesNormalizer._ping,
    Done: MessagesNormalizer._ignore,
    Unknown: MessagesNormalizer._skip,
    structs.Watched: MessagesNormalizer._take_watched,
}
