"""The first request of a run: it is sent before everything is made that only its response needs.

While the server works there is time for that, and it costs the first token nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .actor import open_step
from .pipeline import ChainStage, Pipeline
from .policy import AfterCommit
from .source import Opening, Request
from .stage import StepContext


@dataclass(slots=True)
class SentRequest:
    """A request on its way.

    Attributes:
        request_ns: when it was issued.
        opening: where its response comes from.
    """

    request_ns: int
    opening: Opening


@dataclass(slots=True)
class OpenSteps:
    """The steps of a run's first attempt: all that may refuse before anything is sent.

    Attributes:
        branches: by name of the branch.
        chain: in flow order.
    """

    branches: dict[str, Any]
    chain: list[Any]


def open_steps(plan: Pipeline, context: StepContext) -> OpenSteps:
    """Open every stage.

    Raises:
        StageFailedError: one could not be opened.
        WiringError: what one gave is no step.
    """
    branches = {
        branch.name: open_step(branch.stage, context)
        for branch in plan.branches
        if branch.stage is not None
    }
    return OpenSteps(branches, open_chain(plan.chain, context))


def open_chain(chain: Sequence[ChainStage], context: StepContext) -> list[Any]:
    """The steps of a chain, in flow order; raises like `open_steps`."""
    return [open_step(place.stage, context) for place in chain]


def send_first(plan: Pipeline, request: Request, now_ns: Callable[[], int]) -> SentRequest | None:
    """Send a run's request, if its source can without waiting and nothing else is to be waited for.

    Not where stages are still to be opened that may refuse, as for `AfterCommit.CONTINUE`.
    """
    begin = getattr(type(plan.source), "begin", None)
    if begin is None or plan.limiter is not None:
        return None
    if plan.options.retry.after_commit is AfterCommit.CONTINUE:
        return None
    request_ns = now_ns()
    opening: Opening | None = begin(plan.source, request)
    return None if opening is None else SentRequest(request_ns, opening)
