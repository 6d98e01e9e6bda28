"""Where trace records go: the one protocol of all sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tokenline.errors import TokenlineError

from .record import Trace


class TracesRejectedError(TokenlineError):
    """A sink took a batch except for some records that it can never take.

    Attributes:
        count: how many it refused.
    """

    def __init__(self, message: str, *, count: int) -> None:
        super().__init__(message)
        self.count = count


class TraceSink(Protocol):
    """Takes batches of records. All calls come from the store's own thread and event loop.

    A call that raises or takes too long is tried again with the same batch, after `aclose` and
    a new `open`: a sink must not mind to be given a record twice.

    Attributes:
        name: for statistics and log lines; shows no secret.
    """

    @property
    def name(self) -> str:
        """Name."""
        ...

    async def open(self) -> None:
        """Make ready to write."""
        ...

    async def write(self, batch: Sequence[Trace]) -> None:
        """Write a batch, whole or not at all.

        Raises:
            TracesRejectedError: all was written but some records that can never be.
        """
        ...

    async def flush(self) -> None:
        """Make sure that what was written outlives the process."""
        ...

    async def aclose(self) -> None:
        """Let go of everything. `open` may follow."""
        ...
