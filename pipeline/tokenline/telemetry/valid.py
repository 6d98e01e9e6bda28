"""Text and numbers that every exporter can write: one that cannot costs the others their batch."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tokenline.json_args import pair_surrogates

AttributeValue: TypeAlias = str | bool | int | float | Sequence[str]
Attributes: TypeAlias = dict[str, AttributeValue]

_INT_BITS = 63


def valid_text(text: str) -> str:
    """`text` as Unicode that UTF-8 can hold: stray halves of characters are replaced."""
    return pair_surrogates(text)


def valid_attributes(found: Mapping[str, AttributeValue]) -> Attributes:
    """The attributes that can be written; integers past 64 bits are left out."""
    return {
        valid_text(name): _valid(value)
        for name, value in found.items()
        if not isinstance(value, int) or value.bit_length() <= _INT_BITS
    }


def _valid(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, (int, float)):
        return value
    return tuple([valid_text(each) for each in value])
