"""Where to cut a body: the network cuts anywhere, so every cut must give the same events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

_MOST_CUTS = 512


def cut_at_random(body: bytes, seed: int) -> Iterator[bytes]:
    """The body in pieces; the same seed gives the same pieces.

    There are few or many (up to 512, evenly over orders of magnitude). Half of the cuts are beside
    a line feed, where line formats are most easily cut wrong.
    """
    random = Random(seed)
    most = max(1, min(_MOST_CUTS, len(body) - 1))
    places = {0, len(body)}
    for _ in range(round(most ** random.random())):
        place = random.randrange(len(body) + 1)
        if random.random() < 0.5:
            place = min(len(body), body.find(b"\n", place) + random.randint(0, 1))
        places.add(max(0, place))
    return (body[start:stop] for start, stop in pairwise(sorted(places)))


def cut_everywhere(body: bytes) -> Iterator[bytes]:
    """The body byte by byte."""
    return (body[at : at + 1] for at in range(len(body)))
