"""The report on the console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.text import Text

from tokenline_bench.report import Comparison, EndpointReport, LevelReport, Report
from tokenline_bench.statistics import Distribution

from .plain import PlainTable, plain
from .rows import main_latency, shown_metrics, title_of
from .text import seconds, show, show_change_interval, show_interval, signed_percent

_WIDE = 108


def print_report(report: Report, console: Console) -> None:
    """All of it: set-up, levels, comparison, warnings."""
    for part in _parts(report, console.width >= _WIDE):
        console.print(part)


def _parts(report: Report, wide: bool) -> Iterator[RenderableType]:
    yield _setup_table(report)
    for level in report.levels:
        yield _level(level, report, wide)
    notes = dict.fromkeys(note for level in report.levels for note in level.notes)
    for note in notes:
        yield plain(f"note: {note}\n", "dim")
    if len(report.levels) > 1:
        yield _sweep_table(report, wide)
    if report.knee is not None:
        yield plain(f"knee: {report.knee} is the highest load that met the SLO\n", "bold")
    elif any(level.held is not None for level in report.levels) and len(report.levels) > 1:
        yield Text("knee: no load met the SLO\n", style="bold")
    yield from _comparison_tables(report.comparisons, wide)
    for warning in report.warnings:
        yield plain(f"warning: {warning}", "yellow")


def _table(title: str, *headings: str) -> PlainTable:
    table = PlainTable(title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_heading(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _setup_table(report: Report) -> PlainTable:
    table = _table(
        "set-up (ms; apart from all that follows)",
        *("endpoint", "client", "name", "connect", "TLS", "first TTFT", "warm TTFT"),
    )
    for setup in report.setup:
        warm = None
        if report.warmup is not None:
            warm = report.warmup.endpoint(setup.endpoint).metrics.get("ttft")
        times = (setup.client_ns, setup.resolve_ns, setup.connect_ns, setup.tls_ns)
        table.add_cells(
            setup.endpoint,
            *(show(time, "ns") for time in times),
            show(setup.cold_ttft_ns, "ns"),
            show(warm.median, "ns") if warm else "-",
        )
    if report.own is not None:
        own = report.own
        table.caption = (
            f"the harness adds {show(own.p50_ns, 'ns')} ms to a TTFT (p99"
            f" {show(own.p99_ns, 'ns')} ms), measured against a local simulator"
        )
        table.caption_justify = "left"
    return table


def _level(level: LevelReport, report: Report, wide: bool) -> RenderableType:
    parts: list[RenderableType] = []
    for endpoint in level.endpoints:
        parts += [_metric_table(level, endpoint, report, wide), _totals(endpoint), Text()]
        if endpoint.errors:
            parts.append(_error_table(endpoint))
        if endpoint.stages:
            parts.append(_stage_table(endpoint))
    harness = level.harness
    shares = ", ".join(f"{share:.0%}" for share in harness.cpu_shares)
    parts.append(
        Text(
            f"harness: CPU {shares} of a core; loop lag p50 {show(harness.lag.p50_ns, 'ns')}"
            f" p99 {show(harness.lag.p99_ns, 'ns')} max {show(harness.lag.max_ns, 'ns')} ms",
            style="dim",
        )
    )
    return Group(*parts, Text())


def _metric_table(
    level: LevelReport, endpoint: EndpointReport, report: Report, wide: bool
) -> PlainTable:
    interval = f"({report.configuration.confidence:.0%})"
    headings = [f"p50 {interval}", "p90", "p99", "max", "n"]
    if wide:
        headings = ["mean", f"p50 {interval}", "p90", "p95", f"p99 {interval}", "max", "n"]
    title = f"{endpoint.endpoint}, {level.title}, {seconds(level.duration_ns)} (times in ms)"
    table = _table(title, "metric", *headings)
    shown = shown_metrics(level, endpoint)
    for name in shown:
        found = endpoint.metrics[name]
        cells = _wide_cells(found) if wide else _narrow_cells(found)
        table.add_cells(title_of(name), *cells)
    if any(endpoint.metrics[name].outliers for name in shown):
        table.caption = "* outliers: kept in every number"
        table.caption_justify = "left"
    return table


def _wide_cells(found: Distribution) -> tuple[str, ...]:
    unit = found.unit
    return (
        show(found.mean, unit),
        show_interval(found.at(0.5), unit),
        show(found.at(0.9).value, unit),
        show(found.at(0.95).value, unit),
        show_interval(found.at(0.99), unit),
        show(found.maximum, unit) + (" *" if found.outliers else ""),
        str(found.n),
    )


def _narrow_cells(found: Distribution) -> tuple[str, ...]:
    unit = found.unit
    return (
        show_interval(found.at(0.5), unit),
        show(found.at(0.9).value, unit),
        show(found.at(0.99).value, unit),
        show(found.maximum, unit) + (" *" if found.outliers else ""),
        str(found.n),
    )


def _totals(endpoint: EndpointReport) -> Text:
    outcomes = ", ".join(f"{count} {name}" for name, count in endpoint.outcomes.items())
    parts = [outcomes, f"{endpoint.requests_per_s:.2f} requests/s"]
    if endpoint.output_tokens_per_s is not None:
        parts.append(f"{endpoint.output_tokens_per_s:.1f} output tokens/s")
    good = endpoint.goodput
    if good is not None:
        parts.append(
            f"goodput {good.per_s:.2f}/s: {good.share:.1%} of {good.judged} met the SLO"
            f" ({good.low:.1%} to {good.high:.1%})"
        )
    return plain("; ".join(parts))


def _error_table(endpoint: EndpointReport) -> PlainTable:
    table = _table("errors", "type", "status", "count", "the first one")
    table.columns[3].justify = "left"
    table.columns[3].no_wrap = False
    for error in endpoint.errors:
        table.add_cells(error.type, str(error.status or "-"), str(error.count), error.example)
    return table


def _stage_table(endpoint: EndpointReport) -> PlainTable:
    table = _table(
        "pipeline stages (ms a request, median and p99)",
        *("stage", "work", "p99", "queued", "p99", "blocked", "waiting"),
    )
    for stage in endpoint.stages:
        table.add_cells(
            stage.name,
            show(stage.processing.p50_ns, "ns", 3),
            show(stage.processing.p99_ns, "ns", 3),
            show(stage.queue_wait.p50_ns, "ns", 3),
            show(stage.queue_wait.p99_ns, "ns", 3),
            show(stage.blocked.p50_ns, "ns", 3),
            show(stage.idle.p50_ns, "ns", 1),
        )
    return table


def _sweep_table(report: Report, wide: bool) -> PlainTable:
    headings = ["load", "TTFT p50", "p99", "TPOT p50", "tokens/s", "SLO met"]
    if wide:
        headings += ["e2e p50", "requests/s", "ok", "failed"]
    table = _table("all levels (ms)", *headings)
    for level in report.levels:
        for endpoint in level.endpoints:
            table.add_cells(*list(_sweep_row(level, endpoint))[: len(headings)])
    return table


def _sweep_row(level: LevelReport, endpoint: EndpointReport) -> Iterator[str]:
    found = endpoint.metrics
    ttft, tpot, e2e = (found.get(name) for name in (main_latency(level), "tpot", "e2e"))
    yield level.title if len(level.endpoints) == 1 else f"{level.title}, {endpoint.endpoint}"
    yield show(ttft.median if ttft else None, "ns")
    yield show(ttft.at(0.99).value if ttft else None, "ns")
    yield show(tpot.median if tpot else None, "ns")
    rate = endpoint.output_tokens_per_s
    yield "-" if rate is None else f"{rate:.1f}"
    good = endpoint.goodput
    mark = {True: " yes", False: " no", None: ""}[level.held]
    yield "-" if good is None else f"{good.share:.1%}{mark}"
    yield show(e2e.median if e2e else None, "ns")
    yield f"{endpoint.requests_per_s:.2f}"
    yield str(endpoint.outcomes.get("ok", 0))
    yield str(endpoint.outcomes.get("error", 0) + endpoint.outcomes.get("timeout", 0))


def _comparison_tables(comparisons: Sequence[Comparison], wide: bool) -> Iterator[PlainTable]:
    """Changes with intervals and effect sizes, one table for each level and endpoint."""
    for (level, before, after), group in groupby(
        comparisons, lambda each: (each.level, each.before, each.after)
    ):
        headings = ["metric", before, after, "change", "interval", "effect"]
        table = _table(
            f"{after} against {before}, measured in turns, {level}", *headings, *["n"] * wide
        )
        for column in table.columns[1:3]:
            column.no_wrap, column.overflow = False, "fold"
        for each in group:
            table.add_cells(*_comparison_row(each), *[_counts(each)] * wide)
        yield table


def _comparison_row(each: Comparison) -> Iterator[str]:
    found = each.change
    unit = "ns" if each.metric not in ("stream_rate", "token_rate") else "tokens/s"
    yield f"{title_of(each.metric)} {found.statistic}"
    yield from (show(value, unit) for value in (found.before, found.after))
    yield signed_percent(found.relative)
    yield show_change_interval(found)
    yield f"{found.effect:+.2f}"


def _counts(each: Comparison) -> str:
    return f"{each.change.n_before}, {each.change.n_after}"
