"""What stands around the fan-out: the gate in front of it, the tails behind its branches."""

from collections.abc import Callable

from .actor import Actor
from .batch import AnyBatch
from .events import MessageEnd


class Gate:
    """Between the chain and the fan-out: tells when the message end has passed."""

    __slots__ = ("_fan_out", "_on_message_end")

    def __init__(self, fan_out: Actor, on_message_end: Callable[[], None]) -> None:
        self._fan_out = fan_out
        self._on_message_end = on_message_end

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Pass on to the fan-out."""
        taken = self._fan_out.push_nowait(batch)
        if taken and type(batch.items[-1]) is MessageEnd:
            self._on_message_end()
        return taken

    async def push(self, batch: AnyBatch) -> None:
        """Pass on to the fan-out, waiting for room."""
        await self._fan_out.push(batch)
        if type(batch.items[-1]) is MessageEnd:
            self._on_message_end()

    def close(self, error: BaseException | None) -> None:
        """How the chain ended is told by the attempt."""


class Tail:
    """Stands behind a branch (or the fan-out itself) and tells when it is through."""

    __slots__ = ("_name", "_on_through")

    def __init__(self, name: str, on_through: Callable[[str], None]) -> None:
        self._name = name
        self._on_through = on_through

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Take and forget."""
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Take and forget."""

    def close(self, error: BaseException | None) -> None:
        """The branch is through."""
        self._on_through(self._name)
