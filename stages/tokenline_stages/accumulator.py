"""The accumulator: folds the events of one response into a `Result`, in linear time.

Sans-IO. It reads nothing but events, so a client can feed it events decoded from elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tokenline.errors import LimitExceededError
from tokenline.events import (
    Event,
    Finish,
    Logprobs,
    MessageEnd,
    MessageStart,
    Ping,
    ReasoningDelta,
    Reset,
    TextDelta,
    ToolCallDelta,
    UnknownEvent,
    Usage,
    UsageUpdate,
)
from tokenline.json_args import read_json
from tokenline.options import Limits
from tokenline.record import Timings
from tokenline.result import (
    Choice,
    ErrorInfo,
    Outcome,
    Part,
    Result,
    ResultTimings,
    TokenUsage,
    construct,
)
from tokenline.stage import StepContext

from .part_draft import MOST_PIECES, PART_FOLDS, PartDraft, PartEvent

_NOTHING_GROWS: tuple[int | None, list[str]] = (None, [])
_NO_USAGE = TokenUsage()
_NO_TIMINGS = ResultTimings()
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "reasoning_tokens",
    "raw",
)


def _covers(new: Usage, old: Usage) -> bool:
    """Whether `new` leaves out nothing that `old` has: with every chunk, where each has one."""
    return (
        (new.input_tokens is not None or old.input_tokens is None)
        and (new.output_tokens is not None or old.output_tokens is None)
        and (new.cached_input_tokens is not None or old.cached_input_tokens is None)
        and (new.cache_write_input_tokens is not None or old.cache_write_input_tokens is None)
        and (new.reasoning_tokens is not None or old.reasoning_tokens is None)
        and (new.raw is not None or old.raw is None)
        and (new.total_tokens is not None or old.total_tokens is None)
    )


def _merge(old: Usage, new: Usage) -> Usage:
    """What is known after `new`: it replaces, but what it leaves out stays."""
    if _covers(new, old):
        return new
    counts = {name: getattr(new, name) for name in _COUNTS}
    for name, count in counts.items():
        if count is None:
            counts[name] = getattr(old, name)
    if new.total_tokens is None and new.input_tokens is None and new.output_tokens is None:
        return Usage(total_tokens=old.total_tokens, **counts)
    return Usage(total_tokens=new.total_tokens, **counts)


class Accumulator:
    """Folds events; `snapshot` gives the result so far, at any time and any number of times.

    Events that this class does not know are passed over. Deltas of a part whose start was
    missed open the part themselves, so a client may join late.
    """

    __slots__ = (
        "_drafts",
        "_end",
        "_finishes",
        "_growing",
        "_last_seq",
        "_limits",
        "_logprobs",
        "_max_bytes",
        "_pings",
        "_provider",
        "_requested_model",
        "_size_bytes",
        "_skip_repeats",
        "_start",
        "_unknown",
        "_usage",
        "message_id",
    )

    def __init__(
        self,
        message_id: str | None = None,
        *,
        model: str | None = None,
        provider: str | None = None,
        limits: Limits | None = None,
        skip_repeats: bool = False,
    ) -> None:
        """Start empty.

        Args:
            message_id: our id of the response; None takes it from the first event.
            model: the requested model, for responses that name none.
            provider: GenAI provider name, for the result.
            limits: `max_message_bytes` (UTF-8, of all content) and `max_parts` hold here.
            skip_repeats: pass over events whose `seq` is not higher than all before: for
                clients that reconnect and are sent events again.
        """
        self.message_id = message_id
        self._requested_model = model
        self._provider = provider
        self._limits = limits or Limits()
        self._max_bytes = self._limits.max_message_bytes
        self._skip_repeats = skip_repeats
        self._last_seq = -1
        self._clear()

    def _clear(self) -> None:
        self._drafts: dict[int, PartDraft] = {}
        # Number of the part whose delta came last and its newest pieces, while deltas go on.
        self._growing = _NOTHING_GROWS
        self._size_bytes = 0
        self._start: MessageStart | None = None
        self._end: MessageEnd | None = None
        self._finishes: dict[int, Finish] = {}
        self._logprobs: dict[int, list[bytes]] = {}
        self._usage: Usage | None = None
        self._pings = 0
        self._unknown = 0

    @property
    def ended(self) -> bool:
        """Whether `MessageEnd` has come."""
        return self._end is not None

    @property
    def usage(self) -> Usage | None:
        """Token counts so far; None if none were reported."""
        return self._usage

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The provider's own finish reasons, one for each finished choice."""
        return tuple(self._finishes[choice].raw_reason for choice in sorted(self._finishes))

    def feed(self, items: Sequence[Event], recv_ns: int, out: list[Any]) -> None:
        """Fold a batch; `out` stays as it is.

        Raises:
            LimitExceededError: the content passed `max_message_bytes` or `max_parts`. What came
                before is kept.
        """
        if self._skip_repeats:
            items = self._unseen(items)
        if self.message_id is None and items:
            self.message_id = items[0].message_id
        limit = self._max_bytes
        size = self._size_bytes
        number, pieces = self._growing
        for event in items:
            if type(event) is TextDelta or type(event) is ReasoningDelta:
                text = event.text
            elif type(event) is ToolCallDelta:
                text = event.arguments
            else:
                self._size_bytes = size
                self._fold_other(event)
                size = self._size_bytes
                number, pieces = self._growing
                continue
            if event.part != number:
                self._size_bytes = size
                number, pieces = self._growing = event.part, self._open(event).pieces
            pieces.append(text)
            if len(pieces) > MOST_PIECES:
                self._drafts[event.part].join_pieces()
            size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            if size > limit:
                break
        self._size_bytes = size
        if size > limit:
            self._check_size()

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        """Do nothing: what there is, `snapshot` gives."""

    def snapshot(
        self,
        outcome: Outcome | None = None,
        error: BaseException | None = None,
        timings: Timings | ResultTimings | None = None,
        attempts: int = 1,
        provider: str | None = None,
        unknown_events: int | None = None,
    ) -> Result:
        """The result so far; tool calls that are still open are incomplete.

        Args:
            outcome: how the run ended; if None, `OK` once the message has ended, else None.
            error: what the run ended with.
            timings: the run's stamps or durations.
            attempts: how many requests were made.
            provider: GenAI provider name, if the accumulator was not given one.
            unknown_events: how many the normalizer counted; None counts those that came here,
                which are all only if the run passes unknown events through.
        """
        first, *further = self._choices()
        start = self._start
        if outcome is None and self.ended:
            outcome = Outcome.OK
        if timings is not None and not isinstance(timings, ResultTimings):
            timings = ResultTimings.from_stamps(timings)
        return construct(
            Result,
            content=first.content,
            finish_reason=first.finish_reason,
            raw_finish_reason=first.raw_finish_reason,
            stop_sequence=first.stop_sequence,
            logprobs=first.logprobs,
            message_id=self.message_id or "",
            provider_message_id=start and start.provider_message_id,
            model=(start and start.model) or self._requested_model,
            provider=self._provider or provider,
            outcome=outcome,
            error=None if error is None else ErrorInfo.from_exception(error),
            further_choices=tuple(further),
            usage=_NO_USAGE if self._usage is None else TokenUsage.from_usage(self._usage),
            timings=timings or _NO_TIMINGS,
            attempts=attempts,
            unknown_events=self._unknown if unknown_events is None else unknown_events,
            pings=self._pings,
        )

    def _choices(self) -> list[Choice]:
        parts: dict[int, list[Part]] = {0: []}
        for index in (*self._finishes, *self._logprobs):
            parts.setdefault(index, [])
        for draft in self._drafts.values():
            parts.setdefault(draft.choice, []).append(draft.build())
        return [self._choice(index, parts[index]) for index in sorted(parts)]

    def _choice(self, index: int, parts: list[Part]) -> Choice:
        finish = self._finishes.get(index)
        end = self._end if index == 0 else None
        return construct(
            Choice,
            content=tuple(parts),
            finish_reason=finish.reason if finish else end and end.reason,
            raw_finish_reason=finish.raw_reason if finish else end and end.raw_reason,
            stop_sequence=finish and finish.stop_sequence,
            logprobs=tuple(map(read_json, self._logprobs.get(index, ()))),
            index=index,
        )

    def _unseen(self, items: Sequence[Event]) -> list[Event]:
        fresh: list[Event] = []
        for event in items:
            if event.seq > self._last_seq:
                self._last_seq = event.seq
                fresh.append(event)
        return fresh

    def _check_size(self) -> None:
        limit = self._limits.max_message_bytes
        if self._size_bytes > limit:
            raise LimitExceededError(
                f"more than {limit} bytes of content in one response;"
                " raise Limits.max_message_bytes",
                limit="max_message_bytes",
            )

    def _open(self, event: PartEvent) -> PartDraft:
        """The draft an event belongs to; a new one if there is none."""
        draft = self._drafts.get(event.part)
        if draft is None:
            limit = self._limits.max_parts
            if len(self._drafts) >= limit:
                raise LimitExceededError(
                    f"more than {limit} content parts in one response; raise Limits.max_parts",
                    limit="max_parts",
                )
            draft = self._drafts[event.part] = PartDraft(event)
        return draft

    def _grow(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        self._check_size()

    def _fold_other(self, event: Event) -> None:
        if type(event) is UsageUpdate:  # between two deltas of a part, with some providers
            self._usage_update(event)
            return
        self._growing = _NOTHING_GROWS
        fold_part = PART_FOLDS.get(type(event))
        if fold_part is not None:
            draft = self._open(cast(PartEvent, event))
            self._grow(fold_part(draft, event))
            return
        fold = _FOLDS.get(type(event))
        if fold is not None:
            fold(self, event)

    def _message_start(self, event: MessageStart) -> None:
        self._start = event

    def _log_probabilities(self, event: Logprobs) -> None:
        self._logprobs.setdefault(event.choice, []).append(event.data)
        self._grow(len(event.data))

    def _usage_update(self, event: UsageUpdate) -> None:
        self._usage = event.usage if self._usage is None else _merge(self._usage, event.usage)

    def _finish(self, event: Finish) -> None:
        self._finishes[event.choice] = event

    def _ping(self, event: Ping) -> None:
        self._pings += 1

    def _unknown_event(self, event: UnknownEvent) -> None:
        self._unknown += 1

    def _reset(self, event: Reset) -> None:
        self._clear()

    def _message_end(self, event: MessageEnd) -> None:
        self._end = event


_FOLDS: dict[type, Callable[[Accumulator, Any], None]] = {
    MessageStart: Accumulator._message_start,
    Logprobs: Accumulator._log_probabilities,
    Finish: Accumulator._finish,
    Ping: Accumulator._ping,
    UnknownEvent: Accumulator._unknown_event,
    Reset: Accumulator._reset,
    MessageEnd: Accumulator._message_end,
}


@dataclass(frozen=True, slots=True)
class AccumulatorStage:
    """Describes the accumulator stage: events in, a result out of the step's `snapshot`.

    Attributes:
        name: stage name.
        provider: GenAI provider name, for the result.
    """

    name: str = "accumulator"
    provider: str | None = None

    @property
    def inlet(self) -> Any:
        """Events."""
        return Event

    @property
    def outlet(self) -> Any:
        """Results."""
        return Result

    def open(self, context: StepContext) -> Accumulator:
        """An empty accumulator for one run."""
        return Accumulator(
            context.message_id,
            model=context.model,
            provider=self.provider,
            limits=context.limits,
        )


def accumulator(provider: str | None = None) -> AccumulatorStage:
    """The accumulator stage, to be put on a fan-out branch."""
    return AccumulatorStage(provider=provider)
