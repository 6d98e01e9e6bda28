"""A stage under test, and input for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from tokenline.stage import Stage, StepContext

KIT_MESSAGE_ID = "message-kit"


@dataclass(frozen=True)
class Sample:
    """One response's worth of input for a stage.

    Attributes:
        items: the input, in order. `RawChunk` items are joined and cut anew, at every byte too.
        gives: what must come out, if that is known.
        fails: the error that the stage must raise; None for input that it must take.
        context: what the step knows of its run.
        name: for messages.
    """

    items: Sequence[Any]
    gives: Sequence[Any] | None = None
    fails: type[Exception] | None = None
    context: StepContext = field(default_factory=lambda: StepContext(KIT_MESSAGE_ID))
    name: str = ""

    def __str__(self) -> str:
        return self.name or f"{len(self.items)} items"


@dataclass(frozen=True)
class StageCase:
    """A stage, and what its rules are checked with.

    Attributes:
        stage: the stage.
        samples: input; at least one whole response, better one of each kind.
        state: what a step holds when all is fed, for stages whose work is not what they give:
            `lambda step: step.snapshot()` of an accumulator. It is compared like output.
        long: input of about that many items, for the rules on memory and length.
        keeps: it holds on to content by design (an accumulator): memory may grow with the input.
        name: for messages; the stage's own by default.
    """

    stage: Stage[Any, Any]
    samples: Sequence[Sample]
    state: Callable[[Any], Any] | None = None
    long: Callable[[int], Sequence[Any]] | None = None
    keeps: bool = False
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.stage.name

    @property
    def is_async(self) -> bool:
        """Whether its steps may await."""
        step = self.stage.open(self.samples[0].context)
        return iscoroutinefunction(step.feed) or iscoroutinefunction(step.finish)

    def state_of(self, step: Any) -> Any:
        """What the step holds, as far as it counts."""
        return self.state(step) if self.state is not None else None
