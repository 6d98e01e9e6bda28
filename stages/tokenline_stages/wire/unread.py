"""Members of an object that no struct reads: where a provider's news would be lost."""

from collections.abc import Collection, Iterator

import msgspec
from msgspec import Raw

_members = msgspec.json.Decoder(dict[str, Raw])
_NOTHING = frozenset({b"null", b'""', b"[]", b"{}"})


def unread_members(data: bytes | Raw, known: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Members that are not `known` and hold something, as sent; none of what is no object."""
    try:
        members = _members.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for name, raw in members.items():
        if name not in known and (value := bytes(raw)) not in _NOTHING:
            yield name, value
