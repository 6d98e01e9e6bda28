"""3. The normalizer: a provider's wire items become events of one vocabulary.

Each provider folder has its own sans-IO normalizer; this module makes a stage of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenline.events import Event
from tokenline.stage import StageSpec, Step, StepContext


def normalizer(
    wire: Any, opener: Callable[[StepContext], Step[Any, Event]], name: str = "normalizer"
) -> StageSpec:
    """The normalizer stage.

    Args:
        wire: type of the wire items that it takes.
        opener: makes one response's normalizer.
        name: stage name.
    """
    return StageSpec(name, wire, Event, opener)
