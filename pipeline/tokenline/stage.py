"""What a stage is: a named, typed description that opens one *step* for each run.

A `Step` is sans-IO: items in, items out, no await, clock, log or network. The pipeline runs it
inside an actor, which owns the queue, the clock and the task. The same step gives the same
items however its input was cut into batches.

An `AsyncStep` may await; it always runs in a task of its own behind its bounded queue.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import msgspec

from .options import Limits

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out")


class RawChunk(msgspec.Struct, frozen=True, gc=False):
    """What one read from the provider brought."""

    data: bytes


class StepContext(msgspec.Struct, frozen=True):
    """What a step may know of its run.

    Attributes:
        message_id: our id of the response, the same on every event.
        model: the requested model, if the payload names one.
        payload: the request payload; read only.
        first_seq: sequence number of the first event.
        first_part: number of the first part; above 0 where an attempt goes on with a response.
        continued: the attempt goes on with a response that has begun: no second `MessageStart`.
        strict: raise on anything unknown instead of counting it.
        pass_unknown: emit `UnknownEvent` for unknown input.
        limits: size limits on everything read from outside.
        tags: the caller's own labels (`run_id`, `step_id`, user ids ...).
    """

    message_id: str
    model: str | None = None
    payload: Mapping[str, Any] = msgspec.field(default_factory=dict)
    first_seq: int = 0
    first_part: int = 0
    continued: bool = False
    strict: bool = False
    pass_unknown: bool = False
    limits: Limits = msgspec.field(default_factory=Limits)
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)


class Step(Protocol[In, Out]):
    """One run's worth of a synchronous stage."""

    def feed(self, items: Sequence[In], recv_ns: int, out: list[Out]) -> None:
        """Consume a batch and append what it gives to `out`.

        `recv_ns` is the receive time of the read that brought the batch. What was appended
        before an exception is delivered before the exception is.
        """
        ...

    def finish(self, recv_ns: int, out: list[Out]) -> None:
        """The input ended well: append what is left, or raise if it ended too early."""
        ...


class AsyncStep(Protocol[In, Out]):
    """One run's worth of an asynchronous stage."""

    async def feed(self, items: Sequence[In], recv_ns: int, out: list[Out]) -> None:
        """Like `Step.feed`, and may await."""
        ...

    async def finish(self, recv_ns: int, out: list[Out]) -> None:
        """Like `Step.finish`, and may await."""
        ...


@runtime_checkable
class FailureStep(Protocol[Out]):
    """A step that has something to say when its input fails; `finish` is not called then."""

    def fail(self, error: BaseException, recv_ns: int, out: list[Out]) -> None:
        """The input ended with `error`: append what is left. A cancelled run does not call it."""
        ...


@runtime_checkable
class Stage(Protocol[In, Out]):
    """Description of a stage; immutable and shared by all runs of a pipeline.

    Attributes:
        name: unique within its pipeline; names the span.
        inlet: type of the items that come in; the builder checks it against the edge.
        outlet: type of the items that go out.
    """

    @property
    def name(self) -> str:
        """Unique name."""
        ...

    @property
    def inlet(self) -> Any:
        """Type of the items in."""
        ...

    @property
    def outlet(self) -> Any:
        """Type of the items out."""
        ...

    def open(self, context: StepContext) -> Step[In, Out] | AsyncStep[In, Out]:
        """A fresh step for one attempt of one run."""
        ...


@dataclass(frozen=True, slots=True)
class StageSpec:
    """The plain way to describe a stage: a name, two types and how to open a step."""

    name: str
    inlet: Any
    outlet: Any
    opener: Callable[[StepContext], Step[Any, Any] | AsyncStep[Any, Any]]

    def open(self, context: StepContext) -> Step[Any, Any] | AsyncStep[Any, Any]:
        """A fresh step for one attempt of one run."""
        return self.opener(context)
