"""What a chunk holds that nothing reads; looked for only where a run asks for it."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from tokenline_stages.wire.unread import unread_members

from . import wire

_CHUNK = frozenset(wire.Chunk.__struct_encode_fields__) | {
    "automaticFunctionCallingHistory",
    "createTime",
    "modelStatus",
}
_CANDIDATE = frozenset(wire.Candidate.__struct_encode_fields__) | {
    "groundingAttributions",
    "tokenCount",
}
_CONTENT = frozenset({"parts", "role"})
_PART = frozenset(wire.Part.__struct_encode_fields__) | wire.BESIDE_CONTENT


class _Candidate(msgspec.Struct, frozen=True, gc=False):
    content: Raw = Raw()


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    candidates: tuple[Raw, ...] | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_candidate = msgspec.json.Decoder(_Candidate)
_part = msgspec.json.Decoder(wire.Part)


def unread_of(chunk: wire.Chunk) -> Iterator[tuple[str, bytes]]:
    """Members of a chunk, its candidates and their parts without a place, as sent.

    A part without text or call is handed on whole, or is unknown as a whole.
    """
    yield from unread_members(chunk.data, _CHUNK)
    parts = wire.read_parts(chunk.data)
    for candidate, its_parts in zip(_chunk.decode(chunk.data).candidates or (), parts, strict=True):
        yield from unread_members(candidate, _CANDIDATE)
        yield from unread_members(_candidate.decode(candidate).content, _CONTENT)
        for raw in its_parts:
            part = _part.decode(raw)
            if part.text or part.function_call is not None:
                yield from unread_members(raw, _PART)
