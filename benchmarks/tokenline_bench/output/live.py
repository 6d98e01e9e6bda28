"""Progress while it runs: drawn by the session's process, load comes from others."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from tokenline_bench.metrics import REQUEST_METRICS
from tokenline_bench.results import LevelResult
from tokenline_bench.sample import Sample
from tokenline_bench.session import WARMUP, NoObserver

from .plain import PlainTable
from .text import show

_LATEST = 500
_PER_S = 4


@dataclass
class _Running:
    """What is known of an endpoint at the level that runs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    ttft: deque[float] = field(default_factory=lambda: deque(maxlen=_LATEST))
    tpot: deque[float] = field(default_factory=lambda: deque(maxlen=_LATEST))

    def add(self, sample: Sample) -> None:
        self.outcomes[sample.outcome.value] += 1
        if not sample.ok:
            return
        self.tokens += sample.output_tokens or 0
        for name, latest in (("ttft", self.ttft), ("tpot", self.tpot)):
            value = REQUEST_METRICS[name].of(sample)
            if value is not None:
                latest.append(value)


class LiveProgress(NoObserver):
    """Shows the level that runs; a context manager. Plain lines where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._level: LevelResult | None = None
        self._running: dict[str, _Running] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                refresh_per_second=_PER_S,
                transient=True,
                get_renderable=self.__rich__,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        self._level = result
        self._running = {}
        if self._live is None:
            self._console.print(f"{_title(result)} ...", highlight=False)

    def note(self, sample: Sample) -> None:
        """See `Observer`."""
        self._running.setdefault(sample.endpoint, _Running()).add(sample)

    def end_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        self._level = None

    def __rich__(self) -> RenderableType:
        """What is shown now."""
        level = self._level
        if level is None:
            return Text("getting ready ...")
        elapsed_s = max(1e-9, (time.perf_counter_ns() - level.level.start_ns) / 1e9)
        return Group(
            Text(f"{_title(level)}, {elapsed_s:.0f} s"),
            self._bar(level, elapsed_s),
            self._table(elapsed_s),
        )

    def _bar(self, level: LevelResult, elapsed_s: float) -> ProgressBar:
        plan = level.level
        shares = [0.0]
        if plan.requests:
            shares.append(len(level.samples) / plan.requests)
        if plan.duration_s:
            shares.append(elapsed_s / plan.duration_s)
        known = plan.requests is not None or plan.duration_s is not None
        return ProgressBar(1.0, min(1.0, max(shares)), width=60, pulse=not known)

    def _table(self, elapsed_s: float) -> PlainTable:
        table = PlainTable(box=None, pad_edge=False)
        table.add_heading("endpoint")
        for heading in ("ok", "failed", "requests/s", "tokens/s", "TTFT p50", "p95", "TPOT p50"):
            table.add_heading(heading, justify="right")
        for name, running in list(self._running.items()):
            well = running.outcomes["ok"]
            failed = running.outcomes["error"] + running.outcomes["timeout"]
            table.add_cells(
                name,
                str(well),
                str(failed),
                f"{well / elapsed_s:.1f}",
                f"{running.tokens / elapsed_s:.0f}",
                *(_quantile(running.ttft, p) for p in (0.5, 0.95)),
                _quantile(running.tpot, 0.5),
            )
        return table


def _title(result: LevelResult) -> str:
    if result.level.number == WARMUP:
        return "warm-up"
    return f"level {result.level.number + 1}: {result.level.load}"


def _quantile(values: deque[float], p: float) -> str:
    ordered = sorted(values)
    return show(ordered[int(p * (len(ordered) - 1))] if ordered else None, "ns")
