"""A branch's stage that keeps what comes: for tests of fan-outs and of slow or failing sinks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tokenline.events import Event
from tokenline.stage import StageSpec


class Recorder:
    """Keeps everything it is given; every run of the stage writes to the same lists.

    Args:
        name: name of the stage.
        batch_s: how long it takes for each batch, on the loop's clock.
        fails_after: raise `error` at that many batches; None never does.
        error: what to raise.

    Attributes:
        batch_s: as given.
        stage: the stage; put it in a branch.
        items: what came.
        batches: how many items each batch had.
        finished: how often the input ended well.
        errors: what else it ended with.
    """

    def __init__(
        self,
        name: str = "recorder",
        *,
        batch_s: float = 0.0,
        fails_after: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.items: list[Any] = []
        self.batches: list[int] = []
        self.finished = 0
        self.errors: list[BaseException] = []
        self.batch_s = batch_s
        self._fails_after = fails_after
        self._error = error or RuntimeError("the recorder was told to fail")
        self.stage = StageSpec(name, Event, Any, lambda context: self)

    async def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        """Keep a batch."""
        if self._fails_after is not None and len(self.batches) >= self._fails_after:
            raise self._error
        self.items.extend(items)
        self.batches.append(len(items))
        await asyncio.sleep(self.batch_s)

    async def finish(self, recv_ns: int, out: list[Any]) -> None:
        """Note a good end."""
        self.finished += 1

    def fail(self, error: BaseException, recv_ns: int, out: list[Any]) -> None:
        """Note another end."""
        self.errors.append(error)
