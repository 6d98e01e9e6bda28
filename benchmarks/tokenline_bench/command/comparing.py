"""`tokenline bench compare`: two reports, and whether the later one is a regression."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from tokenline_bench.regression import Verdict

EXIT_REGRESSION = 3

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
    excludes no change. Defaults: ttft.p50=10%, ttft.p90=15%, tpot.p50=10%, e2e.p50=10%,
    error_share=1%.
    """
    from rich.console import Console

    from tokenline_bench.regression import DEFAULT, compare_reports, read_threshold
    from tokenline_bench.report import read_report

    bounds = tuple(read_threshold(text) for text in thresholds or DEFAULT)
    verdicts = compare_reports(read_report(before), read_report(after), bounds)
    console = Console()
    console.print(_table(verdicts))
    bad = [v for v in verdicts if v.regression or (strict and v.possible)]
    unclear = sum(verdict.possible for verdict in verdicts)
    console.print(
        f"{len(bad)} regressions, {len(verdicts) - len(bad)} within bounds"
        + (f", {unclear} worse but may be chance: measure more requests" if unclear else ""),
        highlight=False,
    )
    if bad:
        sys.exit(EXIT_REGRESSION)


def _table(verdicts: list[Verdict]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("what", "load", "endpoint"):
        table.add_column(heading)
    for heading in ("before", "after", "change", "interval", "effect", "allowed"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for verdict in verdicts:
        table.add_row(*_row(verdict))
    return table


def _row(verdict: Verdict) -> tuple[str, ...]:
    from tokenline_bench.metrics import REQUEST_METRICS
    from tokenline_bench.output.text import show, signed_percent

    bound = verdict.threshold
    place = (verdict.level, verdict.endpoint)
    word = "REGRESSION" if verdict.regression else "unclear" if verdict.possible else "ok"
    if verdict.comparison is None:
        shares = (show(verdict.before, "share"), show(verdict.after, "share"))
        points = f"{verdict.worse * 100:+.1f} points"
        return (bound.metric, *place, *shares, points, "", "", f"+{bound.allowed:.1%}", word)
    found = verdict.comparison.change
    unit = REQUEST_METRICS[bound.metric].unit
    return (
        f"{bound.metric}.{bound.statistic}",
        *place,
        show(found.before, unit),
        show(found.after, unit),
        signed_percent(found.relative),
        f"{signed_percent(found.low)} to {signed_percent(found.high)}",
        f"{found.effect:+.2f}",
        f"{'-' if verdict.comparison.higher_is_better else '+'}{bound.allowed:.1%}",
        word,
    )
