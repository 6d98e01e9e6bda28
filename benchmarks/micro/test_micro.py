"""Times of every case, by pytest-benchmark: `python -m pytest benchmarks/micro`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.micro.case import close_loop
from benchmarks.micro.cases import CASES


@pytest.fixture(scope="module", autouse=True)
def _close_loop() -> Iterator[None]:
    yield
    close_loop()


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, benchmark: Any) -> None:
    """One case; the time of one unit is in `extra_info`."""
    work, units = CASES[name].prepare()
    benchmark.group = CASES[name].unit
    benchmark(work)
    if benchmark.stats is not None:
        per_unit_us = benchmark.stats["median"] / units * 1e6
        benchmark.extra_info[f"us_per_{CASES[name].unit}"] = round(per_unit_us, 3)
