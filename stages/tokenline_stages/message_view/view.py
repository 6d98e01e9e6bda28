"""The message view: events of one response in, messages out. A sans-IO step."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenline.errors import RunCancelledError, StreamError
from tokenline.events import (
    Event,
    Finish,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    ReasoningData,
    ReasoningDelta,
    ReasoningSignature,
    RefusalDelta,
    Reset,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageUpdate,
)
from tokenline.result import ErrorInfo, TokenUsage
from tokenline.stage import StepContext
from tokenline_stages.accumulator import Accumulator

from .failures import describe_failure
from .messages import (
    ErrorMessage,
    Message,
    PingMessage,
    ResetMessage,
    StopReason,
    StopReasonMessage,
    ToolCallFragment,
    UsageStatistics,
)
from .options import MessageViewOptions
from .parts import PartView, ReasoningView, TextView
from .tool_call_view import ToolCallView, view_call
from .writer import Now, Slice, Writer, utc_now

RUN_ID, STEP_ID = "run_id", "step_id"
"""Tags of a run that its messages carry."""


class MessageView:
    """One response's messages.

    The end of the response gives `stop_reason` and `usage_statistics`, a failure these two (usage
    only if any was reported) and `error_message`. What comes after is passed over.

    Args:
        context: ids of the response; `run_id` and `step_id` are taken from its tags.
        options: what is shown and how.
        now: gives the time of day, with its time zone; asked once for each batch.

    Attributes:
        unshown: how many events of each type have no message: unknown ones, citations, blocks
            of one provider... The result has what they hold.
        problems: what is wrong with arguments from which some were to be taken out, by the id
            of the call.
    """

    def __init__(
        self,
        context: StepContext,
        options: MessageViewOptions | None = None,
        *,
        now: Now = utc_now,
    ) -> None:
        self._options = options or MessageViewOptions()
        self._now = now
        self._writer = Writer(
            context.message_id,
            context.tags.get(RUN_ID),
            context.tags.get(STEP_ID),
            self._options.first_seq_id,
            self._options.message_types,
        )
        self._ended = False
        self.unshown: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self._clear()

    def _clear(self) -> None:
        self._parts: dict[int, PartView] = {}
        self._approvals: list[ToolCallView] = []
        self._counts = Accumulator()
        self._usage: TokenUsage | None = None
        self._finish: Finish | MessageEnd | None = None

    @property
    def ended(self) -> bool:
        """Whether the last messages were given."""
        return self._ended

    @property
    def pending_approvals(self) -> tuple[ToolCallFragment, ...]:
        """The complete calls that wait for approval, with their arguments as shown."""
        return tuple(
            ToolCallFragment(call.name, call.arguments, call.tool_call_id)
            for call in self._approvals
            if call.complete
        )

    # --- Step ------------------------------------------------------------------------------

    def feed(self, items: Sequence[Event], recv_ns: int, out: list[Message]) -> None:
        """Give the messages of a batch of events."""
        self._writer.begin(self._now(), out)
        parts = self._parts
        for event in items:
            if type(event) is TextDelta or type(event) is ReasoningDelta:
                view = parts.get(event.part)
                if view is not None:
                    view.add(event.text)
                    continue
            handle = _HANDLERS.get(type(event))
            if handle is None:
                self.unshown[_name(event)] += 1
            elif not self._ended:
                handle(self, event)
                parts = self._parts

    def finish(self, recv_ns: int, out: list[Message]) -> None:
        """The input ended well: end the response if its events did not."""
        self._writer.begin(self._now(), out)
        if not self._ended:
            self._end(self._stop_reason())

    def fail(self, error: BaseException | ErrorInfo, recv_ns: int, out: list[Message]) -> None:
        """The input ended with an error: show what is left, and the error.

        A response that was cancelled ends so, without an error.
        """
        self._writer.begin(self._now(), out)
        failure = describe_failure(error)
        if not self._ended:
            if self._usage is None and isinstance(error, StreamError) and error.partial:
                self._usage = error.partial.usage
            self._end(failure.stop_reason, only_reported_usage=True)
        if failure.stop_reason is not StopReason.CANCELLED:
            self._writer.write_own(
                ErrorMessage,
                Slice.ERROR,
                error_type=failure.error_type,
                message=failure.message,
                detail=failure.detail,
                retryable=failure.retryable,
            )

    def cancel(self, out: list[Message]) -> None:
        """The response was cancelled: show what is left, and that."""
        self.fail(RunCancelledError("the run was cancelled"), 0, out)

    def report_usage(self, usage: TokenUsage) -> None:
        """Use these counts instead of those of the events: estimates, for example."""
        self._usage = usage

    # --- parts -----------------------------------------------------------------------------

    def _part_of(self, event: Any) -> PartView:
        """The part an event belongs to; a new one if its start was missed."""
        view = self._parts.get(event.part)
        if view is None:
            view = self._parts[event.part] = self._open(event)
        return view

    def _open(self, event: Any) -> PartView:
        writer = self._writer
        if event.choice != self._options.choice:
            return PartView(writer)
        if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd):
            call = view_call(writer, event, self._options)
            if call.needs_approval:
                self._approvals.append(call)
            return call
        kind = event.kind if isinstance(event, PartStart) else _KINDS[type(event)]
        if kind is PartKind.REASONING:
            reasoning_kind = event.reasoning_kind if isinstance(event, PartStart) else None
            return ReasoningView(writer, event.part, reasoning_kind)
        if kind in (PartKind.TEXT, PartKind.REFUSAL):
            return TextView(writer, event.part, refusal=kind is PartKind.REFUSAL)
        return PartView(writer)

    def _start_part(self, event: PartStart | ToolCallStart) -> None:
        self._part_of(event)

    def _add_text(self, event: TextDelta | ReasoningDelta | RefusalDelta) -> None:
        self._part_of(event).add(event.text)

    def _add_arguments(self, event: ToolCallDelta) -> None:
        self._part_of(event).add(event.arguments)

    def _sign(self, event: ReasoningSignature) -> None:
        self._part_of(event).sign(event.signature, event.replace)

    def _hide(self, event: ReasoningData) -> None:
        self._part_of(event).hide(event.data)

    def _end_part(self, event: PartEnd) -> None:
        self._close(event.part, True)

    def _end_call(self, event: ToolCallEnd) -> None:
        self._part_of(event)
        self._close(event.part, event.complete)

    def _close(self, part: int, complete: bool) -> None:
        view = self._parts.get(part)
        if view is None:
            return
        self._parts[part] = PartView(self._writer)
        view.end(complete)
        if isinstance(view, ToolCallView) and view.problem is not None:
            self.problems[view.tool_call_id] = view.problem

    # --- the response ----------------------------------------------------------------------

    def _pass(self, event: MessageStart) -> None:
        """Nothing to show."""

    def _ping(self, event: Ping) -> None:
        self._writer.write_own(PingMessage, Slice.PING)

    def _update_usage(self, event: UsageUpdate) -> None:
        self._counts.feed((event,), 0, [])

    def _note_finish(self, event: Finish) -> None:
        if event.choice == self._options.choice:
            self._finish = event

    def _reset(self, event: Reset) -> None:
        self._clear()
        self.problems.clear()
        self._writer.write_own(ResetMessage, Slice.RESET, attempt=event.attempt)

    def _end_message(self, event: MessageEnd) -> None:
        if self._finish is None and self._options.choice == 0:
            self._finish = event
        self._end(self._stop_reason())

    def _stop_reason(self) -> StopReason:
        finish = self._finish
        return self._options.stop_reason(None if finish is None else finish.reason)

    def _end(self, reason: StopReason, *, only_reported_usage: bool = False) -> None:
        for part in list(self._parts):
            self._close(part, False)
        if reason is StopReason.END_TURN and self.pending_approvals:
            reason = StopReason.REQUIRES_APPROVAL
        finish = self._finish
        self._writer.write_own(
            StopReasonMessage,
            Slice.STOP,
            stop_reason=reason,
            finish_reason=finish and finish.reason and finish.reason.value,
            raw_finish_reason=finish and finish.raw_reason,
        )
        usage = self._usage or TokenUsage.from_usage(self._counts.usage or Usage())
        counts = (usage.input_tokens, usage.output_tokens, usage.total_tokens)
        reported = any(count is not None for count in counts)
        if reported or not only_reported_usage:
            self._write_usage(usage, reported)
        self._ended = True

    def _write_usage(self, usage: TokenUsage, reported: bool) -> None:
        run_id = self._writer.run_id
        self._writer.write_own(
            UsageStatistics,
            Slice.USAGE,
            prompt_tokens=usage.input_tokens or 0,
            completion_tokens=usage.output_tokens or 0,
            total_tokens=usage.total_tokens or 0,
            run_ids=None if run_id is None else (run_id,),
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            reported=reported,
            estimated=usage.estimated,
        )


_KINDS: Mapping[type, PartKind] = {
    TextDelta: PartKind.TEXT,
    RefusalDelta: PartKind.REFUSAL,
    ReasoningDelta: PartKind.REASONING,
    ReasoningSignature: PartKind.REASONING,
    ReasoningData: PartKind.REASONING,
}

_HANDLERS: Mapping[type, Callable[[MessageView, Any], None]] = {
    MessageStart: MessageView._pass,
    PartStart: MessageView._start_part,
    TextDelta: MessageView._add_text,
    ReasoningDelta: MessageView._add_text,
    RefusalDelta: MessageView._add_text,
    ReasoningSignature: MessageView._sign,
    ReasoningData: MessageView._hide,
    ToolCallStart: MessageView._start_part,
    ToolCallDelta: MessageView._add_arguments,
    ToolCallEnd: MessageView._end_call,
    PartEnd: MessageView._end_part,
    UsageUpdate: MessageView._update_usage,
    Finish: MessageView._note_finish,
    Ping: MessageView._ping,
    Reset: MessageView._reset,
    MessageEnd: MessageView._end_message,
}


def _name(event: object) -> str:
    config = getattr(type(event), "__struct_config__", None)
    return str(getattr(config, "tag", None) or type(event).__name__)
