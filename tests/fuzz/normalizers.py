"""Fuzzes every parser and normalizer with the accumulator behind them.

    python -m tests.fuzz.normalizers --seconds 60

Input number N of a seed is always the same, so `--only N` repeats a finding. What must hold for
every input, however damaged:

- nothing but documented exceptions (the `tokenline.errors` tree) is raised;
- reading it in other pieces gives the same events and the same kind of error;
- the events keep the promises of `tokenline.events`;
- the result can be written as JSON and read again;
- it takes neither long nor more memory than its size explains.
"""

import signal
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import click

from tests.conftest import find_corpus
from tokenline.errors import StreamError
from tokenline.options import Limits
from tokenline.result import Result
from tokenline.stage import StepContext
from tokenline_stages.conformance.cuts import cut_at_random, cut_everywhere
from tokenline_stages.conformance.playing import Reading, play
from tokenline_stages.conformance.shape import broken_promise
from tokenline_stages.conformance.wiring import wire

from .mutations import damaged
from .streams import Stream, hand_written, of_one_api, recorded

PATIENCE_S = 10.0
SLOW_S_PER_MB = 2.0
LARGEST_BYTES = 400_000
TRACED_EVERY = 50
MEMORY_BYTES = 2 * 1024 * 1024
MEMORY_PER_BYTE = 256
TIGHT = Limits(
    max_line_bytes=3000,
    max_event_bytes=3000,
    max_arguments_bytes=40,
    max_message_bytes=6000,
    max_json_depth=8,
    max_parts=6,
)


@dataclass(frozen=True, slots=True)
class Input:
    """One damaged body and how it is read."""

    number: int
    stream: Stream
    body: bytes
    context: StepContext
    seed: int


class Hang(BaseException):
    """An input took too long."""


def make_inputs(streams: list[Stream], seed: int, start: int = 0) -> Iterator[Input]:
    """Inputs without end; the same seed gives the same ones. All APIs have their equal share."""
    families = of_one_api(streams)
    apis = sorted(families)
    number = start
    while True:
        random = Random(f"{seed}:{number}")
        family = families[random.choice(apis)]
        stream = random.choice(family)
        body = damaged(stream, family, random)[:LARGEST_BYTES]
        context = StepContext(
            "fuzz",
            strict=random.random() < 0.1,
            pass_unknown=random.random() < 0.3,
            limits=TIGHT if random.random() < 0.15 else Limits(),
        )
        yield Input(number, stream, body, context, random.randrange(1000))
        number += 1


def check(one: Input) -> tuple[list[str], str]:
    """What is wrong with how an input was read, and how reading it ended."""
    api = wire(one.stream.api).api
    whole = play(api, [one.body], one.context)
    problems = list(_check_reading(whole))
    cuts = cut_everywhere(one.body) if one.seed == 0 else cut_at_random(one.body, one.seed)
    other = play(api, cuts, one.context)
    if other.events != whole.events:
        at = next(
            (i for i, (a, b) in enumerate(zip(whole.events, other.events, strict=False)) if a != b),
            min(len(whole.events), len(other.events)),
        )
        problems.append(
            f"cut with seed {one.seed}, event {at} of {len(whole.events)}/{len(other.events)}:"
            f" {whole.events[at : at + 1]} or {other.events[at : at + 1]}"
            f" ({whole.error!r} or {other.error!r})"
        )
    elif type(other.error) is not type(whole.error):
        problems.append(f"cut with seed {one.seed}: {whole.error!r} or {other.error!r}")
    return problems, "well" if whole.error is None else type(whole.error).__name__


def _check_reading(reading: Reading) -> Iterator[str]:
    if reading.error is not None and not isinstance(reading.error, StreamError):
        yield f"undocumented {reading.error!r}"
    broken = broken_promise(reading.events)
    if broken is not None:
        yield f"order of events: {broken}"
    again = Result.model_validate_json(reading.result.model_dump_json())
    if again != reading.result:
        yield "the result is another one after JSON"


def check_memory(one: Input) -> list[str]:
    """Whether reading an input takes more memory than its size explains."""
    api = wire(one.stream.api).api
    tracemalloc.start()
    try:
        play(api, [one.body], one.context)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    allowed = MEMORY_BYTES + MEMORY_PER_BYTE * len(one.body)
    return [f"{peak} bytes of memory for {len(one.body)} bytes"] if peak > allowed else []


def _run(one: Input) -> tuple[list[str], str]:
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    started_s = time.perf_counter()
    try:
        problems, ending = check(one)
        took_s = time.perf_counter() - started_s
        if took_s > 0.5 + SLOW_S_PER_MB * len(one.body) / 1e6:
            problems.append(f"{took_s:.2f} s for {len(one.body)} bytes")
        if one.number % TRACED_EVERY == 0:
            problems += check_memory(one)
        return problems, ending
    except Hang:
        return [f"more than {PATIENCE_S:g} s"], "hang"
    except Exception as error:
        return [f"undocumented {error!r}"], "crash"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _hang(number: int, frame: object) -> None:
    raise Hang


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long to go on.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other inputs.")
@click.option("--start", default=0, help="Number of the first input.")
@click.option("--only", type=int, help="Number of the one input to try; shows its bytes.")
def main(seconds: float, seed: int, start: int, only: int | None) -> None:
    """Damage streams of tests/data and recordings, read them, and say what is wrong."""
    streams = hand_written() + recorded(find_corpus())
    signal.signal(signal.SIGALRM, _hang)
    tried: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    findings = 0
    until_s = time.monotonic() + seconds
    for one in make_inputs(streams, seed, start if only is None else only):
        problems, ending = _run(one)
        endings[ending] += 1
        tried[one.stream.api.partition(":")[0]] += 1
        findings += bool(problems)
        for problem in problems:
            place = f"input {one.number} ({one.stream.api}, {one.stream.name})"
            click.echo(f"{place}: {problem[:600]}")
        if only is not None:
            click.echo(one.body)
        if only is not None or time.monotonic() > until_s:
            break
    click.echo(f"{tried.total()} inputs from {len(streams)} streams, {findings} findings")
    click.echo("read: " + ", ".join(f"{api} {count}" for api, count in sorted(tried.items())))
    click.echo("ended: " + ", ".join(f"{name} {count}" for name, count in endings.most_common()))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
