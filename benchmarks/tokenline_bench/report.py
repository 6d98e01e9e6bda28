"""The report of a benchmark: everything that is said of it, in one versioned document.

Format "tokenline-bench", version 1, JSON. Times are integer nanoseconds unless the name says
otherwise; percentiles have intervals with the confidence of the configuration. Lower bounds of
times from the request are lowered by what may be the harness's own: the lag its event loop had
while the request ran, and what it added to a TTFT in the calibration, if there was one.

Readers ignore fields that they do not know and refuse versions above their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tokenline.errors import ConfigError

from .config import Bench
from .load.spec import Load
from .metrics.errors import ErrorCount
from .statistics import Change, Distribution
from .statistics.distribution import Number
from .workers.messages import EndpointSetup

FORMAT = "tokenline-bench"
VERSION = 1


class Spread(msgspec.Struct, frozen=True):
    """Median, 99th percentile and maximum, ns."""

    p50_ns: int
    p99_ns: int
    max_ns: int


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the pipeline, over all requests that ended well; sums of a request, ns.

    Attributes:
        name: of the stage.
        kind: what it does.
        processing: inside its code.
        queue_wait: its input lay in its queue.
        blocked: it waited for room.
        idle: it waited for input; the source: for the provider.
        mean_processing_ns: mean of `processing`.
        mean_idle_ns: mean of `idle`.
    """

    name: str
    kind: str
    processing: Spread
    queue_wait: Spread
    blocked: Spread
    idle: Spread
    mean_processing_ns: int
    mean_idle_ns: int


class Goodput(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests met the SLO; `low` and `high` bound the share (Wilson)."""

    good: int
    judged: int
    share: float
    low: float
    high: float
    per_s: float


class EndpointReport(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint at one level.

    Attributes:
        endpoint: its label.
        outcomes: outcome to number of requests.
        metrics: metric name to its distribution.
        requests_per_s: that ended well.
        output_tokens_per_s: of all its streams together; None without counts.
        error_share: failed requests among those that were judged.
        errors: by type.
        goodput: if there is an SLO.
        stages: the pipeline's own times.
        values: metric name to one value for each request that has one, in order of work.
    """

    endpoint: str
    outcomes: dict[str, int]
    metrics: dict[str, Distribution]
    requests_per_s: float
    output_tokens_per_s: float | None
    error_share: float
    errors: list[ErrorCount] = []
    goodput: Goodput | None = None
    stages: list[StageReport] = []
    values: dict[str, list[Number]] = {}

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


class HarnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness did to the numbers.

    Attributes:
        cpu_shares: CPU time over time, for each process.
        lag: how late the event loops were.
        lag_met: the largest lag that each request met before its first token; up to 1.5 ms of it
            may be the timers' own coarseness.
    """

    cpu_shares: list[float]
    lag: Spread
    lag_met: Spread


class LevelReport(msgspec.Struct, frozen=True, kw_only=True):
    """One level of load.

    Attributes:
        number: from 0; -1 for the warm-up.
        load: how requests came.
        title: the load in words.
        started_unix_ns: wall-clock time of its start.
        duration_ns: from the start to the end of the last request.
        endpoints: one report for each.
        harness: what the harness did to the numbers.
        held: whether it met the SLO, if there is one.
        notes: how to read it.
    """

    number: int
    load: Load
    title: str
    started_unix_ns: int
    duration_ns: int
    endpoints: list[EndpointReport]
    harness: HarnessReport
    held: bool | None = None
    notes: list[str] = []

    def endpoint(self, name: str | None = None) -> EndpointReport:
        """The report of one endpoint, the first by default; `LookupError` if there is none."""
        for found in self.endpoints:
            if name is None or found.endpoint == name:
                return found
        raise LookupError(f"no endpoint {name!r} at this level")


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of two endpoints that were measured in turns, or of two reports.

    Attributes:
        metric: which one.
        level: title of the load level.
        before: label of the first.
        after: label of the second.
        change: what they differ by.
        higher_is_better: of the metric.
    """

    metric: str
    level: str
    before: str
    after: str
    change: Change
    higher_is_better: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        format: "tokenline-bench".
        version: of the form of this document.
        title: heading.
        started_unix_ns: when the benchmark began.
        interrupted: somebody ended it early; what there was is here.
        environment: versions and machine.
        configuration: what was to be done, secrets removed.
        setup: what it took to get ready, for each endpoint.
        own: what the harness itself adds to a TTFT, from the calibration; None without one.
        warmup: requests before the first level; not part of anything else.
        levels: in the order in which they ran.
        knee: title of the highest level that met the SLO, if that was looked for.
        comparisons: endpoints that were measured in turns, against the first.
        warnings: what to know before the numbers are believed.
    """

    format: str = FORMAT
    version: int = VERSION
    title: str = ""
    started_unix_ns: int = 0
    interrupted: bool = False
    environment: dict[str, str] = {}
    configuration: Bench
    setup: list[EndpointSetup] = []
    own: Spread | None = None
    warmup: LevelReport | None = None
    levels: list[LevelReport] = []
    knee: str | None = None
    comparisons: list[Comparison] = []
    warnings: list[str] = []

    def metric(self, name: str, endpoint: str | None = None, level: int = 0) -> Distribution:
        """A metric's distribution.

        Args:
            name: `ttft`, `tpot`, `e2e` ...
            endpoint: label; the first by default.
            level: place among the levels.

        Raises:
            LookupError: not measured, for example because no request ended well.
        """
        found = self.levels[level].endpoint(endpoint)
        if name not in found.metrics:
            errors = "; ".join(f"{error.count} x {error.type}" for error in found.errors)
            raise LookupError(f"no {name} was measured; outcomes {found.outcomes} {errors}".strip())
        return found.metrics[name]

    @property
    def ttft(self) -> Distribution:
        """Time to first token of the first endpoint at the first level."""
        return self.metric("ttft")

    def to_json(self) -> bytes:
        """The document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    def save(self, path: Path | str) -> None:
        """Write the document to a file."""
        Path(path).write_bytes(self.to_json())


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


def read_report(path: Path | str) -> Report:
    """Read a report.

    Raises:
        ConfigError: not there, no report, or of a later version.
    """
    try:
        data = Path(path).read_bytes()
        head = msgspec.json.decode(data, type=_Head)
        if head.format != FORMAT:
            raise ConfigError(f"{path} is no report of tokenline bench; give one made by --json")
        if head.version > VERSION:
            raise ConfigError(
                f"{path} has version {head.version}, this reads up to {VERSION}; update tokenline"
            )
        return msgspec.json.decode(data, type=Report)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no report of tokenline bench: {error}") from error


def schema() -> dict[str, Any]:
    """JSON Schema of the document (draft 2020-12)."""
    return msgspec.json.schema(Report)
