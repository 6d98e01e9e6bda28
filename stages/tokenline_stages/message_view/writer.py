"""Stamps messages and appends them; what all parts of the view share."""

import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from .messages import TERMINAL_MESSAGES, Message

Now = Callable[[], datetime]
"""Gives the time of day, with its time zone."""

PARTS = 2**28 - 1
"""Parts that slices can be numbered for; the number after them stands for the response itself."""

_RANKS = 16


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Slice:
    """Ranks of the slices of one part, and of the response itself.

    A slice is what belongs together on a screen: one type of message of one part.
    """

    MAIN = 0
    """What the part is: text, reasoning or a tool call."""
    THOUGHTS = 1
    """Reasoning that was written into the arguments of a tool call."""
    SPEECH = 2
    """The assistant's text that was written into the arguments of a tool call."""
    HIDDEN = 3
    """Unreadable reasoning."""
    STOP = 0
    USAGE = 1
    ERROR = 2
    PING = 3
    RESET = 4


class Writer:
    """State of one response's outgoing messages.

    Ids: `otid` is the uuid in the message id with its last 32 bits replaced by the number of the
    slice, part * 16 + rank: the same whoever computes it, live or from a result. A message id
    without a uuid is hashed to one.

    Attributes:
        message_id: our id of the response.
        run_id: the caller's id of the run.
        step_id: the caller's id of the step.
        seq_id: number of the next message; messages that are not shown count too.
        out: where messages go; the list given to the last `begin`.
        shown: types of message that are shown; None shows all.
    """

    __slots__ = ("_base", "_date", "message_id", "out", "run_id", "seq_id", "shown", "step_id")

    def __init__(
        self,
        message_id: str,
        run_id: str | None,
        step_id: str | None,
        first_seq_id: int,
        shown: Collection[str] | None,
    ) -> None:
        self.message_id = message_id
        self.run_id = run_id
        self.step_id = step_id
        self.seq_id = first_seq_id
        self.shown = shown
        self.out: list[Message] = []
        self._base = _base_of(message_id)
        self._date = ""

    def begin(self, now: datetime, out: list[Message]) -> None:
        """Point at the batch to be handled."""
        self._date = now.isoformat(timespec="seconds")
        self.out = out

    def otid(self, part: int, rank: int = Slice.MAIN) -> str:
        """The id of a slice."""
        return f"{self._base}{part * _RANKS + rank:08x}"

    def write(self, message_type: type[Message], otid: str, **fields: Any) -> None:
        """Append a message, unless its type is not shown."""
        seq_id = self.seq_id
        self.seq_id = seq_id + 1
        if self.shown is None or self._is_shown(message_type):
            self.out.append(
                message_type(
                    self.message_id,
                    self._date,
                    otid,
                    seq_id,
                    self.run_id,
                    self.step_id,
                    **fields,
                )
            )

    def write_own(self, message_type: type[Message], rank: int, **fields: Any) -> None:
        """Append a message about the response itself."""
        self.write(message_type, self.otid(PARTS, rank), **fields)

    def _is_shown(self, message_type: type[Message]) -> bool:
        if message_type in TERMINAL_MESSAGES or self.shown is None:
            return True
        return message_type.__struct_config__.tag in self.shown


def _base_of(message_id: str) -> str:
    """The uuid of a message id without its last 8 digits."""
    try:
        found = uuid.UUID(message_id.removeprefix("message-"))
    except ValueError:
        found = uuid.uuid5(uuid.NAMESPACE_OID, message_id)
    return str(found)[:-8]
