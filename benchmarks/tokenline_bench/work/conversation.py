"""What one request, or a row of them, asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message, plain text."""

    role: Role
    text: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a conversation.

    Attributes:
        messages: what is new since the last turn.
        reply: the recorded answer, history of the next turn; None to use the live one.
        output_tokens: limit of the answer.
        input_tokens: length that was asked for, if any.
        delay_s: wait after the last turn's answer.
        payload: the whole request body, instead of messages; model and limit are left as is.
    """

    messages: tuple[Message, ...] = ()
    reply: str | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    delay_s: float = 0.0
    payload: dict[str, Any] | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Turns that follow each other; most work has one turn each.

    Attributes:
        turns: at least one.
        at_s: when it begins, from the start of a timed trace.
    """

    turns: tuple[Turn, ...]
    at_s: float | None = None


class Source(Protocol):
    """Work, by number: every process gets the same answer.

    Attributes:
        size: how many different conversations there are; None for no end of them.
    """

    @property
    def size(self) -> int | None:
        """How many different conversations."""
        ...

    def conversation(self, number: int) -> Conversation:
        """The conversation with that number, from 0; starts again after `size`."""
        ...

    def times_s(self) -> Sequence[float] | None:
        """When each conversation begins, if the work has times of its own."""
        ...
