"""The regression gate: what the pipeline's parts cost, as ratios to the floor in this process.

    python -m benchmarks.gate            compare with the stated ratios; fails if one is worse
    python -m benchmarks.gate --state    measure with care and state anew; --case for some

A ratio is the CPU time of one unit (an event, a run) divided by the floor's for an event: bytes
split and decoded by type. Parts and floor are fed from memory. One goes through a real socket, for
the transport: requests whose answer is one write of a server in another process, divided by the
floor's requests to the same server. An event a read through a socket is not here: what the kernel
takes to wake a process is most of it, and moves with everything else that the machine does.

Cases and floors take turns, and the least time of many turns is taken of each: whatever else the
machine does only adds to it. A ratio that seems worse is measured longer before it counts. Ratios
belong to a version of Python and a processor; elsewhere the nearest version counts, and margins are
twice as wide for each of the two that differs.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.micro.case import Work
from benchmarks.micro.cases import CASES
from benchmarks.peers.machine import read_cpuinfo

STATED = Path(__file__).with_name("gate.json")
WATCHED = (
    "sse decode, one a read",
    "parser openai.chat",
    "normalizer openai.chat",
    "accumulator openai.chat",
    "parser openai.responses",
    "normalizer openai.responses",
    "parser anthropic.messages",
    "normalizer anthropic.messages",
    "channel, item",
    "pipeline openai.chat",
    "pipeline openai.chat, one a read",
    "run of two events",
    "run of two events, spans",
    "socket openai.chat",
)
ROUNDS = 60
PATIENCE = 5
"""How often a case that seems worse is measured again before it counts."""

_SAMPLE_NS = 2_000_000
_NOTHING: dict[str, dict[str, Any]] = {
    "margins": {"default": 0.2, "pipeline": 0.25, "run": 0.4, "socket": 0.4},
    "ratios": {},
}


class Sampler:
    """Measures cases in turns; the least time of each is kept.

    Attributes:
        least_ns: CPU ns of one unit.
    """

    def __init__(self, names: Sequence[str], slow: Callable[[str, Work], Work]) -> None:
        self._work: dict[str, tuple[Work, int]] = {}
        self.least_ns: dict[str, float] = {}
        self._units: dict[str, int] = {}
        for name in _with_floors(names):
            work, units = CASES[name].prepare()
            work = slow(name, work)
            for _ in range(3):
                work()
            took_ns = _cpu_ns(work, 1)
            self._work[name] = work, max(1, round(_SAMPLE_NS / max(took_ns, 1)))
            self._units[name] = units
            self.least_ns[name] = took_ns / units

    def sample(self, names: Sequence[str], rounds: int) -> None:
        """More turns of these cases and their floors."""
        for _ in range(rounds):
            for name in _with_floors(names):
                work, times = self._work[name]
                took_ns = _cpu_ns(work, times) / times / self._units[name]
                self.least_ns[name] = min(self.least_ns[name], took_ns)

    def ratio(self, name: str) -> float:
        """A case's unit in units of its floor."""
        return self.least_ns[name] / self.least_ns[CASES[name].floor]


def _with_floors(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*(CASES[name].floor for name in names), *names]))


def _cpu_ns(work: Work, times: int) -> int:
    from_ns = time.process_time_ns()
    for _ in range(times):
        work()
    return time.process_time_ns() - from_ns


def margin_of(name: str, margins: dict[str, float]) -> float:
    """The margin of a case: by the first word of its name, or the default one."""
    return margins.get(name.split()[0], margins["default"])


def find_worse(sampler: Sampler, stated: dict[str, float], margins: dict[str, float]) -> list[str]:
    """Cases above their stated ratio by more than their margin, also after a longer look."""
    sampler.sample(list(stated), ROUNDS)
    worse = _above(sampler, stated, margins)
    for _ in range(PATIENCE):
        if not worse:
            break
        # All of them: the floor is measured again as well, and must not get ahead of the rest.
        sampler.sample(list(stated), ROUNDS)
        worse = _above(sampler, stated, margins)
    return worse


def _above(sampler: Sampler, stated: dict[str, float], margins: dict[str, float]) -> list[str]:
    return [
        name
        for name, ratio in stated.items()
        if sampler.ratio(name) > ratio * (1 + margin_of(name, margins))
    ]


def slower(wanted: str | None, by: float) -> Callable[[str, Work], Work]:
    """Makes one case slower on purpose, to see the gate fail."""

    def change(name: str, work: Work) -> Work:
        if name != wanted:
            return work

        def longer() -> None:
            from_ns = time.process_time_ns()
            work()
            to_ns = time.process_time_ns()
            until_ns = to_ns + (to_ns - from_ns) * by
            while time.process_time_ns() < until_ns:
                pass

        return longer

    return change


def state(path: Path, names: Sequence[str]) -> None:
    """Measure for long and write the ratios down for this version of Python.

    Raises:
        click.ClickException: others than these are stated on another processor.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else _NOTHING
    before = known["ratios"].get(_version(), {})
    elsewhere = known.get("processors", {}).get(_version(), _processor()) != _processor()
    if elsewhere and set(before) - set(names):
        raise click.ClickException("the others are stated on another processor: state them all")
    sampler = Sampler(names, slower(None, 1))
    sampler.sample(names, 5 * ROUNDS)
    ratios = {name: round(sampler.ratio(name), 3) for name in names}
    known["ratios"][_version()] = {
        name: {**before, **ratios}[name] for name in WATCHED if name in {**before, **ratios}
    }
    known.setdefault("processors", {})[_version()] = _processor()
    path.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    click.echo(json.dumps(ratios, indent=2))


def _processor() -> str:
    """The processor by name, family and model; the kind of machine where that is not told."""
    told = read_cpuinfo()
    kind = [told.get(key) for key in ("model name", "cpu family", "model")]
    return "{}, family {}, model {}".format(*kind) if all(kind) else platform.machine()


def stated_here(known: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """The ratios to compare with, and their margins.

    Those of this version of Python, or of the nearest one; margins are twice as wide for another
    version and twice for another processor than the ratios were stated on.

    Raises:
        click.ClickException: there are none at all.
    """
    if not known["ratios"]:
        raise click.ClickException("no ratios are stated: python -m benchmarks.gate --state")
    version = min(known["ratios"], key=lambda each: abs(_minor(each) - _minor(_version())))
    processor = known.get("processors", {}).get(version)
    wider = 1
    if version != _version():
        click.echo(f"stated on Python {version}, this is {_version()}: margins are twice as wide")
        wider *= 2
    if processor != _processor():
        click.echo(f"stated on {processor}, this is {_processor()}: margins are twice as wide")
        wider *= 2
    margins = {name: margin * wider for name, margin in known["margins"].items()}
    return known["ratios"][version], margins


def _version() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


@click.command()
@click.option("--state", "is_statement", is_flag=True, help="State the ratios anew.")
@click.option("--case", "cases", multiple=True, type=click.Choice(WATCHED), help="Only these.")
@click.option("--slow", type=click.Choice(WATCHED), help="Make this case slower, as a trial.")
@click.option("--by", default=0.3, show_default=True, help="By so much.")
@click.option("--stated", "path", type=click.Path(path_type=Path), default=STATED)
def main(
    is_statement: bool, cases: tuple[str, ...], slow: str | None, by: float, path: Path
) -> None:
    """Compare what the parts cost with what is stated."""
    gc.collect()
    gc.freeze()
    if is_statement:
        state(path, cases or WATCHED)
        return
    stated, margins = stated_here(json.loads(path.read_text(encoding="utf-8")))
    stated = {name: ratio for name, ratio in stated.items() if name in (cases or WATCHED)}
    started = time.monotonic()
    sampler = Sampler(list(stated), slower(slow, by))
    worse = find_worse(sampler, stated, margins)
    for name, ratio in stated.items():
        seen = sampler.ratio(name)
        allowed = f"{seen / ratio - 1:+5.0%} of {margin_of(name, margins):+.0%}"
        mark = "WORSE" if name in worse else ""
        click.echo(f"{name:36} {seen:8.3f}  stated {ratio:8.3f}  {allowed} {mark}")
    click.echo(f"{time.monotonic() - started:.1f} s")
    if worse:
        click.echo("slower than stated; if that is meant: python -m benchmarks.gate --state")
        sys.exit(1)


if __name__ == "__main__":
    main()
