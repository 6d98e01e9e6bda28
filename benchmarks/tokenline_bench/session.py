"""Runs a benchmark: starts the workers, runs level after level, gathers what they measure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

from tokenline.errors import ConfigError

from .config import Bench, ClosedLoop, Load, OpenLoop, Search, Synthetic, TimedTrace
from .load.generator import Level, Share
from .metrics import REQUEST_METRICS, goodput
from .results import LevelResult, Results
from .sample import Sample
from .search import KneeSearch
from .workers.messages import LevelEnded, Prepared
from .workers.port import WorkerPort
from .workers.process import ProcessWorker
from .workers.worker import Worker

WARMUP = -1
"""Number of the level that is not measured."""

_LEVEL_NUMBERS = 10_000_000  # more than a level has requests
_MOST_WARM = 64
_HEAD_START_NS = 50_000_000  # until every process has heard of the level


class Observer(Protocol):
    """Is told what happens, as it happens; must be quick where it runs in the load's process."""

    def begin_level(self, result: LevelResult) -> None:
        """A level begins; samples are added to `result`."""
        ...

    def note(self, sample: Sample) -> None:
        """A request has ended."""
        ...

    def end_level(self, result: LevelResult) -> None:
        """A level is over."""
        ...

    def traceparent(self) -> str | None:
        """W3C trace context for the requests of the level that begins."""
        ...


class NoObserver:
    """Tells nobody."""

    def begin_level(self, result: LevelResult) -> None:
        """Nothing."""

    def note(self, sample: Sample) -> None:
        """Nothing."""

    def end_level(self, result: LevelResult) -> None:
        """Nothing."""

    def traceparent(self) -> str | None:
        """None."""
        return None


class Session:
    """One run of a benchmark.

    Args:
        bench: what to do.
        observer: is told what happens.
    """

    def __init__(self, bench: Bench, observer: Observer | None = None) -> None:
        _check_objectives(bench)
        self._bench = bench
        self._observer: Observer = observer or NoObserver()
        self._workers: list[WorkerPort] = []
        self._current: LevelResult | None = None
        self._stopping = False
        self.results = Results(bench, time.time_ns())

    async def run(self) -> Results:
        """Measure; what there is after an `interrupt` is kept.

        Raises:
            ConfigError: a mistake in the bench, found before anything was measured.
            StreamError: an endpoint does not answer as it should, or a process died.
        """
        try:
            await self._start_workers()
            self.results.prepared = await self._prepare()
            await self._warm_up()
            for load in self._loads():
                if self._stopping:
                    break
                await self._run_level(len(self.results.levels), load)
        finally:
            await asyncio.gather(*(worker.aclose() for worker in self._workers))
        return self.results

    async def interrupt(self) -> None:
        """End it now; requests under way are noted as unfinished."""
        self._stopping = self.results.interrupted = True
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    # --- workers ---------------------------------------------------------------------------

    async def _start_workers(self) -> None:
        count = self._bench.processes
        if not count:
            self._workers.append(Worker(self._bench, Share(), self._note))
        for number in range(count):
            started = await ProcessWorker.start(self._bench, number, count, self._note)
            self._workers.append(started)

    async def _prepare(self) -> Prepared:
        first, *others = self._workers
        prepared = await first.prepare(True)
        await asyncio.gather(*(worker.prepare(False) for worker in others))
        return prepared

    def _note(self, sample: Sample) -> None:
        if self._current is not None:
            self._current.samples.append(sample)
            self._observer.note(sample)

    # --- levels ----------------------------------------------------------------------------

    def _loads(self) -> Iterator[Load]:
        load = self._bench.load
        if not isinstance(load, Search):
            yield from load
            return
        search = KneeSearch(load)
        for each in search.loads():
            yield each
            search.judge(self._held(self.results.levels[-1]))

    def _held(self, result: LevelResult) -> bool:
        slo = self._bench.slo
        assert slo is not None
        good, judged = goodput.count(result.samples, slo.bounds, REQUEST_METRICS)
        return bool(judged) and good / judged >= slo.share

    async def _warm_up(self) -> None:
        loads = self._bench.load
        first = loads.template if isinstance(loads, Search) else loads[0]
        peak = first if isinstance(loads, Search) else max(loads, key=_connections)
        users = _connections(peak)
        wanted = self._bench.warmup
        requests = users * len(self._bench.endpoints) if wanted is None else wanted
        if requests and not self._stopping:
            load = ClosedLoop(concurrency=min(users, requests))
            await self._run_level(WARMUP, load, requests)

    async def _run_level(self, number: int, load: Load, requests: int | None = None) -> None:
        bench = self._bench
        warmup = number == WARMUP
        level = Level(
            number=number,
            load=load,
            start_ns=time.perf_counter_ns() + (_HEAD_START_NS if bench.processes else 0),
            requests=requests if warmup else bench.requests,
            duration_s=None if warmup else bench.duration_s,
            first=self._first_number(number, requests or 0),
        )
        ahead_ns = level.start_ns - time.perf_counter_ns()
        result = LevelResult(level, time.time_ns() + ahead_ns)
        if warmup:
            self.results.warmup = result
        else:
            self.results.levels.append(result)
        self._current = result
        self._observer.begin_level(result)
        try:
            result.workers = await self._run_workers(level)
        finally:
            result.ended_ns = time.perf_counter_ns()
            self._observer.end_level(result)
            self._current = None

    def _first_number(self, level: int, requests: int) -> int:
        """Where a level's work begins.

        Made-up prompts never end. Those of a file are the same at every level; the warm-up takes
        the last ones, so that no cache knows the first.
        """
        if isinstance(self._bench.work, Synthetic):
            return (level + 1) * _LEVEL_NUMBERS
        size = self.results.prepared.work_size
        if level != WARMUP or size is None:
            return 0
        endpoints = len(self._bench.endpoints)
        return max(0, size - -(-requests // endpoints)) * endpoints

    async def _run_workers(self, level: Level) -> list[LevelEnded]:
        parent = self._observer.traceparent()
        running = [worker.run_level(level, parent) for worker in self._workers]
        return list(await asyncio.gather(*running))


def _connections(load: Load) -> int:
    """About how many connections a load needs at once."""
    match load:
        case ClosedLoop():
            return min(_MOST_WARM, load.concurrency)
        case OpenLoop():
            wanted = min(load.rate_per_s, load.max_concurrency or _MOST_WARM)
            return max(1, min(_MOST_WARM, round(wanted)))
        case TimedTrace():
            return min(8, load.max_concurrency or 8)


def _check_objectives(bench: Bench) -> None:
    if isinstance(bench.load, Search) and bench.slo is None:
        raise ConfigError("a search for the knee needs an SLO; give one like ttft=500ms")
    if bench.slo is not None:
        check_metrics(bench.slo.bounds)


def check_metrics(names: Mapping[str, float]) -> None:
    """Raise `ConfigError` for a metric that has no value for each request."""
    for name in names:
        if name not in REQUEST_METRICS:
            known = ", ".join(REQUEST_METRICS)
            raise ConfigError(f"no metric {name!r} to set a bound for; there are: {known}")
