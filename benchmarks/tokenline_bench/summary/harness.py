"""What the harness did to the numbers: its lag, its CPU, its own share of a TTFT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenline_bench.report import HarnessReport, Spread
from tokenline_bench.results import LevelResult
from tokenline_bench.sample import Sample
from tokenline_bench.statistics.order import rank
from tokenline_bench.workers.messages import LevelEnded


def spread(values: Sequence[int]) -> Spread | None:
    """Median, 99th percentile and maximum; None without values."""
    if not len(values):
        return None
    ordered = sorted(values)
    n = len(ordered)
    return Spread(ordered[rank(n, 0.5) - 1], ordered[rank(n, 0.99) - 1], ordered[-1])


def spread_or_zero(values: Sequence[int]) -> Spread:
    """The same, zeros without values."""
    return spread(values) or Spread(0, 0, 0)


class LagRecord:
    """How late each worker's loop was, and when."""

    def __init__(self, workers: Sequence[LevelEnded]) -> None:
        self._stamps = [np.array(worker.lag_stamps_ns, np.int64) for worker in workers]
        self._lags = [np.array(worker.lags_ns, np.int64) for worker in workers]

    def largest(self, sample: Sample, until_ns: int | None) -> int:
        """The largest lag from a request to a stamp."""
        if sample.request_ns is None or until_ns is None or sample.worker >= len(self._lags):
            return 0
        stamps = self._stamps[sample.worker]
        start = np.searchsorted(stamps, sample.request_ns)
        stop = np.searchsorted(stamps, until_ns) + 1
        return int(self._lags[sample.worker][start:stop].max(initial=0))


def summarize_harness(result: LevelResult, lags: LagRecord) -> HarnessReport:
    """What the harness did at one level."""
    met = [lags.largest(s, s.first_token_ns) for s in result.samples if s.ok]
    return HarnessReport(
        cpu_shares=[round(w.cpu_ns / w.wall_ns, 3) for w in result.workers if w.wall_ns],
        lag=spread_or_zero([lag for worker in result.workers for lag in worker.lags_ns]),
        lag_met=spread_or_zero(met),
    )
