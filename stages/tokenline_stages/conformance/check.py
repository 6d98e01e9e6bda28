"""Checks one recording: read whole, cut anywhere, and over HTTP, beside its expectation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from tokenline.errors import UsageError
from tokenline.stage import StepContext
from tokenline_stages.providers.registry import Api
from tokenline_stages.simulator import RecordingError

from .cuts import cut_at_random, cut_everywhere
from .expectation import Difference, Failure, differences, not_compared
from .over_http import Stand
from .playing import Reading, context_of, play
from .recording import Content, Recording
from .shape import broken_promise
from .wiring import Wiring, wire

UNREADABLE = "read"
"""The check that failed where the files of a recording cannot be read."""

CUT = "cut with seed "
"""What the checks of randomly cut bodies are called, with the seed behind it."""

_OK = 200
_ENOUGH = 3  # cuts that fail alike say no more
_RESULT_FIELDS = (
    "content",
    "further_choices",
    "finish_reason",
    "raw_finish_reason",
    "stop_sequence",
    "logprobs",
    "provider_message_id",
    "model",
    "usage",
    "pings",
)


@dataclass(frozen=True, slots=True)
class Depth:
    """How much of a recording is checked.

    Attributes:
        seeds: in how many random ways it is cut.
        every_byte_up_to: bodies of up to that many bytes are read byte by byte, too.
        http: whether it is read over HTTP, too.
    """

    seeds: int = 20
    every_byte_up_to: int = 64 * 1024
    http: bool = True


FULL = Depth()
QUICK = Depth(seeds=3, every_byte_up_to=2048)


@dataclass(slots=True)
class Report:
    """What checking one recording gave.

    Attributes:
        recording: its name.
        api: its wire API; empty if the recording could not be read.
        checks: the readings that were made.
        failures: what was not as it should be.
        events: how many events it gave.
        unknown_events: how many things in it nobody knew; None if they were not counted.
        not_compared: fields of the expectation that events cannot be compared with.
    """

    recording: str
    api: str = ""
    checks: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    events: int = 0
    unknown_events: int | None = None
    not_compared: list[str] = field(default_factory=list)

    def add(self, check: str, found: Iterable[Difference]) -> None:
        """Note a reading and where it differs."""
        self.checks.append(check)
        self.failures.extend(Failure(self.recording, check, *one) for one in found)


def check_recording(recording: Recording, depth: Depth = FULL) -> list[Failure]:
    """Check one recording; an empty list says that all is well.

    Args:
        recording: out of `recordings(folder)`.
        depth: how much to check; the default is everything.

    Raises:
        UsageError: called from a coroutine, with a check over HTTP.
    """
    report, prepared = check_offline(recording, depth)
    if prepared is not None and depth.http:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(_check_alone(recording, prepared, report))
        else:
            raise UsageError(
                "check_recording runs an event loop of its own; call it from a plain function,"
                " or pass Depth(http=False)"
            )
    return report.failures


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recording that can be read over HTTP.

    Attributes:
        content: what its files hold.
        wiring: what reads it.
        whole: what reading it whole gave; None for an answer that is no stream.
    """

    content: Content
    wiring: Wiring
    whole: Reading | None


def check_offline(recording: Recording, depth: Depth) -> tuple[Report, Prepared | None]:
    """Check everything that needs no network; the second is None if nothing more can be done."""
    report = Report(recording.name)
    try:
        content = recording.read()
        report.api = content.api
        wiring = wire(content.api, content.provider)
    except RecordingError as error:
        report.add(UNREADABLE, [("recording", "readable", str(error))])
        return report, None
    report.not_compared = not_compared(content.expected)
    if content.status != _OK:
        return report, Prepared(content, wiring, None)
    context = context_of(content.payload)
    whole = play(wiring.api, [content.body], context)
    report.events = len(whole.events)
    report.add("whole", _judge(content, whole))
    _check_cuts(report, content.body, whole, wiring.api, context, depth)
    return report, Prepared(content, wiring, whole)


def _check_cuts(
    report: Report, body: bytes, whole: Reading, api: Api, context: StepContext, depth: Depth
) -> None:
    failed = 0
    for check, pieces in _cuts(body, depth):
        found = list(compare(whole, play(api, pieces, context)))
        report.add(check, found)
        failed += bool(found)
        if failed == _ENOUGH:
            return


async def check_over_http(
    recording: Recording, prepared: Prepared, stand: Stand, report: Report
) -> None:
    """Check what the full pipeline gives over HTTP."""
    content, whole = prepared.content, prepared.whole
    try:
        reading = await stand.read(recording.name, content, prepared.wiring)
    except Exception as error:
        report.add("http", [("error", "a response", _described(error))])
        return
    report.unknown_events = reading.unknown_events
    if whole is None:
        report.events = len(reading.events)
        report.add("http", differences(content.expected, reading, content.api))
    else:
        report.add("http", compare(whole, reading))


def compare(whole: Reading, other: Reading) -> Iterator[Difference]:
    """How two readings of the same bytes end, and where they differ first."""
    if type(whole.error) is not type(other.error):
        yield "error", _described(whole.error), _described(other.error)
    for number, (expected, got) in enumerate(zip_longest(whole.events, other.events)):
        if expected != got:
            yield f"events[{number}]", expected, got
            return
    for name in _RESULT_FIELDS:
        expected, got = getattr(whole.result, name), getattr(other.result, name)
        if expected != got:
            yield f"result.{name}", expected, got


def _judge(content: Content, whole: Reading) -> Iterator[Difference]:
    yield from differences(content.expected, whole, content.api)
    broken = broken_promise(whole.events)
    if broken is not None:
        yield "order of events", "as documented", broken


def _cuts(body: bytes, depth: Depth) -> Iterator[tuple[str, Iterable[bytes]]]:
    for seed in range(depth.seeds):
        yield f"{CUT}{seed}", cut_at_random(body, seed)
    if len(body) <= depth.every_byte_up_to:
        yield "byte by byte", cut_everywhere(body)


def _described(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"


async def _check_alone(recording: Recording, prepared: Prepared, report: Report) -> None:
    async with Stand(recording.folder) as stand:
        await check_over_http(recording, prepared, stand, report)
