"""What every client's process does: takes jobs from standard input, tells what its user saw.

Standard library only: it runs in the peers' own environments.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns
from typing import Any

_MESSAGE_CHARS = 160


@dataclass(frozen=True)
class Job:
    """One scenario for one client.

    Attributes:
        url: base of the server, without `/v1`.
        api: `chat` (OpenAI) or `messages` (Anthropic).
        action: `read` to the end, `leave` and go on in the same scope, `drop` and return,
            `cancel` the reading task, or read on after a pause (`slow`).
        after_chars: how much text to have before acting.
        pause_s: how long `slow` pauses.
        limit_s: time limit to set as the client's documentation shows it; None sets none.
        watch_s: how long to wait for an end.
        linger_s: how long to look afterwards for what is left.
        tools: offer the tool `transfer(account, amount)`.
    """

    url: str
    api: str
    action: str
    after_chars: int
    pause_s: float
    limit_s: float | None
    watch_s: float
    linger_s: float
    tools: bool

    @property
    def openai_url(self) -> str:
        """Base URL for clients of OpenAI's API."""
        return f"{self.url}/v1"


@dataclass
class Observation:
    """What the user saw. Stamps are `time.perf_counter_ns`, one clock for the whole machine.

    Attributes:
        outcome: `ended`, `raised`, or `waiting` when nothing had happened after `watch_s`.
        error: the exception's class.
        message: how its text begins.
        text: what the reading loop got.
        kept_text: what the library has of it after a failure, without the user's own copy.
        kept_usage: the usage it has then.
        finish_reason: as the library gives it.
        calls: tool calls as the library gives them.
        executed: calls of the tool that the library made itself.
        noticed_ns: the loop ended, by itself or with an exception.
        left_ns: the user left.
        resumed_ns: the pause was over.
        tasks_left: names of tasks that were not there before.
        complaints: what reached the event loop's exception handler.
    """

    outcome: str = "waiting"
    error: str | None = None
    message: str | None = None
    text: str = ""
    kept_text: str | None = None
    kept_usage: str | None = None
    finish_reason: str | None = None
    calls: list[str] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    noticed_ns: int | None = None
    left_ns: int | None = None
    resumed_ns: int | None = None
    tasks_left: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


Kept = tuple[str | None, Any]
"""Text and usage that a library still has."""


class Seen:
    """What a client's reading loop reports to while it reads."""

    def __init__(self, job: Job) -> None:
        self.noted = Observation()
        self.keep: Callable[[], Kept] = _nothing
        """Set by the client: asks the library for what it has of a broken response."""
        self.reached = asyncio.Event()
        self._job = job

    async def take(self, text: str | None) -> bool:
        """Note some text; False when it is time to leave the loop."""
        self.noted.text += text or ""
        if self.reached.is_set() or len(self.noted.text) < self._job.after_chars:
            return True
        self.reached.set()
        if self._job.action in ("leave", "drop"):
            self.noted.left_ns = perf_counter_ns()
            return False
        if self._job.action == "slow":
            await asyncio.sleep(self._job.pause_s)
            self.noted.resumed_ns = perf_counter_ns()
        return True

    async def after(self) -> None:
        """The rest of the user's function, which still has the stream in a variable."""
        self.noted.noticed_ns = perf_counter_ns()
        if self._job.action == "leave":
            await asyncio.sleep(self._job.linger_s)

    def note_kept(self) -> None:
        """Ask the library what it has."""
        try:
            text, usage = self.keep()
        except Exception as error:
            text, usage = None, None
            self.noted.complaints.append(f"asked for the partial result: {error!r}"[:200])
        self.noted.kept_text = text
        self.noted.kept_usage = None if usage is None else str(usage)[:_MESSAGE_CHARS]

    def note_error(self, error: BaseException) -> None:
        """Note what the user's `except` would get."""
        self.noted.outcome = "raised"
        self.noted.error = f"{type(error).__module__}.{type(error).__qualname__}"
        self.noted.message = " ".join(str(error).split())[:_MESSAGE_CHARS]


Read = Callable[[Job, Seen], Awaitable[None]]
"""A client: streams one response as its documentation shows it, and reports to `Seen`."""


async def observe(read: Read, job: Job) -> Observation:
    """One job, bounded in time."""
    before = asyncio.all_tasks()
    seen = Seen(job)
    noted = seen.noted
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, what: noted.complaints.append(what["message"]))
    reading: asyncio.Task[None] | None = asyncio.create_task(_read(read, job, seen))
    assert reading is not None
    if job.action == "cancel":
        reached = asyncio.create_task(seen.reached.wait())
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({reached, reading}, timeout=job.watch_s, return_when=first)
        reached.cancel()
        await asyncio.sleep(0.1)
    else:
        await asyncio.wait({reading}, timeout=job.watch_s)
    if not reading.done():
        noted.left_ns = perf_counter_ns()
        reading.cancel()
        await asyncio.wait({reading}, timeout=2.0)
    reading = None
    await asyncio.sleep(job.linger_s)
    left = asyncio.all_tasks() - before
    noted.tasks_left = [f"{task.get_name()}: {task.get_coro()!r}"[:200] for task in left]
    return noted


async def _read(read: Read, job: Job, seen: Seen) -> None:
    try:
        await read(job, seen)
    except asyncio.CancelledError:
        if seen.noted.left_ns is None:
            raise
        seen.noted.error = "asyncio.CancelledError"
        seen.note_kept()
        return
    except Exception as error:
        seen.noted.noticed_ns = perf_counter_ns()
        seen.note_error(error)
        seen.note_kept()
        return
    seen.noted.outcome = "ended"
    if seen.noted.noticed_ns is None:
        seen.noted.noticed_ns = perf_counter_ns()


def serve(read: Read) -> None:
    """Do jobs, one JSON object a line, until standard input closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    asyncio.run(_serve(read, answers))


async def _serve(read: Read, answers: Any) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        noted = await observe(read, Job(**json.loads(line)))
        answers.write(json.dumps(asdict(noted)) + "\n")
        answers.flush()


def _nothing() -> Kept:
    return None, None
