"""What a session has measured, before any statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

from .config import Bench
from .load.generator import Level
from .sample import Sample
from .workers.messages import LevelEnded, Prepared


@dataclass(slots=True)
class LevelResult:
    """One level.

    Attributes:
        level: what was to be done.
        started_unix_ns: wall-clock time of its start.
        samples: every request, in the order in which they ended.
        workers: what each process says of itself.
        ended_ns: monotonic time of its end.
    """

    level: Level
    started_unix_ns: int
    samples: list[Sample] = field(default_factory=list)
    workers: list[LevelEnded] = field(default_factory=list)
    ended_ns: int = 0

    @property
    def duration_ns(self) -> int:
        """From the start of the load to the end of the last request in it."""
        ends = [sample.ended_ns for sample in self.samples]
        return max(1, (max(ends) if ends else self.ended_ns) - self.level.start_ns)

    def wall_ns(self, stamp_ns: int) -> int:
        """Wall-clock time (ns since the epoch) of a monotonic stamp."""
        return self.started_unix_ns + stamp_ns - self.level.start_ns

    def of(self, endpoint: str) -> list[Sample]:
        """The requests of one endpoint."""
        return [sample for sample in self.samples if sample.endpoint == endpoint]


@dataclass(slots=True)
class Results:
    """All of it.

    Attributes:
        bench: what was to be done.
        started_unix_ns: when.
        prepared: what it took to get ready.
        warmup: requests before the first level.
        levels: in the order in which they ran.
        interrupted: somebody ended it early.
    """

    bench: Bench
    started_unix_ns: int
    prepared: Prepared = field(default_factory=Prepared)
    warmup: LevelResult | None = None
    levels: list[LevelResult] = field(default_factory=list)
    interrupted: bool = False
