"""Text and numbers that every exporter can write: one that cannot costs the others their batch."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tokenline.json_args import pair_surrogates

AttributeValue: TypeAlias = str | bool | int | float | Sequence[str]
Attributes: TypeAlias = dict[str, AttributeValue]

_INT_BITS = 63
_LAST_INT = (1 << _INT_BITS) - 1


def valid_text(text: str) -> str:
    """`text` as Unicode that UTF-8 can hold: stray halves of characters are replaced."""
    return pair_surrogates(text)


def valid_attributes(found: Attributes) -> Attributes:
    """The attributes that can be written; integers past 64 bits are left out.

    The dictionary itself, as nearly always, where all of it can be.
    """
    for name, value in found.items():
        if not name.isascii() or not _is_plain(value):
            return _cleaned(found)
    return found


def _is_plain(value: AttributeValue) -> bool:
    if isinstance(value, float):
        return True
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, int):
        return -_LAST_INT <= value <= _LAST_INT
    return isinstance(value, tuple) and all(map(str.isascii, value))


def _cleaned(found: Mapping[str, AttributeValue]) -> Attributes:
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
