"""Whether two reports can be compared: what one of them lacks, and what was not done alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from .config import Search
from .report import EndpointReport, Report
from .statistics import statistic_of, values_to_compare


class Gated(Protocol):
    """A statistic that something depends on."""

    @property
    def metric(self) -> str:
        """Name of a metric."""
        ...

    @property
    def statistic(self) -> str:
        """`p50`, `mean` ...; empty where a metric has none."""
        ...


def paired(before: Report, after: Report) -> Iterator[tuple[str, EndpointReport, EndpointReport]]:
    """Level's title and the endpoint in either report, for what both have.

    Endpoints of one name belong together; a single one on either side whatever it is called.
    """
    earlier = {level.title: level for level in before.levels}
    for level in after.levels:
        if level.title not in earlier:
            continue
        old = earlier[level.title].endpoints
        if len(old) == len(level.endpoints) == 1:
            yield level.title, old[0], level.endpoints[0]
            continue
        known = {endpoint.endpoint: endpoint for endpoint in old}
        for new in level.endpoints:
            if new.endpoint in known:
                yield level.title, known[new.endpoint], new


def judged(endpoint: EndpointReport) -> int:
    """Requests that ended well or failed: not those left on purpose or unfinished."""
    return sum(endpoint.outcomes.get(name, 0) for name in ("ok", "error", "timeout"))


def find_missing(before: Report, after: Report, gates: Sequence[Gated]) -> list[str]:
    """What the later report should have and has not: levels, endpoints, values of gated metrics.

    Levels of a search for the knee depend on what was measured, so none of them is missing.
    """
    found: list[str] = []
    pairs = list(paired(before, after))
    titles = {level.title for level in after.levels}
    matched = {(level, old.endpoint) for level, old, _ in pairs}
    searched = isinstance(before.configuration.load, Search)
    for level in before.levels:
        if level.title not in titles:
            found += [] if searched else [f"{level.title}: the later report has no such level"]
            continue
        found += [
            f"{level.title}: the later report has no endpoint {endpoint.endpoint}"
            for endpoint in level.endpoints
            if (level.title, endpoint.endpoint) not in matched
        ]
    metrics = dict.fromkeys(gate.metric for gate in gates if gate.metric != "error_share")
    for title, old, new in pairs:
        if judged(old) and not judged(new):
            found.append(f"{title}, {new.endpoint}: in the later report no request was judged")
            continue
        found += [
            f"{title}, {new.endpoint}: the later report has no {metric}, the earlier one has"
            for metric in metrics
            if old.values.get(metric) and not new.values.get(metric)
        ]
    return found


def find_differences(before: Report, after: Report, gates: Sequence[Gated]) -> list[str]:
    """What makes the comparison less than it seems, one line each."""
    found = [
        f"the {name} report was interrupted"
        for name, report in (("earlier", before), ("later", after))
        if report.interrupted
    ]
    old, new = before.configuration, after.configuration
    models = [[f"{e.provider}/{e.model}" for e in bench.endpoints] for bench in (old, new)]
    if models[0] != models[1]:
        found.append(f"not the same models: {', '.join(models[0])} and {', '.join(models[1])}")
    if old.work != new.work:
        found.append(f"not the same work: {_work_differences(before, after)}")
    return [*found, *_unjudged(before, after, gates)]


def _work_differences(before: Report, after: Report) -> str:
    old, new = (msgspec.to_builtins(r.configuration.work) for r in (before, after))
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return ", ".join(
        f"{name} {_short(old.get(name))} and {_short(new.get(name))}" for name in names
    )


def _short(value: object) -> str:
    shown = " ".join(str(value).split())
    return shown if len(shown) <= 40 else f"{shown[:40]}..."


def _unjudged(before: Report, after: Report, gates: Sequence[Gated]) -> Iterator[str]:
    """Statistics of which nothing can be said, and why."""
    for title, old, new in paired(before, after):
        for gate in gates:
            what = f"{title}, {new.endpoint}: {gate.metric}.{gate.statistic}"
            if gate.metric != "error_share" and (why := _why_unjudged(gate, old, new)):
                yield f"{what} is not judged: {why}"


def _why_unjudged(gate: Gated, old: EndpointReport, new: EndpointReport) -> str | None:
    earlier, later = (endpoint.values.get(gate.metric, []) for endpoint in (old, new))
    if not earlier:
        return "the earlier report has none" if later else "neither report has any"
    if not later:
        return None  # missing
    if statistic_of(earlier, gate.statistic) == 0:
        return "it was 0"
    needed = values_to_compare(gate.statistic)
    if min(len(earlier), len(later)) < needed:
        return f"{len(earlier)} and {len(later)} requests; it takes {needed} each"
    return None
