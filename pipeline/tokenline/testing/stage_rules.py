"""The conformance kit: all rules, and the ways to check a stage against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from unittest import SkipTest

from tokenline.stage import Stage

from .actor_rules import fused_equals_queued, stops_when_dropped
from .async_rules import can_be_cancelled, leaves_no_task
from .memory_rules import (
    forgets_a_run_that_is_over,
    fresh_heap,
    holds_nothing_back_at_the_end,
    memory_is_bounded,
    takes_long_input,
)
from .rule import Rule, RuleBrokenError
from .stage_case import Sample, StageCase
from .step_rules import (
    ends_as_the_samples_say,
    ends_without_input,
    every_run_has_a_step_of_its_own,
    gives_nothing_after_its_end,
    hears_of_a_failure,
    keeps_what_came_before_a_raise,
    leaves_its_input_alone,
    numbers_its_events,
    same_items_however_cut,
)

STAGE_RULES: tuple[Rule, ...] = (
    ends_as_the_samples_say,
    same_items_however_cut,
    keeps_what_came_before_a_raise,
    every_run_has_a_step_of_its_own,
    leaves_its_input_alone,
    gives_nothing_after_its_end,
    ends_without_input,
    hears_of_a_failure,
    numbers_its_events,
    holds_nothing_back_at_the_end,
    memory_is_bounded,
    takes_long_input,
    forgets_a_run_that_is_over,
    can_be_cancelled,
    leaves_no_task,
    fused_equals_queued,
    stops_when_dropped,
)
"""Every rule of a stage."""


def check_stage(stage: Stage[Any, Any], *samples: Sample, **more: Any) -> None:
    """Check a stage against every rule that applies.

    ```python
    def test_my_stage() -> None:
        check_stage(my_stage(), Sample([first_event, second_event]))
    ```

    Args:
        stage: the stage.
        samples: input; at least one whole response.
        more: further fields of `StageCase`.

    Raises:
        RuleBrokenError: it breaks a rule; the first one is told.
    """
    for broken in find_broken_rules(StageCase(stage, samples, **more)):
        raise broken


def find_broken_rules(case: StageCase) -> list[RuleBrokenError]:
    """Every rule that a stage breaks."""
    found: list[RuleBrokenError] = []
    with fresh_heap():
        for each in STAGE_RULES:
            try:
                each.check(case)
            except SkipTest:
                continue
            except RuleBrokenError as broken:
                found.append(broken)
    return found


class StageSuite:
    """One test for each rule; derive a test class from it and name the case.

    ```python
    class TestMyStage(StageSuite):
        case = StageCase(my_stage(), [Sample([first_event, second_event])])
    ```

    Rules that do not apply are skipped.
    """

    case: ClassVar[StageCase]


def _test_of(each: Rule) -> Callable[[StageSuite], None]:
    def test(self: StageSuite) -> None:
        each.check(self.case)

    test.__name__ = f"test_{each.name}"
    test.__doc__ = each.text
    return test


def _add_tests(rules: Sequence[Rule]) -> None:
    for each in rules:
        setattr(StageSuite, f"test_{each.name}", _test_of(each))


_add_tests(STAGE_RULES)
