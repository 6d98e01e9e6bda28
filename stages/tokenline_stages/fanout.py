"""4. The fan-out: every branch gets the same batches, each behind its own bounded queue.

The runtime is `tokenline.actor.FanOutActor`; this module describes the branches besides
consumer and accumulator.
"""

from __future__ import annotations

from typing import Any

from tokenline.options import Capacity
from tokenline.pipeline import Branch
from tokenline.record import StageKind
from tokenline.stage import Stage
from tokenline.wiring import need_stage


def sink(
    stage: Stage[Any, Any], capacity: Capacity | None = None, *, required: bool = False
) -> Branch:
    """A branch that runs a stage of your own on every event.

    Args:
        stage: takes events; what it gives is dropped.
        capacity: bounds of its inbox and what happens when it is full.
        required: whether its failure ends the run; otherwise it is cut off and the run goes on.

    Raises:
        WiringError: it is no stage.
    """
    need_stage(stage)
    return Branch(
        name=stage.name,
        kind=StageKind.BRANCH,
        stage=stage,
        required=required,
        capacity=capacity or Capacity(),
    )
