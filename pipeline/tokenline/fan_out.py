"""The fan-out: every branch gets the same batches; on their way the token clocks look at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .actor import Actor, ActorSetup, Inlet
from .batch import AnyBatch
from .closed import ignore
from .events import MessageEnd
from .stage_stats import ActorSpec
from .tail import Tail


class FanOutActor(Actor):
    """Hands the same batches to every branch; looks at each batch on its way.

    Args:
        tail: is told when all is through, after the branches.
        observe: called with the items and their receive time, before the branches get them.
        on_message_end: called when a batch was taken that ends the message.
    """

    __slots__ = ("_last", "_observe", "_on_message_end", "_tail")

    def __init__(
        self,
        spec: ActorSpec,
        setup: ActorSetup,
        outlets: list[Inlet],
        tail: Inlet,
        on_failure: Callable[[Actor, BaseException], None],
        observe: Callable[[list[Any], int], None],
        on_message_end: Callable[[], None],
    ) -> None:
        super().__init__(spec, setup, _PASS_ON, outlets, on_failure)
        self._observe = observe
        self._on_message_end = on_message_end
        self._tail = tail
        self._last: AnyBatch | None = None

    @property
    def last_seq(self) -> int:
        """Sequence number of the last event that it took; -1 before the first."""
        return -1 if self._last is None else int(self._last.items[-1].seq)

    def push_nowait(self, batch: AnyBatch) -> bool:
        """As every actor's; and tells when the message has ended."""
        if self.ready:
            self._handle(batch)
        elif not super().push_nowait(batch):
            return False
        self._last = batch
        if type(batch.items[-1]) is MessageEnd:
            self._on_message_end()
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Like `push_nowait`, waiting for room."""
        await super().push(batch)
        self._last = batch
        if type(batch.items[-1]) is MessageEnd:
            self._on_message_end()

    def let_go(self) -> None:
        """Forget everybody; nothing comes any more."""
        super().let_go()
        self._tail = _NOWHERE
        self._on_message_end = ignore

    def _end(self) -> None:
        super()._end()
        self._tail.close(self._error)

    def _handle(self, batch: AnyBatch) -> None:
        stats = self.stats
        items = batch.items
        count = len(items)
        now = self._now
        from_ns = now()
        self._observe(items, batch.recv_ns)
        to_ns = now()
        took_ns = to_ns - from_ns
        if not stats.first_out_ns:
            stats.note_first(from_ns, to_ns)
        stats.ended_ns = to_ns
        stats.items_in += count
        stats.items_out += count
        stats.batches += 1
        stats.bytes += batch.size_bytes
        stats.processing_ns += took_ns
        if took_ns > stats.max_processing_ns:
            stats.max_processing_ns = took_ns
        # `_emit`, spelled out: this is passed once for each read.
        self._emitting = True
        for outlet in self.outlets:
            if not outlet.push_nowait(batch):
                self._blocked.append((outlet, batch))
        self._emitting = False
        if self._blocked or self._close_later:
            self._after_emitting()


class _PassOn:
    """The step of a fan-out: nothing to finish."""

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        out.extend(items)

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        return


_PASS_ON = _PassOn()
_NOWHERE = Tail("", ignore)
