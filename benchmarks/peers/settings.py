"""How long and how often everything is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes of a run.

    Attributes:
        rounds: of the rows that are medians over rounds, for the clients that targets compare.
        paced_rounds: of the rows that vary most, for the same clients: plain and over TLS.
        peer_rounds: of all other clients, spread over those.
        paced_peer_rounds: the same in the rows that vary most, which take longest.
        cold_rounds: of fresh processes.
        memory_rounds: of the row that varies least; other clients have one.
        batch_events: events of a long stream read in batches.
        least_cpu_s: CPU that a figure in batches is taken from.
        paced_streams: streams at 50 events a second; few enough for the slowest peer's core.
        paced_events: events of each.
        requests: one after the other, a round.
        memory_streams: open at once.
        memory_events_per_s: of each; few enough for the slowest peer's core.
        memory_paced_events_per_s: the same for those whose core is not full then.
        limit_ms: p99 of added latency that a core's streams must stay under.
        load: the window of a load, see `benchmarks.latency.Window`.
        scaling: streams a core.
        length: events of the long stream.
        peer_length: the same for peers.
        arguments: bytes and fragments of the small and of the large tool argument.
    """

    rounds: int = 7
    paced_rounds: tuple[int, int] = (12, 9)
    peer_rounds: int = 3
    paced_peer_rounds: int = 2
    cold_rounds: int = 3
    memory_rounds: int = 2
    batch_events: int = 4200
    least_cpu_s: float = 0.15
    paced_streams: int = 16
    paced_events: int = 70
    requests: int = 100
    memory_streams: int = 200
    memory_events_per_s: float = 5.0
    memory_paced_events_per_s: float = 50.0
    limit_ms: float = 20.0
    load: tuple[tuple[str, float], ...] = (("ramp_s", 0.6), ("settle_s", 0.4), ("measure_s", 1.2))
    scaling: tuple[int, ...] = (1, 10, 50, 100, 200, 300)
    length: int = 100_000
    peer_length: int = 10_000
    arguments: tuple[tuple[int, int], tuple[int, int]] = ((100_000, 2_000), (1_000_000, 20_000))

    @property
    def window(self) -> dict[str, float]:
        """`load` as arguments."""
        return dict(self.load)


QUICK = Settings(
    rounds=1,
    paced_rounds=(2, 2),
    peer_rounds=1,
    paced_peer_rounds=1,
    cold_rounds=1,
    memory_rounds=1,
    batch_events=1200,
    least_cpu_s=0.02,
    paced_streams=8,
    paced_events=40,
    requests=20,
    memory_streams=50,
    load=(("ramp_s", 0.2), ("settle_s", 0.2), ("measure_s", 0.4)),
    scaling=(1, 50),
    length=20_000,
    peer_length=5_000,
    arguments=((20_000, 400), (100_000, 2_000)),
)
