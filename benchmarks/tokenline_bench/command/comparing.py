"""`tokenline bench compare`: two reports, and whether the later one is a regression."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tokenline_bench.output.plain import PlainTable
    from tokenline_bench.regression import Verdict

EXIT_REGRESSION = 3
_WIDE = 96

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("compare")
@click.argument("before", type=_PATH)
@click.argument("after", type=_PATH)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="METRIC.STATISTIC=10%",
    help="What may get worse by how much; replaces the defaults.",
)
@click.option("--strict", is_flag=True, help="What may be chance counts as a regression too.")
def compare(before: Path, after: Path, thresholds: tuple[str, ...], strict: bool) -> None:
    """Compare the reports BEFORE and AFTER; exits with 3 on a regression.

    A regression is a statistic that got worse by more than its threshold, with an interval that
    excludes no change. A level, an endpoint or a metric with a threshold that AFTER lacks counts
    as one too. Defaults: ttft.p50=10%, ttft.p90=15%, tpot.p50=10%, e2e.p50=10%,
    error_share=1%.
    """
    from rich.console import Console

    from tokenline.errors import ConfigError
    from tokenline_bench.comparability import find_differences, find_missing
    from tokenline_bench.output.plain import plain
    from tokenline_bench.regression import DEFAULT, compare_reports, read_threshold
    from tokenline_bench.report import read_report

    bounds = tuple(read_threshold(text) for text in thresholds or DEFAULT)
    earlier, later = read_report(before), read_report(after)
    verdicts = compare_reports(earlier, later, bounds)
    console = Console()
    for table in _tables(verdicts, console.width >= _WIDE):
        console.print(table)
    for difference in find_differences(earlier, later, bounds):
        console.print(plain(f"warning: {difference}", "yellow"), soft_wrap=True)
    missing = find_missing(earlier, later, bounds)
    for gap in missing:
        console.print(plain(f"MISSING: {gap}", "red"), soft_wrap=True)
    if not verdicts and not missing:
        raise ConfigError("nothing could be judged; the lines above say why")
    bad = [v for v in verdicts if v.regression or (strict and v.possible)]
    unclear = [verdict for verdict in verdicts if verdict.possible]
    within = sum(_word(verdict) == "ok" for verdict in verdicts)
    few = sum(_word(verdict) == "too few" and not verdict.possible for verdict in verdicts)
    console.print(
        f"{len(bad)} regressions, {within} within bounds"
        + (f", {len(unclear)} worse but may be chance: {_cure(unclear)}" if unclear else "")
        + (f", {few} of too few requests to be judged" if few else "")
        + (f", {len(missing)} missing" if missing else ""),
        highlight=False,
    )
    if bad or missing:
        sys.exit(EXIT_REGRESSION)


def _tables(verdicts: list[Verdict], wide: bool) -> Iterator[PlainTable]:
    """One table for each level and endpoint."""
    from rich.box import SIMPLE_HEAD

    from tokenline_bench.output.plain import PlainTable

    for place, group in groupby(verdicts, lambda verdict: (verdict.level, verdict.endpoint)):
        title = ", ".join(place) + " (times in ms)"
        table = PlainTable(title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        table.add_heading("what")
        for heading in ("before", "after", "change", "interval"):
            table.add_heading(heading, justify="right", no_wrap=True)
        if wide:
            table.add_heading("allowed", justify="right")
            table.add_heading("effect", justify="right")
        table.add_heading("verdict", no_wrap=True)
        for verdict in group:
            *cells, allowed, effect, word = _row(verdict)
            table.add_cells(*cells, *((allowed, effect) if wide else ()), word)
        yield table


def _row(verdict: Verdict) -> tuple[str, ...]:
    from tokenline_bench.metrics import REQUEST_METRICS
    from tokenline_bench.output.text import show, show_change_interval, signed_percent

    bound = verdict.threshold
    word = _word(verdict)
    if verdict.comparison is None:
        shares = (show(verdict.before, "share"), show(verdict.after, "share"))
        points, interval = f"{verdict.worse * 100:+.1f} pts", _points(verdict.low, verdict.high)
        return (bound.metric, *shares, points, interval, f"+{bound.allowed:.1%}", "", word)
    found = verdict.comparison.change
    unit = REQUEST_METRICS[bound.metric].unit
    return (
        f"{bound.metric}.{bound.statistic}",
        show(found.before, unit),
        show(found.after, unit),
        signed_percent(found.relative),
        show_change_interval(found),
        f"{'-' if verdict.comparison.higher_is_better else '+'}{bound.allowed:.1%}",
        f"{found.effect:+.2f}",
        word,
    )


def _word(verdict: Verdict) -> str:
    """What came out, in a word."""
    if verdict.regression:
        return "REGRESSION"
    if verdict.comparison is not None and verdict.comparison.change.low is None:
        return "too few"
    return "unclear" if verdict.possible else "ok"


def _cure(unclear: list[Verdict]) -> str:
    """How to find out whether it is chance."""
    from tokenline_bench.statistics import values_to_compare

    few = [verdict.threshold.statistic for verdict in unclear if _word(verdict) == "too few"]
    if not few:
        return "measure more requests"
    return f"measure at least {max(map(values_to_compare, few))} requests each time"


def _points(low: float | None, high: float | None) -> str:
    """An interval of a difference of shares."""
    if low is None or high is None:
        return ""
    return f"{low * 100:+.1f} to {high * 100:+.1f}"
