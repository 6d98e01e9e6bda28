"""Made-up text of set lengths: short common words, most of them one token in most vocabularies."""

from __future__ import annotations

from random import Random

_TEXT = """
the of and to in is was for on that with as it by at from his an were are which this be had
also not have one has their first but new two who all been they other he she when more time
years up year some into during most many such used can only over after between where may made
would than no out there city three later these its about being part number world name work
people under both then second high state war music game since early well water book life area
group place small home team school while large end family against house around film line long
power land form built white back great land side main river local point way day hand old set
open four south north east west line run order play light art type found left field body king
age law air class act late real road head court bank club see best right same green black red
"""
WORDS = tuple(_TEXT.split())


def make_text(words: int, seed: str) -> str:
    """That many words, drawn by the seed; different seeds differ from the first words on."""
    return " ".join(Random(seed).choices(WORDS, k=max(1, words)))
