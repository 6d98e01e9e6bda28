"""What a rule of the conformance kit is, and the error that says which one is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest import SkipTest

from .stage_case import StageCase


class RuleBrokenError(AssertionError):
    """A stage breaks a rule. `rule` is its name, `why` says what was seen."""

    def __init__(self, rule: str, case: str, why: str) -> None:
        super().__init__(f"stage {case!r} breaks the rule {rule!r}: {why}")
        self.rule = rule
        self.why = why


class Broken(Exception):
    """Raised by a rule's check; `Rule.check` adds the names."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: short, in snake case.
        text: what it asks for, and where it comes from.
    """

    name: str
    text: str
    look: Callable[[StageCase], None]

    def check(self, case: StageCase) -> None:
        """Check a stage.

        Raises:
            RuleBrokenError: the stage breaks the rule.
            unittest.SkipTest: the rule does not apply, or the case has no input for it.
        """
        try:
            self.look(case)
        except Broken as broken:
            raise RuleBrokenError(self.name, str(case), str(broken)) from broken.__cause__

    def __str__(self) -> str:
        return self.name


def rule(look: Callable[[StageCase], None]) -> Rule:
    """A rule of a function: its name and its docstring."""
    return Rule(look.__name__, " ".join((look.__doc__ or "").split()), look)


def skip(reason: str) -> SkipTest:
    """The rule does not apply."""
    return SkipTest(reason)
