"""One request in flight, as its caller sees it.

```python
async with pipeline.run(payload) as run:
    async for event in run:
        ...
    result = await run.result()
```
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import weakref
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from .errors import RunCancelledError, StreamError, UsageError
from .events import Event, TextDelta
from .reader import Reader
from .record import Outcome, RunRecord, StageKind, Timings
from .result import Result
from .source import Request
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .batch import Batch
    from .pipeline import Pipeline


logger = logging.getLogger("tokenline")


class Run:
    """A request in flight; enter it with `async with`, then iterate over its events.

    Leaving the block early cancels the request: the provider's socket is closed. The object is
    an async iterator, not an async generator: it may be closed from any task, at any time.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        request: Request,
        message_id: str | None,
        tags: Mapping[str, str],
    ) -> None:
        self.message_id = message_id or f"message-{uuid.uuid4()}"
        """Our id of the response, the same on every event."""
        self._pipeline = pipeline
        self._core = Supervisor(pipeline, request, self.message_id, tags)
        self._started = False
        self._reader: Reader | None = None
        self._finalizer: weakref.finalize[..., Run] | None = None

    # --- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, _: object
    ) -> None:
        await self._close(hurry=isinstance(exc, asyncio.CancelledError))

    def start(self) -> None:
        """Send the request. `async with` does it; without it, call `aclose` yourself.

        Raises:
            UsageError: the run was started before; one run is one request.
            StageFailedError: a stage could not be opened; nothing was sent.
        """
        if self._started:
            raise UsageError("a run is one request and was started before; make another run")
        self._core.start()
        self._started = True
        for branch in self._pipeline.branches:
            if branch.kind is StageKind.CONSUMER:
                self._reader = self._core.readers[branch.name]
        loop = asyncio.get_running_loop()
        self._finalizer = weakref.finalize(self, _abandon, self._core, loop)

    def cancel(self) -> None:
        """Stop now, from any task of the same loop; idempotent.

        The provider's socket is closed. A task that is reading the run gets `RunCancelledError`.
        """
        if self._started:
            self._core.cancel()

    async def aclose(self) -> None:
        """Leave the run and wait until none of its tasks is left. Idempotent."""
        await self._close(hurry=False)

    async def _close(self, hurry: bool) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._started:
            await self._core.aclose(hurry)

    # --- reading ---------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            StreamError: the stream failed; all events before were delivered, and `partial`
                holds the result so far.
        """
        reader = self._reader or self._need_reader()
        for event in reader.events:
            waiting: Event = event
            return waiting
        try:
            while (batch := reader.take()) is None:  # `next_batch`, spelled out
                await reader.channel.readable()
        except (StreamError, StopAsyncIteration) as error:
            await self._complete(error)
            raise
        first: Event = batch.items[0]
        if len(batch.items) > 1:
            reader.events = islice(batch.items, 1, None)
        return first

    async def next_batch(self) -> Batch[Event]:
        """All events that one read brought; raises like `__anext__`, `StopAsyncIteration` too."""
        reader = self._reader or self._need_reader()
        try:
            return await reader.next_batch()
        except (StreamError, StopAsyncIteration) as error:
            await self._complete(error)
            raise

    def text_stream(self) -> TextStream:
        """The visible text only, piece by piece, of the first choice."""
        return TextStream(self)

    def stream(self) -> Any:
        """The events as an aiostream `Stream`: `run.stream() | pipe.map(...)`.

        Needs the extra `tokenline[aiostream]` (aiostream is GPL-3.0-or-later).

        Raises:
            UsageError: aiostream is not installed.
        """
        from .aiostream_adapter import as_stream

        return as_stream(self)

    def branch(self, name: str) -> BranchReader:
        """The events of a further readable branch.

        Raises:
            UsageError: the pipeline has no readable branch of that name.
        """
        reader = self._core.readers.get(name)
        if reader is None:
            known = ", ".join(self._core.readers) or "none"
            raise UsageError(f"no readable branch {name!r}; readable branches: {known}")
        return BranchReader(self, reader)

    # --- outcome ---------------------------------------------------------------------------

    async def result(self) -> Result:
        """Wait for the end and give the result. Reading the events first is not needed.

        From this call on, events that nobody reads wait without the bounds of their queue (the
        response's own bound, `Limits.max_message_bytes`, still holds): nothing is lost to a
        reader that comes later, and no reader can hold up the result.

        A run that was cancelled, or left early, gives what had arrived (`outcome` says so).

        Raises:
            StreamError: the stream failed; `partial` holds the result so far.
            UsageError: the run was not started, or the pipeline has no accumulator.
        """
        self._need_started()
        if self._core.outcome is None:
            self._core.lift_limits()
        await self._core.wait_ended()
        error = self._core.error
        if error is not None:
            await self._complete(error)
            raise error
        await self._core.wait_counted()
        return self.snapshot()

    def snapshot(self) -> Result:
        """The result so far, at any time, however the run ended.

        Raises:
            UsageError: the run was not started, or the pipeline has no accumulator.
        """
        self._need_started()
        result = self._core.snapshot()
        if result is None:
            raise UsageError("this pipeline has no accumulator; add one to its fan-out")
        return result

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None while it runs."""
        return self._core.outcome

    @property
    def error(self) -> BaseException | None:
        """What ended the run, if it did not end well."""
        error = self._core.error
        if isinstance(error, StreamError) and self._core.record is not None:
            self._add_partial(error)  # nobody may have been there to have it raised
        return error

    @property
    def branch_errors(self) -> Mapping[str, BaseException]:
        """Errors of optional branches that were cut off, by name."""
        return self._core.branch_errors

    @property
    def timings(self) -> Timings:
        """The stamps so far, monotonic ns."""
        self._need_started()
        return self._core.timings()

    @property
    def record(self) -> RunRecord | None:
        """What telemetry was given; None until the run is closed."""
        return self._core.record

    # --- inside ----------------------------------------------------------------------------

    async def _complete(self, ending: BaseException) -> None:
        """Wait until all is accumulated; a late failure is not mistaken for a good end."""
        await self._core.wait_ended()
        error: BaseException | None = ending
        if isinstance(ending, StopAsyncIteration):
            error = self._core.error
            if error is None and self._core.outcome in (Outcome.CANCELLED, Outcome.ABANDONED):
                error = RunCancelledError("the run was closed before its end")
        if isinstance(error, StreamError):
            self._add_partial(error)
        if error is not None and error is not ending:
            raise error

    def _add_partial(self, error: StreamError) -> None:
        if error.partial is None:
            error.partial = self._core.snapshot()

    def _need_started(self) -> None:
        if not self._started:
            raise UsageError("the run was not started; use `async with pipeline.run(...) as run:`")

    def _need_reader(self) -> Reader:
        self._need_started()
        raise UsageError("this pipeline has no consumer branch; read `run.branch(name)` instead")


class TextStream:
    """Visible text of the first choice, piece by piece."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """The next piece; raises like the run's own iteration."""
        while True:
            event = await self._run.__anext__()
            if type(event) is TextDelta and event.choice == 0:
                return event.text


class BranchReader:
    """Events of one readable branch."""

    def __init__(self, run: Run, reader: Reader) -> None:
        self._run = run
        self._reader = reader

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event; raises like the run's own iteration."""
        try:
            event: Event = await self._reader.next_event()
        except (StreamError, StopAsyncIteration) as error:
            await self._run._complete(error)
            raise
        return event


def _abandon(core: Supervisor, loop: asyncio.AbstractEventLoop) -> None:
    logger.warning(
        "run %s was dropped without being closed; use `async with` or `aclose`", core.message_id
    )
    if loop.is_closed():
        core.abandon()
    else:
        loop.call_soon_threadsafe(core.abandon)
