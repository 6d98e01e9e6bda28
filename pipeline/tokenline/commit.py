"""The commit point: what an attempt gives is held until its first content.

Until then nothing was delivered and the attempt can be made again unseen. The first content (or
a complete message without any) asks whether this attempt is the one to go on; then what was held
is passed on, in order, and everything after it directly.
"""

from __future__ import annotations

from collections.abc import Callable

from .actor import Inlet
from .batch import AnyBatch
from .events import CONTENT_EVENTS, MessageEnd

_COMMITTING = CONTENT_EVENTS | {MessageEnd}


class CommitGate:
    """Stands behind one attempt's chain.

    Args:
        pass_on: where batches go after the commit.
        on_commit: called at the first content; False if another attempt has won, whereupon
            everything this one gives is dropped.

    Attributes:
        push_nowait: takes a batch: holds, drops or passes it on; False if there is no room below
            (the batch was not taken). Once the gate is open it is what stands behind it.
        first_content_ns: receive time of the first content; None before it.
    """

    __slots__ = (
        "_held",
        "_lost",
        "_on_commit",
        "_open",
        "_pass_on",
        "first_content_ns",
        "push_nowait",
    )

    def __init__(self, pass_on: Inlet, on_commit: Callable[[], bool]) -> None:
        self._pass_on = pass_on
        self._on_commit = on_commit
        self._held: list[AnyBatch] = []
        self._open = False
        self._lost = False
        self.first_content_ns: int | None = None
        self.push_nowait: Callable[[AnyBatch], bool] = self._push_nowait

    @property
    def committed(self) -> bool:
        """Whether this attempt's content was passed on."""
        return self._open

    def _push_nowait(self, batch: AnyBatch) -> bool:
        if not self._open and not self._decide(batch):
            return True
        while self._held:
            if not self._pass_on.push_nowait(self._held[0]):
                return False
            self._held.pop(0)
        self.push_nowait = self._pass_on.push_nowait
        return self._pass_on.push_nowait(batch)

    async def push(self, batch: AnyBatch) -> None:
        """Like `push_nowait`, waiting for room."""
        if not self._open and not self._decide(batch):
            return
        while self._held:
            await self._pass_on.push(self._held[0])
            self._held.pop(0)
        await self._pass_on.push(batch)

    def put_first(self, batch: AnyBatch) -> None:
        """Pass `batch` on before everything that is held; for `on_commit`."""
        self._held.insert(0, batch)

    def let_go(self) -> None:
        """The run is closed: forget whom to ask; nothing comes any more."""
        self._on_commit = _refuse
        self.push_nowait = _drop

    def close(self, error: BaseException | None) -> None:
        """How the chain ended is told by the attempt."""

    def _decide(self, batch: AnyBatch) -> bool:
        """Whether the gate is open for this batch; a batch that is not passed on is held."""
        if self._lost:
            return False
        if _COMMITTING.isdisjoint(map(type, batch.items)):
            self._held.append(batch)
            return False
        if not self._on_commit():
            self._lost = True
            self._held.clear()
            return False
        self._open = True
        self.first_content_ns = batch.recv_ns
        return True


def _refuse() -> bool:
    return False


def _drop(batch: AnyBatch) -> bool:
    return True
