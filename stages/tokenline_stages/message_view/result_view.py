"""The messages of a finished response, and how pieces become whole messages.

`messages_of(result)` gives whole messages, one for each slice, with the ids that they had live.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tokenline.events import (
    Event,
    Finish,
    PartEnd,
    PartKind,
    PartStart,
    ReasoningData,
    ReasoningDelta,
    ReasoningSignature,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tokenline.result import (
    Outcome,
    Part,
    ReasoningPart,
    RefusalPart,
    Result,
    TextPart,
    ToolCall,
)
from tokenline.stage import StepContext

from .messages import (
    ApprovalRequestMessage,
    AssistantMessage,
    HiddenReasoningMessage,
    Message,
    ReasoningMessage,
    ResetMessage,
    ToolCallMessage,
)
from .options import MessageViewOptions
from .view import RUN_ID, STEP_ID, MessageView
from .writer import Now, utc_now


def messages_of(
    result: Result,
    options: MessageViewOptions | None = None,
    *,
    run_id: str | None = None,
    step_id: str | None = None,
    now: Now = utc_now,
) -> list[Message]:
    """The whole messages of a result: one for each slice, then how the response ended.

    Slices have the `otid` that they had live. A run that goes on has no end yet.

    Args:
        result: what a run has given so far.
        options: what is shown and how.
        run_id: the caller's id of the run.
        step_id: the caller's id of the step.
        now: gives the messages' date.
    """
    options = options or MessageViewOptions()
    tags = {RUN_ID: run_id, STEP_ID: step_id}
    known = {name: value for name, value in tags.items() if value is not None}
    view = MessageView(StepContext(result.message_id, tags=known), options, now=now)
    view.report_usage(result.usage)
    out: list[Message] = []
    view.feed(list(_events_of(result, options.choice)), 0, out)
    if result.outcome in (Outcome.CANCELLED, Outcome.ABANDONED):
        view.cancel(out)
    elif result.error is not None:
        view.fail(result.error, 0, out)
    elif result.outcome is not None:
        view.finish(0, out)
    whole = join_messages(out)
    return [replace(m, seq_id=options.first_seq_id + i) for i, m in enumerate(whole)]


def approvals_of(result: Result, options: MessageViewOptions) -> tuple[ToolCall, ...]:
    """The complete calls of a result that wait for approval."""
    return tuple(
        call for call in result.tool_calls if call.complete and options.requires_approval(call.name)
    )


def join_messages(messages: Iterable[Message]) -> list[Message]:
    """Whole messages of pieces: one for each `otid`, in the order in which they began.

    A whole message has the date of its first piece and the `seq_id` of its last. What a `reset`
    makes void is left out. Linear in what it is given.
    """
    slices: dict[tuple[str, str], list[Message]] = {}
    for message in messages:
        if type(message) is ResetMessage:
            void = [key for key in slices if key[0] == message.id]
            for key in void:
                del slices[key]
        else:
            slices.setdefault((message.id, message.otid), []).append(message)
    return [_join(pieces) for pieces in slices.values()]


def _join(pieces: Sequence[Message]) -> Message:
    first, last = pieces[0], pieces[-1]
    join = _JOINS.get(type(first))
    if join is None or len(pieces) == 1:
        return last
    return replace(last, date=first.date, **join(pieces))


def _join_reasoning(pieces: Sequence[Any]) -> dict[str, Any]:
    return {"reasoning": "".join([piece.reasoning for piece in pieces])}


def _join_text(pieces: Sequence[Any]) -> dict[str, Any]:
    return {"content": "".join([piece.content for piece in pieces])}


def _join_calls(pieces: Sequence[Any]) -> dict[str, Any]:
    call = pieces[0].tool_call
    call = replace(call, arguments="".join([piece.tool_call.arguments for piece in pieces]))
    repeated = pieces[0].tool_calls is not None
    return {"tool_call": call, "tool_calls": call if repeated else None}


_JOINS: Mapping[type, Callable[[Sequence[Any]], dict[str, Any]]] = {
    ReasoningMessage: _join_reasoning,
    AssistantMessage: _join_text,
    ToolCallMessage: _join_calls,
    ApprovalRequestMessage: _join_calls,
    HiddenReasoningMessage: lambda pieces: {},
}


def _events_of(result: Result, choice: int) -> Iterator[Event]:
    """The events of a choice as if each part had come whole."""
    stamp = (0, 0, result.message_id)
    for answer in result.choices:
        if answer.index != choice:
            continue
        for part in answer.content:
            yield from _events_of_part(part, stamp, choice, result.outcome is not None)
        if answer.finish_reason is not None:
            raw = answer.raw_finish_reason or ""
            yield Finish(*stamp, answer.finish_reason, raw, choice)


def _events_of_part(
    part: Part, stamp: tuple[int, int, str], choice: int, is_over: bool
) -> Iterator[Event]:
    number = part.part
    if isinstance(part, ToolCall):
        call = (part.id, part.name)
        yield ToolCallStart(*stamp, number, *call, part.kind, choice)
        yield ToolCallDelta(*stamp, number, *call, part.arguments, choice)
        if part.complete or is_over:
            yield ToolCallEnd(*stamp, number, *call, part.complete, choice)
    elif isinstance(part, ReasoningPart):
        yield PartStart(*stamp, number, PartKind.REASONING, choice, part.kind)
        if part.text:
            yield ReasoningDelta(*stamp, number, part.text, choice)
        if part.signature:
            yield ReasoningSignature(*stamp, number, part.signature, choice)
        if part.data:
            yield ReasoningData(*stamp, number, part.data, choice)
        yield PartEnd(*stamp, number, choice)
    elif isinstance(part, TextPart) and part.text:
        yield TextDelta(*stamp, number, part.text, choice)
    elif isinstance(part, RefusalPart) and part.text:
        yield RefusalDelta(*stamp, number, part.text, choice)
