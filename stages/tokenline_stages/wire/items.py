"""Items that a parser emits beside a provider's own typed events."""

import msgspec


class Done(msgspec.Struct, frozen=True, gc=False):
    """The end marker of an OpenAI-style stream (`data: [DONE]`)."""


class Comment(msgspec.Struct, frozen=True, gc=False):
    """An SSE comment line; servers send them to keep the connection alive."""

    data: bytes


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """An event of a type that this version does not know, JSON as sent."""

    type: str
    data: bytes
