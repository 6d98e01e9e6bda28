"""From the events of a Responses stream to the common vocabulary.

What becomes of output items is told in `items`, and which item an event belongs to in
`item_table`. The final response is compared with what was streamed, and what was missing of it is
emitted once: so a stream that begins late, or holds nothing but its final event, gives the same
content.

`Finish.raw_reason` is the reason why a response is incomplete (`max_output_tokens`), else its
status; `MessageEnd.raw_reason` is the status. A response that `completed` without any item raises
`EmptyResponseError`.

Sources: developers.openai.com/api/reference/resources/responses/streaming-events and
developers.openai.com/api/docs/guides/streaming-responses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Raw

from tokenline.errors import EmptyResponseError, StreamCutError
from tokenline.events import Event, FinishReason, ToolCallDelta
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission
from tokenline_stages.wire.items import Comment, Done, Unknown

from . import structs
from .ending import (
    INCOMPLETE_REASONS,
    incomplete_reason,
    read_usage,
    reported_error,
    status_of,
    typed_error,
)
from .item_table import ItemTable
from .items import TextItem
from .output_items import decode_part
from .parts import NATIVE, REFUSAL, SUMMARY, TEXT, OpenCall, OpenPart, Slot, arguments_text

_TEXTS: Mapping[type, tuple[str, Slot]] = {
    structs.TextDelta: ("message", TEXT),
    structs.TextDone: ("message", TEXT),
    structs.RefusalDelta: ("message", REFUSAL),
    structs.RefusalDone: ("message", REFUSAL),
    structs.ReasoningDelta: ("reasoning", NATIVE),
    structs.ReasoningDone: ("reasoning", NATIVE),
    structs.SummaryDelta: ("reasoning", SUMMARY),
    structs.SummaryDone: ("reasoning", SUMMARY),
}
_CALLS: Mapping[type, str] = {
    structs.ArgumentsDelta: "function_call",
    structs.ArgumentsDone: "function_call",
    structs.InputDelta: "custom_tool_call",
    structs.InputDone: "custom_tool_call",
    structs.McpArgumentsDelta: "mcp_call",
    structs.McpArgumentsDone: "mcp_call",
    structs.CodeDelta: "code_interpreter_call",
    structs.CodeDone: "code_interpreter_call",
}
_SERVICE = (Comment, Done, structs.KeepAlive, structs.Progress)
_NO_RESPONSE = structs.Response()
_NO_DELTA = structs.TextDelta()


class ResponsesNormalizer:
    """One response's worth of Responses events; a `tokenline.stage.Step`.

    Args:
        context: what the step may know of its run.
        provider: the provider's name, for errors.
    """

    def __init__(self, context: StepContext, provider: str = "openai") -> None:
        self._provider = provider
        self._emission = Emission(context)
        self._items = ItemTable(self._emission, context)
        self._hot: OpenPart | OpenCall | None = None
        self._hot_delta: structs.PartDelta | structs.CallDelta = _NO_DELTA
        self._ended = False

    @property
    def unknown(self) -> int:
        """How many unknown items were met."""
        return self._emission.unknown

    def feed(self, items: Sequence[structs.ResponsesWire], recv_ns: int, out: list[Event]) -> None:
        """Turn a batch of wire events into events.

        Raises:
            ProviderError: the stream reports a failure (see `provider_errors`).
            EmptyResponseError: the response completed without any item.
            LimitExceededError: too many parts, or too long arguments of a tool call.
            UnknownEventError: strict mode met something unknown.
        """
        self._emission.begin(recv_ns, out)
        rest = iter(items)
        while True:
            item = next(rest, None) if self._hot is None else self._grow_hot(rest)
            if item is None:
                return
            self._hot = None
            self._take(item)

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        """The input is over.

        Raises:
            StreamCutError: no final event was seen; open tool calls are ended as incomplete.
        """
        if self._ended:
            return
        self._emission.begin(recv_ns, out)
        self._items.close(is_cut=True, is_last_cut=False)
        raise StreamCutError(
            f"{self._provider}: the stream ended before response.completed; send the request again",
            provider=self._provider,
        )

    def _grow_hot(self, rest: Iterator[structs.ResponsesWire]) -> structs.ResponsesWire | None:
        """Emit deltas of what grew last until something else comes, and give that."""
        hot, last = self._hot, self._hot_delta
        if isinstance(hot, OpenPart) and isinstance(last, structs.PartDelta):
            return self._grow_hot_part(hot, last, rest)
        if isinstance(hot, OpenCall) and isinstance(last, structs.CallDelta):
            return self._grow_hot_call(hot, last, rest)
        return next(rest, None)

    def _grow_hot_part(
        self, part: OpenPart, last: structs.PartDelta, rest: Iterator[Any]
    ) -> structs.ResponsesWire | None:
        emission = self._emission
        wire_type, index, output_index = type(last), last.index, last.output_index
        item_id, message_id, recv_ns = last.item_id, emission.message_id, emission.recv_ns
        event, number = part.slot.delta, part.open()
        append, keep = emission.out.append, part.fragments.append
        seq = emission.seq
        item: structs.AnyPartDelta  # once its type was compared
        for item in rest:
            if (
                type(item) is not wire_type
                or item.index != index
                or item.output_index != output_index
                or item.item_id != item_id
                or not item.delta
                or item.logprobs
            ):
                emission.seq = seq
                return item
            append(event(seq, recv_ns, message_id, number, item.delta))
            keep(item.delta)
            seq += 1
        emission.seq = seq
        return None

    def _grow_hot_call(
        self, call: OpenCall, last: structs.CallDelta, rest: Iterator[Any]
    ) -> structs.ResponsesWire | None:
        emission = self._emission
        wire_type, output_index, item_id = type(last), last.output_index, last.item_id
        number, tool_call_id, name = call.number or 0, call.tool_call_id, call.name
        message_id, recv_ns = emission.message_id, emission.recv_ns
        append = emission.out.append
        item: structs.AnyCallDelta  # once its type was compared
        for item in rest:
            if (
                type(item) is not wire_type
                or item.output_index != output_index
                or item.item_id != item_id
                or type(item.delta) is not str
                or not item.delta
            ):
                return item
            text = item.delta
            call.keep(text)
            seq = emission.seq
            emission.seq = seq + 1
            append(ToolCallDelta(seq, recv_ns, message_id, number, tool_call_id, name, text))
        return None

    def _take(self, item: structs.ResponsesWire) -> None:
        if self._ended:
            if not isinstance(item, _SERVICE):
                self._emission.unknown += 1
            return
        if not self._emission.started and type(item) not in _BEFORE_START:
            self._begin(item)
        _HANDLERS[type(item)](self, item)

    def _begin(self, item: Any) -> None:
        response = item.response if isinstance(item, structs.Snapshot) else None
        if response is None:
            response = _NO_RESPONSE
            self._items.is_late = (getattr(item, "sequence_number", None) or 0) > 0
        self._emission.message_start(response.id, response.model)

    # Items

    def _add_item(self, item: structs.ItemAdded) -> None:
        self._items.begin(item)

    def _finish_item(self, item: structs.ItemDone) -> None:
        self._items.finish(item)

    # Parts of messages and of reasoning

    def _grow_part(self, item: structs.PartDelta, split: str | None = None) -> None:
        if not item.delta:
            return
        part = self._part(item)
        part.append(item.delta if split is None else split, split is not None)
        if item.logprobs:
            part.log_probabilities(item.logprobs)
        if not (part.final or part.held or part.half):
            self._hot = part
            self._hot_delta = item

    def _finish_text(self, item: structs.PartText) -> None:
        part = self._part(item)
        part.tell(item.text)
        if item.logprobs and not part.has_logprobs:
            part.log_probabilities(item.logprobs)

    def _part(self, item: structs.PartDelta | structs.PartText) -> OpenPart:
        type_, slot = _TEXTS[type(item)]
        return self._items.text_item(type_, item).part(slot, item.index or 0)

    def _add_part(self, item: structs.ContentPart) -> None:
        is_summary = isinstance(item, structs.SummaryPartAdded)
        self._holder(item, is_summary).begin_part(is_summary, item.index or 0, item.part)

    def _finish_part(self, item: structs.ContentPart) -> None:
        is_summary = isinstance(item, structs.SummaryPartDone)
        self._holder(item, is_summary).end_part(is_summary, item.index or 0, item.part)

    def _holder(self, item: structs.ContentPart, is_summary: bool) -> TextItem:
        is_reasoning = is_summary or decode_part(item.part).type == "reasoning_text"
        return self._items.text_item("reasoning" if is_reasoning else "message", item)

    def _cite(self, item: structs.AnnotationAdded) -> None:
        self._items.text_item("message", item).cite(item.index or 0, item.annotation)

    # Calls and blocks

    def _grow_call(self, item: structs.CallDelta, split: str | None = None) -> None:
        text = arguments_text(item.delta) if split is None else split
        if text:
            call = self._items.tool_item(_CALLS[type(item)], item).call
            call.append(text, split is not None)
            if not (call.number is None or call.final or call.half):
                self._hot = call
                self._hot_delta = item

    def _finish_arguments(self, item: structs.CallText) -> None:
        state = self._items.tool_item(_CALLS[type(item)], item)
        state.take_whole(arguments_text(item.text), item.call_id, item.name)

    def _grow_split(self, item: structs.SplitDelta) -> None:
        if isinstance(item.event, structs.PartDelta):
            self._grow_part(item.event, item.text)
        else:
            self._grow_call(item.event, item.text)

    def _grow_block(self, item: structs.BlockDelta) -> None:
        self._items.block_item(structs.BLOCK_ITEMS[item.type], item).append(item.type, item.data)

    # The response

    def _snapshot(self, item: structs.Snapshot) -> None:
        if item.response is not None:
            self._use(item.response.usage)

    def _use(self, data: Raw) -> None:
        usage = read_usage(data)
        if usage is not None:
            self._emission.usage(usage)

    def _end(self, item: structs.Snapshot) -> None:
        self._ended = True
        response = item.response or _NO_RESPONSE
        status = status_of(item)
        self._items.reconcile(response.output or ())
        self._items.close(is_cut=status != "completed", is_last_cut=status == "incomplete")
        self._use(response.usage)
        if status == "completed" and self._items.is_empty:
            raise EmptyResponseError(
                f"{self._provider}: the response completed without any output; "
                "send the request again",
                provider=self._provider,
            )
        reason, raw_reason = self._reason(item, status)
        self._emission.finish(reason, raw_reason)
        if status == "failed":
            raise typed_error(reported_error(response), self._provider)
        self._emission.message_end(reason, status)

    def _reason(self, item: structs.Snapshot, status: str) -> tuple[FinishReason, str]:
        if status == "failed":
            return FinishReason.ERROR, status
        if status != "completed":
            raw = incomplete_reason(item) or status
            return INCOMPLETE_REASONS.get(raw, FinishReason.OTHER), raw
        if self._items.has_calls:
            return FinishReason.TOOL_CALLS, status
        return (FinishReason.REFUSAL if self._items.has_refusal else FinishReason.STOP), status

    def _fail(self, item: structs.Error) -> None:
        self._ended = True
        self._items.close(is_cut=True, is_last_cut=False)
        raise typed_error(item, self._provider)

    def _ping(self, item: structs.KeepAlive | Comment) -> None:
        self._emission.ping()

    def _skip(self, item: Unknown) -> None:
        self._emission.skip(item.type, item.data)

    def _ignore(self, item: structs.Progress | Done) -> None:
        """`response.completed` and its like are what counts."""


_BEFORE_START = frozenset(
    {Comment, Done, Unknown, structs.Error, structs.KeepAlive, structs.Progress}
)
_HANDLERS: Mapping[type, Callable[[ResponsesNormalizer, Any], None]] = {
    structs.TextDelta: ResponsesNormalizer._grow_part,
    structs.RefusalDelta: ResponsesNormalizer._grow_part,
    structs.ReasoningDelta: ResponsesNormalizer._grow_part,
    structs.SummaryDelta: ResponsesNormalizer._grow_part,
    structs.TextDone: ResponsesNormalizer._finish_text,
    structs.RefusalDone: ResponsesNormalizer._finish_text,
    structs.ReasoningDone: ResponsesNormalizer._finish_text,
    structs.SummaryDone: ResponsesNormalizer._finish_text,
    structs.ContentPartAdded: ResponsesNormalizer._add_part,
    structs.ContentPartDone: ResponsesNormalizer._finish_part,
    structs.SummaryPartAdded: ResponsesNormalizer._add_part,
    structs.SummaryPartDone: ResponsesNormalizer._finish_part,
    structs.AnnotationAdded: ResponsesNormalizer._cite,
    structs.ArgumentsDelta: ResponsesNormalizer._grow_call,
    structs.InputDelta: ResponsesNormalizer._grow_call,
    structs.McpArgumentsDelta: ResponsesNormalizer._grow_call,
    structs.CodeDelta: ResponsesNormalizer._grow_call,
    structs.ArgumentsDone: ResponsesNormalizer._finish_arguments,
    structs.InputDone: ResponsesNormalizer._finish_arguments,
    structs.McpArgumentsDone: ResponsesNormalizer._finish_arguments,
    structs.CodeDone: ResponsesNormalizer._finish_arguments,
    structs.ItemAdded: ResponsesNormalizer._add_item,
    structs.ItemDone: ResponsesNormalizer._finish_item,
    structs.Created: ResponsesNormalizer._snapshot,
    structs.Queued: ResponsesNormalizer._snapshot,
    structs.InProgress: ResponsesNormalizer._snapshot,
    structs.Completed: ResponsesNormalizer._end,
    structs.Incomplete: ResponsesNormalizer._end,
    structs.Failed: ResponsesNormalizer._end,
    structs.Cancelled: ResponsesNormalizer._end,
    structs.Error: ResponsesNormalizer._fail,
    structs.SplitDelta: ResponsesNormalizer._grow_split,
    structs.BlockDelta: ResponsesNormalizer._grow_block,
    structs.KeepAlive: ResponsesNormalizer._ping,
    structs.Progress: ResponsesNormalizer._ignore,
    Comment: ResponsesNormalizer._ping,
    Done: ResponsesNormalizer._ignore,
    Unknown: ResponsesNormalizer._skip,
}
