"""From an entry of a file to a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from tokenline_bench.limits import MOST_TOKENS

from .conversation import Conversation, Message, Role, Turn
from .spec import PromptFile

ReadRow: TypeAlias = Callable[[Any, PromptFile], Conversation]

_PROMPT_KEYS = ("prompt", "text", "text_input", "question")
_LIMIT_KEYS = ("output_tokens", "max_tokens", "output_length")
_SHOWN = 40
_SHAREGPT_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


class FormError(ValueError):
    """An entry without the form it should have."""


def read_prompt(row: Any, spec: PromptFile) -> Conversation:
    """One turn: a prompt, messages, or a whole request body."""
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, dict):
        raise FormError("expected an object")
    limit = _limit(row, spec)
    if isinstance(row.get("payload"), dict):
        return Conversation(turns=(Turn(payload=row["payload"]),))
    if "messages" in row:
        messages = tuple(_messages(row["messages"]))
    else:
        text = next((row[key] for key in _PROMPT_KEYS if key in row), None)
        if not isinstance(text, str) or not text.strip():
            raise FormError(
                f"no text; expected one of {', '.join(_PROMPT_KEYS)}, messages, payload"
            )
        messages = (Message("user", text),)
    return Conversation(turns=(Turn(messages=messages, output_tokens=limit),))


def read_first_turn(row: Any, spec: PromptFile) -> Conversation:
    """The first question of a conversation."""
    conversation = read_turns(row, spec)
    first = conversation.turns[0]
    return Conversation(turns=(Turn(messages=first.messages, output_tokens=first.output_tokens),))


def read_turns(row: Any, spec: PromptFile) -> Conversation:
    """Every question of a conversation, each with what was said before."""
    if not isinstance(row, dict):
        raise FormError("expected an object")
    rows = row.get("messages", row.get("conversations"))
    limit = _limit(row, spec)
    turns: list[Turn] = []
    new: list[Message] = []
    for message in _messages(rows):
        if message.role != "assistant":
            new.append(message)
        elif new:
            reply = message.text if spec.history == "recorded" else None
            turns.append(Turn(messages=tuple(new), reply=reply, output_tokens=limit))
            new = []
    if any(message.role == "user" for message in new):
        turns.append(Turn(messages=tuple(new), output_tokens=limit))
    if not turns:
        raise FormError("no question in it; expected messages of role user")
    return Conversation(turns=tuple(turns))


def _messages(rows: Any) -> Sequence[Message]:
    if not isinstance(rows, list) or not rows:
        raise FormError("no messages")
    return [_message(row) for row in rows]


def _message(row: Any) -> Message:
    if not isinstance(row, dict):
        raise FormError("a message is no object")
    if "from" in row:
        role, text = _SHAREGPT_ROLES.get(str(row["from"]), "system"), row.get("value")
    else:
        role, text = row.get("role", "user"), row.get("content")
    if role not in ("system", "user", "assistant"):
        raise FormError(f"role {_short(role)}; expected system, user or assistant")
    if isinstance(text, list):
        parts = [part.get("text") for part in text if isinstance(part, dict)]
        text = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(text, str):
        raise FormError("a message without text")
    return Message(cast(Role, role), text)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _limit(row: dict[str, Any], spec: PromptFile) -> int | None:
    for key in _LIMIT_KEYS:
        limit = row.get(key)
        if limit is not None:
            if type(limit) is not int or not 1 <= limit <= MOST_TOKENS:
                raise FormError(f"{key} is {_short(limit)}; expected 1 to {MOST_TOKENS}")
            return limit
    return spec.output_tokens
