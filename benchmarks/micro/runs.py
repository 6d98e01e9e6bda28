"""Whole runs fed from memory, and what telemetry alone makes of a run that is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from contextvars import Context

from benchmarks.clients.tokenline import spans_on
from tokenline.builder import PipelineBuilder
from tokenline.errors import TokenlineError
from tokenline.pipeline import Pipeline
from tokenline.record import RunInfo, RunRecord
from tokenline.telemetry import OTelTelemetry
from tokenline.telemetry.hook import NoTelemetry, Telemetry
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer

from .case import Case, Work, event_loop, looped
from .playback import Playback
from .wire import CHAT, WIRES, Wire, reads

_PAYLOAD = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
_REFUSED = b'data: {"error": {"message": "no", "type": "server_error", "code": null}}\n\n'
_TIMES = 20
"""Runs between two flushes: what is made after a run's end counts with it."""


def run(wire: Wire, bodies: list[bytes], telemetry: Telemetry) -> Work:
    """A whole run: every stage, the consumer's loop and the result."""
    pipeline = _pipeline(wire, bodies, telemetry)

    async def work() -> None:
        async with pipeline.run(_PAYLOAD) as run:
            async for _event in run:
                pass
            await run.result()

    return looped(work)


def _pipeline(wire: Wire, bodies: list[bytes], telemetry: Telemetry) -> Pipeline:
    api = wire.find()
    return (
        PipelineBuilder(wire.provider)
        .source(Playback(wire.provider, wire.api, bodies))
        .parse(api.parser())
        .normalize(api.normalizer())
        .fan_out(consumer(), accumulator(wire.provider))
        .trace(telemetry)
        .build()
    )


class _Kept:
    """Telemetry that keeps what it is told; of the last run."""

    task_context: Context | None = None

    def __init__(self) -> None:
        self.info: RunInfo | None = None
        self.record: RunRecord | None = None

    def start(self, info: RunInfo) -> _Kept:
        self.info = info
        return self

    def end(self, record: RunRecord) -> None:
        self.record = record


def _kept(wire: Wire, bodies: list[bytes], leave: bool = False) -> tuple[RunInfo, RunRecord]:
    """What a run tells telemetry; with `leave` its consumer goes after the first event."""
    kept = _Kept()
    pipeline = _pipeline(wire, bodies, kept)

    async def once() -> None:
        async with pipeline.run(_PAYLOAD) as run:
            async for _event in run:
                if leave:
                    break

    with suppress(TokenlineError):  # one of the cases is a run that fails
        event_loop().run_until_complete(once())
    assert kept.info is not None
    assert kept.record is not None
    return kept.info, kept.record


def _telemetry(info: RunInfo, record: RunRecord) -> tuple[Work, int]:
    """Request span, stage spans and metrics of a run, with nothing of the run itself."""
    telemetry = spans_on()
    assert isinstance(telemetry, OTelTelemetry)

    def work() -> None:
        for _ in range(_TIMES):
            telemetry.start(info).end(record)
        telemetry.flush()

    return work, _TIMES


def _ended(wire: Wire) -> tuple[Work, int]:
    return _telemetry(*_kept(wire, reads(wire, tokens=10)))


def _cancelled() -> tuple[Work, int]:
    return _telemetry(*_kept(CHAT, reads(CHAT, 1, tokens=10), leave=True))


def _failed() -> tuple[Work, int]:
    return _telemetry(*_kept(CHAT, [*reads(CHAT, 1, tokens=10)[:5], _REFUSED]))


def _whole(wire: Wire, events_per_read: int) -> tuple[Work, int]:
    return run(wire, reads(wire, events_per_read), NoTelemetry()), len(reads(wire, 1))


def _short(telemetry: Telemetry) -> tuple[Work, int]:
    return run(CHAT, reads(CHAT, tokens=2), telemetry), 1


def shared_cases() -> Iterator[Case]:
    """Runs of two events, and telemetry by how a run ended."""
    yield Case("run of two events", "run", lambda: _short(NoTelemetry()))
    yield Case("run of two events, spans", "run", lambda: _short(spans_on()))
    yield Case(f"telemetry {CHAT.api}, cancelled", "run", _cancelled)
    yield Case(f"telemetry {CHAT.api}, failed", "run", _failed)


def cases_of(wire: Wire) -> Iterator[Case]:
    """Whole runs of an API, and the telemetry of one that ended well."""
    name = wire.api
    yield Case(f"pipeline {name}", "event", lambda: _whole(wire, 32))
    yield Case(f"pipeline {name}, one a read", "event", lambda: _whole(wire, 1))
    yield Case(f"telemetry {name}", "run", lambda: _ended(wire))


CASES = (*shared_cases(), *(case for wire in WIRES for case in cases_of(wire)))
