"""What a run has given: content in order, tool calls, usage, finish reason, timings, error.

A `Result` is immutable, pickles, and survives `model_dump_json` and `model_validate_json`. It
exists on every exit of a run, with what had arrived until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from .events import FinishReason, ReasoningKind, ToolKind, Usage
from .json_args import keepable_members, pair_surrogates

if TYPE_CHECKING:
    from .record import Timings

_SHOWN_CHARS = 60


class Outcome(StrEnum):
    """How a run ended; exactly one for each run."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    """The consumer left, closed or cancelled the run."""
    ABANDONED = "abandoned"
    """The run was dropped without being closed."""


def _shorten(value: object) -> object:
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        return f"{value[:_SHOWN_CHARS]}... ({len(value)} characters)"
    if isinstance(value, (tuple, list, dict)) and value:
        return f"<{type(value).__name__} of {len(value)}>"
    return value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in self.__dict__.items():
            if value is not None and value != ():
                yield name, _shorten(value)

    def __str__(self) -> str:
        return repr(self)


_M = TypeVar("_M", bound=_Model)


def construct(kind: type[_M], /, **values: Any) -> _M:
    """What `kind.model_construct(**values)` gives, in a third of its time.

    For the types of this module: their fields have no aliases and no defaults that can change.
    """
    made = kind.__new__(kind)
    object.__setattr__(made, "__dict__", {**_defaults(kind), **values})
    object.__setattr__(made, "__pydantic_fields_set__", set(values))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


@lru_cache
def _defaults(kind: type[_Model]) -> dict[str, Any]:
    """In the order of the fields, which is that of what is written; None where one is needed."""
    fields = kind.model_fields.items()
    return {name: None if field.is_required() else field.default for name, field in fields}


class _Part(_Model):
    part: int = 0
    provider_id: str | None = None
    signature: str | None = None
    citations: tuple[JsonValue, ...] = ()
    provider_data: tuple[JsonValue, ...] = ()


class TextPart(_Part):
    """Visible text.

    Attributes:
        part: number of the part; the events that made it carry the same.
        provider_id: the provider's id of the block or item, if it has one.
        signature: the provider's seal, to be sent back unchanged.
        citations: citations and annotations, JSON as sent.
        provider_data: what else the provider sent for this part, JSON in the order sent:
            increments of a block, members of a tool call without a field here...
        text: exactly what was sent.
    """

    type: Literal["text"] = "text"
    text: str = ""


class ReasoningPart(_Part):
    """Reasoning; the attributes of `TextPart` mean the same here.

    Attributes:
        kind: where the reasoning comes from.
        text: what is readable of it, exactly as sent; a signature covers these very bytes.
        data: opaque content, to be sent back unchanged.
    """

    type: Literal["reasoning"] = "reasoning"
    kind: ReasoningKind = ReasoningKind.NATIVE
    text: str = ""
    data: str | None = None


class RefusalPart(_Part):
    """The model's words for why it does not answer."""

    type: Literal["refusal"] = "refusal"
    text: str = ""


class ToolCall(_Part):
    """A call of a tool.

    Attributes:
        id: id of the call, to be named in the tool's answer.
        name: name of the tool.
        kind: who runs it, and what its arguments are.
        arguments: the raw text, exactly as sent.
        parsed: the arguments as an object. None if they are no valid JSON object, if the call
            was cut, or if the tool takes free text. A call without arguments has `{}`.
        complete: False when the response was cut inside the call: it must not be run.
        parse_error: why `parsed` is None.
    """

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    kind: ToolKind = ToolKind.FUNCTION
    arguments: str = ""
    parsed: dict[str, JsonValue] | None = None
    complete: bool = False
    parse_error: str | None = None


class BlockPart(_Part):
    """A block of one provider with no common form; its increments are in `provider_data`.

    Attributes:
        block_type: the provider's name for it.
        data: its JSON; None until the provider has sent the block itself.
        tool_call_id: the server-side call whose result this is.
    """

    type: Literal["block"] = "block"
    block_type: str = ""
    data: JsonValue = None
    tool_call_id: str | None = None


Part = Annotated[
    TextPart | ReasoningPart | RefusalPart | ToolCall | BlockPart, Field(discriminator="type")
]
"""One part of the content; each is one block of the provider."""

_P = TypeVar("_P", bound=_Part)


class Answer(_Model):
    """What one choice holds; `Result` is choice 0 and all there is to say of the run.

    Attributes:
        content: the parts in the order in which they began.
        finish_reason: why the model stopped; None if it never said so.
        raw_finish_reason: the provider's own word for it.
        stop_sequence: the stop sequence that was met.
        logprobs: log probabilities in the order sent, JSON as sent.
    """

    content: tuple[Part, ...] = ()
    finish_reason: FinishReason | None = None
    raw_finish_reason: str | None = None
    stop_sequence: str | None = None
    logprobs: tuple[JsonValue, ...] = ()

    def parts(self, part_type: type[_P]) -> tuple[_P, ...]:
        """The parts of one type, in order."""
        return tuple(part for part in self.content if isinstance(part, part_type))

    @property
    def text(self) -> str:
        """The visible text of all text parts, joined."""
        return "".join(part.text for part in self.parts(TextPart))

    @property
    def reasoning(self) -> str:
        """The readable text of all reasoning parts, joined."""
        return "".join(part.text for part in self.parts(ReasoningPart))

    @property
    def refusal(self) -> str:
        """The text of all refusal parts, joined."""
        return "".join(part.text for part in self.parts(RefusalPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls the caller has to run, in the order in which they began."""
        return tuple(call for call in self.parts(ToolCall) if call.kind is not ToolKind.SERVER)

    @property
    def server_tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls the provider runs itself; never run them."""
        return tuple(call for call in self.parts(ToolCall) if call.kind is ToolKind.SERVER)


class Choice(Answer):
    """One of several answers to a request with n > 1; `index` is the provider's number."""

    index: int = 0


class TokenUsage(_Model):
    """Token counts, same meanings as `events.Usage`. None: not reported. 0: reported as zero.

    Attributes:
        input_tokens: all input, cached and cache-written tokens included.
        output_tokens: all output, reasoning tokens included.
        total_tokens: as reported, else the sum of the two once both are known.
        cached_input_tokens: input read from the provider's cache.
        cache_write_input_tokens: input written to the provider's cache.
        reasoning_tokens: output spent on reasoning.
        raw: the provider's own object, its own meanings.
        estimated: the counts come from a local counter, not from the provider.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: dict[str, JsonValue] | None = None
    estimated: bool = False

    @classmethod
    def from_usage(cls, usage: Usage, *, estimated: bool = False) -> TokenUsage:
        """The counts of an event, with the total filled in."""
        total = usage.total_tokens
        if total is None and usage.input_tokens is not None and usage.output_tokens is not None:
            total = usage.input_tokens + usage.output_tokens
        return construct(
            cls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=total,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_input_tokens=usage.cache_write_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            raw=None if usage.raw is None else keepable_members(usage.raw),
            estimated=estimated,
        )


class ResultTimings(_Model):
    """Durations in seconds, all measured from issuing the provider request.

    The stamps, and which of several attempts they are of, are those of `record.Timings`. None
    where the run did not get there.

    Attributes:
        time_to_headers_s: headers_ns - request_ns.
        time_to_first_chunk_s: first_chunk_ns - request_ns; any provider event counts.
        time_to_first_token_s: first_token_ns - request_ns; text, reasoning, refusals and tool
            calls count.
        time_to_first_answer_s: first_answer_ns - request_ns; reasoning does not count.
        time_to_first_delivery_s: first_delivery_ns - request_ns; the consumer has it.
        duration_s: ended_ns - request_ns.
    """

    time_to_headers_s: float | None = None
    time_to_first_chunk_s: float | None = None
    time_to_first_token_s: float | None = None
    time_to_first_answer_s: float | None = None
    time_to_first_delivery_s: float | None = None
    duration_s: float | None = None

    @classmethod
    def from_stamps(cls, timings: Timings) -> ResultTimings:
        """The durations between the stamps of a run."""
        since = timings.since_request_s
        return construct(
            cls,
            time_to_headers_s=since(timings.headers_ns),
            time_to_first_chunk_s=since(timings.first_chunk_ns),
            time_to_first_token_s=since(timings.first_token_ns),
            time_to_first_answer_s=since(timings.first_answer_ns),
            time_to_first_delivery_s=since(timings.first_delivery_ns),
            duration_s=since(timings.ended_ns or None),
        )


class ErrorInfo(_Model):
    """An error in writing; the exception itself is on the run.

    Attributes:
        type: name of its class.
        message: its text.
        retryable: whether the same request may succeed when sent again.
        code: the provider's code.
        status: HTTP status.
    """

    type: str
    message: str
    retryable: bool = False
    code: str | None = None
    status: int | None = None

    @classmethod
    def from_exception(cls, error: BaseException) -> ErrorInfo:
        """Describe an exception; those of other libraries count as not retryable."""
        code, status = getattr(error, "code", None), getattr(error, "status", None)
        return construct(
            cls,
            type=type(error).__name__,
            message=pair_surrogates(str(error)),
            retryable=getattr(error, "retryable", False) is True,
            code=code if isinstance(code, str) else None,
            status=status if isinstance(status, int) else None,
        )


class Result(Answer):
    """What a run has given so far. Content, text and tool calls are those of choice 0.

    Attributes:
        message_id: our id of the response, the same on every event.
        provider_message_id: the provider's id, if it sent one.
        model: the model that answered, else the requested one.
        provider: OpenTelemetry GenAI provider name.
        outcome: how the run ended; None while it goes on.
        error: the error the run ended with.
        further_choices: choices 1 and up, of a request with n > 1.
        usage: token counts; all None if the provider reported none.
        timings: durations, in seconds.
        attempts: how many requests were made.
        unknown_events: events this version does not know.
        pings: signs of life the provider sent.
    """

    message_id: str
    provider_message_id: str | None = None
    model: str | None = None
    provider: str | None = None
    outcome: Outcome | None = None
    error: ErrorInfo | None = None
    further_choices: tuple[Choice, ...] = ()
    usage: TokenUsage = TokenUsage()
    timings: ResultTimings = ResultTimings()
    attempts: int = 1
    unknown_events: int = 0
    pings: int = 0

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All choices in index order, the first one included."""
        first = construct(
            Choice,
            content=self.content,
            finish_reason=self.finish_reason,
            raw_finish_reason=self.raw_finish_reason,
            stop_sequence=self.stop_sequence,
            logprobs=self.logprobs,
            index=0,
        )
        return (first, *self.further_choices)

    def with_estimated_usage(self, usage: Usage) -> Result:
        """A copy whose token counts come from a local counter and are marked as estimates."""
        return self.model_copy(update={"usage": TokenUsage.from_usage(usage, estimated=True)})

    def with_counts(self, attempts: int, unknown_events: int) -> Result:
        """This result, or a copy, with what only the run knows: both are at least that many."""
        attempts = max(attempts, self.attempts)
        unknown_events = max(unknown_events, self.unknown_events)
        if (attempts, unknown_events) == (self.attempts, self.unknown_events):
            return self
        return self.model_copy(update={"attempts": attempts, "unknown_events": unknown_events})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "message_id", self.message_id
        yield "outcome", self.outcome and self.outcome.value
        yield "model", self.model
        yield "finish_reason", self.finish_reason and self.finish_reason.value
        yield "text", _shorten(self.text)
        yield "parts", len(self.content)
        yield "tool_calls", len(self.tool_calls)
        if self.error is not None:
            yield "error", self.error.type
