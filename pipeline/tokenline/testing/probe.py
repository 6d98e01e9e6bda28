"""A reader that takes events only when it is told to, as slow or as quick as a test wants.

After the test probes of Reactive Streams libraries: demand is explicit, and what comes is
compared at once. Nothing is lost between two calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class Probe(Generic[T]):
    """Reads a run, one of its branches, or any other async iterator, step by step.

    ```python
    probe = Probe(run)
    first, second = await probe.request(2)
    await probe.expect_none()
    ```

    Args:
        events: what to read.

    Attributes:
        received: everything that was handed out so far.
    """

    def __init__(self, events: AsyncIterator[T]) -> None:
        self._events = events
        self._waiting: asyncio.Task[T] | None = None
        self.received: list[T] = []

    async def request(self, count: int = 1) -> list[T]:
        """The next `count` items, waiting for them.

        Raises:
            ValueError: a count below 1 (Reactive Streams, rule 3.9).
            AssertionError: the stream ended or failed before; the failure is its cause.
        """
        if count < 1:
            raise ValueError(f"request({count}): ask for at least 1")
        items: list[T] = []
        while len(items) < count:
            try:
                items.append(await self._next())
            except (StopAsyncIteration, Exception) as error:
                how = "ended" if isinstance(error, StopAsyncIteration) else f"failed with {error!r}"
                raise AssertionError(
                    f"asked for {count} items, got {len(items)} ({items!r}); then it {how}"
                ) from error
        return items

    async def expect_none(self, seconds: float = 1.0) -> None:
        """Check that nothing comes for a while; what comes later is not lost.

        Args:
            seconds: how long to watch, on the loop's clock.

        Raises:
            AssertionError: an item or the end came.
        """
        task = self._start()
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            said = repr(task.exception()) if task.exception() is not None else repr(task.result())
            raise AssertionError(f"expected nothing for {seconds:g} s, got {said}")

    async def expect_end(self) -> None:
        """Check that the stream ends well, now.

        Raises:
            AssertionError: an item or an error came instead.
        """
        try:
            item = await self._next()
        except StopAsyncIteration:
            return
        except Exception as error:
            raise AssertionError(f"expected the end, got {error!r}") from error
        raise AssertionError(f"expected the end, got {item!r}")

    async def expect_error(self, kind: type[E]) -> E:
        """The error that the stream fails with, now.

        Raises:
            AssertionError: an item, the end or another error came instead.
        """
        try:
            item = await self._next()
        except kind as error:
            return error
        except (StopAsyncIteration, Exception) as error:
            raise AssertionError(f"expected {kind.__name__}, got {error!r}") from error
        raise AssertionError(f"expected {kind.__name__}, got {item!r}")

    async def aclose(self) -> None:
        """Stop reading; what is being waited for is given up."""
        task, self._waiting = self._waiting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _start(self) -> asyncio.Task[T]:
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_task(self._read())
        return self._waiting

    async def _next(self) -> T:
        task = self._start()
        await asyncio.wait({task})
        self._waiting = None
        outcome = task.result()
        if isinstance(outcome, _End):
            raise StopAsyncIteration
        self.received.append(outcome)
        return outcome

    async def _read(self) -> Any:
        # A task cannot raise StopAsyncIteration: the end travels as a value.
        try:
            return await self._events.__anext__()
        except StopAsyncIteration:
            return _END


class _End:
    def __repr__(self) -> str:
        return "the end"


_END = _End()
