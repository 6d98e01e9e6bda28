"""What tokenline has to reach, each as a ratio of figures of one run.

A target counts as met or missed only if the whole interval of the median is on that side of it;
one that has the target inside is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .figures import (
    Middle,
    difference,
    growth,
    middle,
    ratio,
    short,
    streams_found,
    streams_ratio,
)
from .results import Results
from .roster import ANTHROPIC, FLOOR, LITELLM, OPENAI, SDK_BASED, TOKENLINE

MESSAGES = "tokenline, Messages"
MET, MISSED, UNDECIDED = "met", "not met", "undecided"


@dataclass(frozen=True, slots=True)
class Check:
    """One target.

    Attributes:
        what: what is compared.
        target: the bound, in words.
        measured: the figure it is about.
        verdict: `met`, `not met` or `undecided`.
    """

    what: str
    target: str
    measured: str
    verdict: str


def check_all(results: Results) -> list[Check]:
    """Every target whose rows were measured."""
    return [check for find in _CHECKS for check in find(results)]


def at_most(low: float | None, high: float | None, most: float) -> str:
    """Whether what lies between these, as far as they are known, is at most `most`."""
    if high is not None and high <= most:
        return MET
    return MISSED if low is not None and low > most else UNDECIDED


def at_least(low: float | None, high: float | None, least: float) -> str:
    """Whether what lies between these, as far as they are known, is at least `least`."""
    if low is not None and low >= least:
        return MET
    return MISSED if high is not None and high < least else UNDECIDED


def _judge(found: Middle, most: float) -> str:
    """A single round decides nothing: how far another one would be off is not known."""
    return UNDECIDED if found.rounds < 2 else at_most(found.low, found.high, most)


def _values(results: Results, row: str, *clients: str) -> list[str]:
    found = [middle(results, row, client) for client in clients]
    return [short(each.value) for each in found if each is not None]


def _range(seen: Middle, unit: str = "") -> str:
    """The interval, where there is one."""
    return f"{short(seen.low)}-{short(seen.high)}{unit}; " if seen.rounds > 1 else ""


def _ratio(
    results: Results, row: str, what: str, peer: str, most: float, own: str = TOKENLINE
) -> Iterator[Check]:
    """`own` costs at most `most` times what `peer` does."""
    found = ratio(results, row, own, peer)
    if found is None:
        return
    verdict = _judge(found, most)
    medians = " : ".join(_values(results, row, own, peer))
    if most >= 1:
        measured = f"{found.value:.2f} x ({_range(found)}{medians})"
        yield Check(what, f"≤ {most:g} x {peer}", measured, verdict)
        return
    between = f"1/{1 / found.low:.1f}-1/{1 / found.high:.1f}; " if found.rounds > 1 else ""
    measured = f"1/{1 / found.value:.1f} ({between}{medians})"
    yield Check(what, f"≤ 1/{1 / most:g} of {peer}", measured, verdict)


def _batch(results: Results) -> Iterator[Check]:
    what = "CPU per event, many a read"
    yield from _ratio(results, "batch", what, FLOOR, 1.8)
    yield from _ratio(results, "batch", what, OPENAI, 1 / 25)
    yield from _ratio(results, "batch", f"{what}, Messages API", ANTHROPIC, 1 / 7, MESSAGES)
    yield from _ratio(results, "batch", what, LITELLM, 1 / 80)


def _paced(results: Results) -> Iterator[Check]:
    for row, how in (("paced", "plain"), ("paced_tls", "TLS")):
        what = f"CPU per event, one a read, {how}"
        yield from _ratio(results, row, what, FLOOR, 2)
        yield from _ratio(results, row, what, OPENAI, 1 / 2.5)


def _streams(results: Results) -> Iterator[Check]:
    ours = streams_found(results, TOKENLINE)
    for peer, least in ((FLOOR, 0.4), (OPENAI, 5)):
        theirs = streams_found(results, peer)
        if ours is None or theirs is None or not theirs.least:
            continue
        low, high = streams_ratio(ours, theirs)
        sign = "" if theirs.below is not None else "≤ "
        measured = f"{sign}{ours.least / theirs.least:.2f} x ({ours.text} : {theirs.text})"
        verdict = at_least(low, high, least)
        yield Check("Streams a core", f"≥ {least:g} x {peer}", measured, verdict)


def _first_token(results: Results) -> Iterator[Check]:
    what = "Added time to first token"
    over = difference(results, "first_token", TOKENLINE, FLOOR)
    if over is not None:
        medians = " - ".join(_values(results, "first_token", TOKENLINE, FLOOR))
        measured = f"{over.value:.2f} ms ({_range(over)}{medians})"
        verdict = _judge(over, 0.6)
        yield Check(what, "≤ 0.6 ms over the floor", measured, verdict)
    yield from _ratio(results, "first_token", what, OPENAI, 1 / 3)


def _request(results: Results) -> Iterator[Check]:
    yield from _absolute(results, "request", "CPU per request beside its events", 1.2, "ms")


def _absolute(results: Results, row: str, what: str, most: float, unit: str) -> Iterator[Check]:
    """A figure of our own has a bound of its own."""
    ours = middle(results, row, TOKENLINE)
    if ours is None:
        return
    between = f" ({short(ours.low)}-{short(ours.high)})" if ours.rounds > 1 else ""
    measured = f"{short(ours.value)} {unit}{between}"
    yield Check(what, f"≤ {most:g} {unit}", measured, _judge(ours, most))


def _memory(results: Results) -> Iterator[Check]:
    what = "Memory per open stream"
    yield from _absolute(results, "memory", f"{what}, 5 events/s", 45, "KB")
    yield from _absolute(results, "memory_paced", f"{what}, 50 events/s", 45, "KB")
    held = [each for each in results.figures("never_read").get(TOKENLINE) or [] if each]
    if held:
        grown = Middle.of([third / second for _, second, third in held])
        _, second, third = max(held, key=lambda each: float(each[2]))
        seen = f"{short(third)} KB after 6 s, {short(second)} KB after 4 s"
        what = "Memory with a consumer that never reads"
        yield Check(what, "bounded: no growth after 4 s", seen, _judge(grown, 1.1))


def _linear(results: Results) -> Iterator[Check]:
    pairs = (
        ("Per-event cost at 100,000 events", "that at 1,000", "long", "short"),
        ("Per-fragment cost of a 1 MB tool argument", "that of 100 KB", "large", "small"),
    )
    for what, beside, over, under in pairs:
        found = growth(results, TOKENLINE, over, under)
        if found is not None:
            between = f" ({short(found.low)}-{short(found.high)})" if found.rounds > 1 else ""
            verdict = _judge(found, 1.1)
            yield Check(what, f"≤ 1.1 x {beside}", f"{found.value:.2f} x{between}", verdict)


def _cold(results: Results) -> Iterator[Check]:
    ours = middle(results, "cold", TOKENLINE)
    found = {name: middle(results, "cold", name) for name in SDK_BASED}
    peers = {name: each for name, each in found.items() if each is not None}
    if ours is None or not peers:
        return
    best = min(peers, key=lambda name: peers[name].value)
    seen = ratio(results, "cold", TOKENLINE, best)
    verdict = UNDECIDED if seen is None else _judge(seen, 1)
    measured = f"{ours.value:.2f} s; the fastest, {best}: {peers[best].value:.2f} s"
    what = "Import and first request, fresh process"
    yield Check(what, "less than each SDK-based peer", measured, verdict)


_CHECKS: tuple[Callable[[Results], Iterator[Check]], ...] = (
    _batch,
    _paced,
    _streams,
    _first_token,
    _request,
    _memory,
    _linear,
    _cold,
)
