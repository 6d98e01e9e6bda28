"""What a metric is: a name, a unit, and how it is computed from one measured request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tokenline_bench.sample import Sample

Unit: TypeAlias = Literal["ns", "tokens", "tokens/s", "events", "1/s", "share", "bytes"]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RequestMetric:
    """One value a request.

    Attributes:
        name: key in reports, and what SLOs and thresholds are given by.
        title: heading in tables.
        unit: of its values.
        of: its value; None where the request has none.
        formula: how it is computed, in words of `Sample`.
        from_start: it counts from the request's start, so that the harness's own share is in it.
        higher_is_better: a larger value is the better one.
    """

    name: str
    title: str
    unit: Unit
    of: Callable[[Sample], float | None]
    formula: str
    from_start: bool = False
    higher_is_better: bool = False


@dataclass(frozen=True, slots=True)
class PooledMetric:
    """Many values a request; those of all requests are put together.

    Attributes:
        name: key in reports.
        title: heading in tables.
        unit: of its values.
        of: the values of a request, each of the same weight, and that weight.
        formula: how they are computed.
    """

    name: str
    title: str
    unit: Unit
    of: Callable[[Sample], tuple[Integers, float] | None]
    formula: str


def formula_of(doc: str | None) -> str:
    """The formula in a metric module's docstring: its lines that are set in."""
    lines = (doc or "").splitlines()
    return " ".join(line.strip() for line in lines if line.startswith("    "))
