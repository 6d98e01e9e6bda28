"""Puts the message view on a run: as a branch of the pipeline, or around a run's own events."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from tokenline.errors import StreamError
from tokenline.events import Event
from tokenline.options import Capacity
from tokenline.pipeline import Branch
from tokenline.run import Run
from tokenline.stage import StageSpec, StepContext

from .messages import CONTENT_MESSAGES, Message, StopReasonMessage
from .options import MessageViewOptions
from .view import RUN_ID, STEP_ID, MessageView
from .writer import Now, utc_now


def message_view(
    options: MessageViewOptions | None = None, *, name: str = "message-view", now: Now = utc_now
) -> StageSpec:
    """The message view as a stage: events in, messages out."""
    return StageSpec(name, Event, Message, lambda context: MessageView(context, options, now=now))


def messages(
    options: MessageViewOptions | None = None,
    *,
    name: str = "messages",
    capacity: Capacity | None = None,
    required: bool = False,
    now: Now = utc_now,
) -> Branch:
    """A fan-out branch that gives messages; read it with `MessageStream(run, branch=name)`.

    The tags `run_id` and `step_id` of a run are on its messages.

    Args:
        options: what is shown and how.
        name: name of the branch; its stage is called `<name>-view`.
        capacity: bounds of its queue and what happens when it is full.
        required: whether its failure ends the run.
        now: gives the time of day, with its time zone.
    """
    return Branch(
        name,
        stage=message_view(options, name=f"{name}-view", now=now),
        readable=True,
        required=required,
        capacity=capacity or Capacity(),
        content=CONTENT_MESSAGES,
    )


class MessageStream:
    """The messages of a run, to its end, whatever that is: failures come as messages.

    ```python
    async with pipeline.run(payload) as run:
        async for message in MessageStream(run):
            ...
    ```

    It is not closed with the loop: leave the run for that.

    Args:
        run: a run that was started.
        options: what is shown and how; of no use with `branch`, which has its own.
        branch: name of a branch made by `messages`; None reads the run's consumer branch and
            makes messages here.
        tags: `run_id` and `step_id`. A branch takes those of its run; with it they are used only
            if the run fails before the first message.
        now: gives the time of day, with its time zone.

    Attributes:
        error: what the run ended with, once it has; None after a good end.
    """

    def __init__(
        self,
        run: Run,
        options: MessageViewOptions | None = None,
        *,
        branch: str | None = None,
        tags: Mapping[str, str] | None = None,
        now: Now = utc_now,
    ) -> None:
        self.error: StreamError | None = None
        self._run = run
        self._now = now
        self._view = self._make_view(options, tags or {})
        self._branch: Any = None if branch is None else run.branch(branch)
        self._waiting: deque[Message] = deque()
        self._last: Message | None = None
        self._is_stopped = False
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """The next message."""
        while not self._waiting:
            if self._is_over:
                raise StopAsyncIteration
            await self._read()
        return self._waiting.popleft()

    def _make_view(
        self, options: MessageViewOptions | None, tags: Mapping[str, str]
    ) -> MessageView:
        return MessageView(StepContext(self._run.message_id, tags=tags), options, now=self._now)

    async def _read(self) -> None:
        out: list[Message] = []
        try:
            await (self._read_events(out) if self._branch is None else self._read_branch(out))
        except StopAsyncIteration:
            self._is_over = True
            if self._branch is None:
                self._view.finish(0, out)
        except StreamError as error:
            self._is_over = True
            self.error = error
            self._tell(error, out)
        self._waiting.extend(out)

    async def _read_events(self, out: list[Message]) -> None:
        batch = await self._run.next_batch()
        self._view.feed(batch.items, batch.recv_ns, out)

    async def _read_branch(self, out: list[Message]) -> None:
        message: Message = await anext(self._branch)
        self._last = message
        self._is_stopped = self._is_stopped or type(message) is StopReasonMessage
        out.append(message)

    def _tell(self, error: StreamError, out: list[Message]) -> None:
        """Show the failure, unless the branch has."""
        if self._is_stopped:
            return
        last = self._last
        if last is not None:
            tags = {RUN_ID: last.run_id, STEP_ID: last.step_id}
            known = {name: value for name, value in tags.items() if value is not None}
            options = MessageViewOptions(first_seq_id=last.seq_id + 1)
            self._view = self._make_view(options, known)
        self._view.fail(error, 0, out)
