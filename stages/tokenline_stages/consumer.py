"""5a. The consumer: the fan-out branch that the caller's `async for` reads."""

from __future__ import annotations

from tokenline.options import Capacity
from tokenline.pipeline import Branch
from tokenline.record import StageKind


def consumer(capacity: Capacity | None = None, name: str = "consumer") -> Branch:
    """The branch that `async for event in run` reads.

    Its default policy is back-pressure: a slow reader slows the provider, nothing is lost.
    """
    return Branch(
        name=name, kind=StageKind.CONSUMER, readable=True, capacity=capacity or Capacity()
    )


def reader(name: str, capacity: Capacity | None = None, *, required: bool = False) -> Branch:
    """A further branch for another task, read with `run.branch(name)`."""
    return Branch(name=name, readable=True, required=required, capacity=capacity or Capacity())
