"""What tokenline has to reach, each as a ratio of figures of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .figures import growth, middle, short
from .results import Results
from .roster import ANTHROPIC, FLOOR, LITELLM, OPENAI, SDK_BASED, TOKENLINE

MESSAGES = "tokenline, Messages"


@dataclass(frozen=True, slots=True)
class Check:
    """One target.

    Attributes:
        what: what is compared.
        target: the bound, in words.
        measured: the figure it is about.
        met: whether it keeps the bound.
    """

    what: str
    target: str
    measured: str
    met: bool


def check_all(results: Results) -> list[Check]:
    """Every target whose rows were measured."""
    return [check for find in _CHECKS for check in find(results)]


def _value(results: Results, row: str, client: str) -> float | None:
    found = middle(results, row, client)
    return None if found is None else found.value


def _ratio(
    results: Results, row: str, what: str, peer: str, most: float, own: str = TOKENLINE
) -> Iterator[Check]:
    """`own` costs at most `most` times what `peer` does."""
    ours, theirs = _value(results, row, own), _value(results, row, peer)
    if ours is None or theirs is None:
        return
    target = f"≤ {most:g} x {peer}" if most >= 1 else f"≤ 1/{1 / most:g} of {peer}"
    ratio = ours / theirs
    seen = f"{ratio:.2f} x" if most >= 1 else f"1/{1 / ratio:.1f}"
    yield Check(what, target, f"{seen} ({short(ours)} : {short(theirs)})", ratio <= most)


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
    ours = _value(results, "streams", TOKENLINE)
    for peer, least in ((FLOOR, 0.4), (OPENAI, 5)):
        theirs = _value(results, "streams", peer)
        if ours is None or not theirs:
            continue
        ratio = ours / theirs
        measured = f"{ratio:.2f} x ({ours:,.0f} : {theirs:,.0f})"
        yield Check("Streams a core", f"≥ {least:g} x {peer}", measured, ratio >= least)


def _first_token(results: Results) -> Iterator[Check]:
    what = "Added time to first token"
    ours, floor = (_value(results, "first_token", name) for name in (TOKENLINE, FLOOR))
    if ours is not None and floor is not None:
        over = ours - floor
        measured = f"{over:.2f} ms ({ours:.2f} - {floor:.2f})"
        yield Check(what, "≤ 0.6 ms over the floor", measured, over <= 0.6)
    yield from _ratio(results, "first_token", what, OPENAI, 1 / 3)


def _request(results: Results) -> Iterator[Check]:
    ours = _value(results, "request", TOKENLINE)
    if ours is not None:
        yield Check("CPU per request beside its events", "≤ 1.2 ms", f"{ours:.2f} ms", ours <= 1.2)


def _memory(results: Results) -> Iterator[Check]:
    ours = _value(results, "memory", TOKENLINE)
    if ours is not None:
        yield Check("Memory per open stream", "≤ 45 KB", f"{ours:.1f} KB", ours <= 45)
    held = results.figures("never_read").get(TOKENLINE)
    if held:
        _, second, third = held[0]
        seen = f"{short(third)} KB after 6 s, {short(second)} KB after 4 s"
        what = "Memory with a consumer that never reads"
        yield Check(what, "bounded: no growth after 4 s", seen, third <= 1.1 * second)


def _linear(results: Results) -> Iterator[Check]:
    pairs = (
        ("Per-event cost at 100,000 events", "that at 1,000", "long", "short"),
        ("Per-fragment cost of a 1 MB tool argument", "that of 100 KB", "large", "small"),
    )
    for what, beside, over, under in pairs:
        found = growth(results, TOKENLINE, over, under)
        if found is not None:
            measured = f"{found.value:.2f} x ({found.spread})"
            yield Check(what, f"≤ 1.1 x {beside}", measured, found.value <= 1.1)


def _cold(results: Results) -> Iterator[Check]:
    ours = _value(results, "cold", TOKENLINE)
    peers = {name: _value(results, "cold", name) for name in SDK_BASED}
    known = {name: value for name, value in peers.items() if value is not None}
    if ours is not None and known:
        best = min(known, key=lambda name: known[name])
        measured = f"{ours:.2f} s; the fastest, {best}: {known[best]:.2f} s"
        what = "Import and first request, fresh process"
        yield Check(what, "less than each SDK-based peer", measured, ours < known[best])


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
