"""The fan-out of one run and everything behind it: stages, readers, and who is through.

An optional branch that fails is cut off here; a required one is the run's affair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .actor import Actor, ActorSetup, Inlet, name_stage
from .closed import ignore
from .errors import StageFailedError
from .fan_out import FanOutActor
from .fused import fuse
from .options import Overflow
from .pipeline import Branch, Pipeline
from .reader import Reader
from .record import StageKind, StageRecord
from .stage_stats import ActorSpec
from .tail import Tail

logger = logging.getLogger("tokenline")

_FAN_OUT = "fan-out"


@dataclass(slots=True)
class BranchReports:
    """Whom the branches tell; nobody changes it.

    Attributes:
        observe: gets every batch at the fan-out, before the branches.
        on_message_end: the fan-out has taken the end of the message.
        on_through: a branch, or the fan-out itself, has taken everything it will take.
        on_reader_end: a reader will hand out nothing more.
        on_failure: a required branch, or the fan-out itself, has failed.
        hide_secrets: keeps keys out of an error before anybody sees it.
    """

    observe: Callable[[list[Any], int], None]
    on_message_end: Callable[[], None]
    on_through: Callable[[], None]
    on_reader_end: Callable[[], None]
    on_failure: Callable[[BaseException], None]
    hide_secrets: Callable[[BaseException], None]


class Branches:
    """The branches of one run.

    Args:
        plan: the pipeline.
        steps: the steps of the branches that have a stage, by name.
        setup: what the run's actors share.
        reports: whom to tell.

    Attributes:
        fan_out: hands every batch to every branch.
        readers: what the caller reads, by branch name.
        errors: errors of optional branches that were cut off, by name.
    """

    def __init__(
        self, plan: Pipeline, steps: Mapping[str, Any], setup: ActorSetup, reports: BranchReports
    ) -> None:
        self.readers: dict[str, Reader] = {}
        self.errors: dict[str, BaseException] = {}
        self._plan = plan
        self._steps = steps
        self._setup = setup
        self._reports = reports
        self._indexes = len(plan.chain)
        self._actors: dict[str, Actor] = {}
        self._inlets: dict[str, Inlet] = {}
        self._open_tails: set[str] = set()
        self._required = {branch.name for branch in plan.branches if branch.required}
        self._required.add(_FAN_OUT)
        self._accumulating = {b.name for b in plan.branches if b.kind is StageKind.ACCUMULATOR}
        self._accumulating.add(_FAN_OUT)
        self.fan_out = self._build()

    # --- wiring ----------------------------------------------------------------------------

    def _build(self) -> FanOutActor:
        plan = self._plan
        spec = ActorSpec(_FAN_OUT, StageKind.FAN_OUT, self.next_index(), plan.fan_out)
        # Branches that are not read first: what a reader is told has been accumulated by then.
        for branch in sorted(plan.branches, key=lambda branch: branch.readable):
            self._inlets[branch.name] = self._open(branch)
        return FanOutActor(
            spec,
            self._setup,
            list(self._inlets.values()),
            self._tail(_FAN_OUT),
            lambda _, error: self._reports.on_failure(error),
            self._reports.observe,
            self._reports.on_message_end,
        )

    def _open(self, branch: Branch) -> Inlet:
        if branch.stage is None:
            return self._open_reader(branch)
        step = self._steps[branch.name]
        spec = ActorSpec(branch.name, branch.kind, self.next_index(), branch.capacity)
        outlets: list[Inlet] = [self._tail(branch.name)]
        if branch.readable:
            waiting = branch.capacity.model_copy(
                update={"overflow": Overflow.BLOCK, "max_wait_s": None}
            )
            spec = replace(spec, name=branch.stage.name, capacity=waiting)
            outlets.insert(0, self._open_reader(branch))
        actor = Actor(spec, self._setup, step, outlets, lambda _, e: self._failed(branch, e))
        self._actors[branch.name] = actor
        if len(outlets) > 1:
            return actor
        return fuse([actor], outlets[0], self._setup.clock.now_ns)

    def _open_reader(self, branch: Branch) -> Reader:
        spec = ActorSpec(branch.name, branch.kind, self.next_index(), branch.capacity)
        reader = Reader(
            spec,
            self._setup.clock,
            lambda _: self._reports.on_reader_end(),
            lambda reader, error: self._reader_failed(branch, reader, error),
            content=branch.content,
            wakes=self._setup.wakes,
        )
        self.readers[branch.name] = reader
        return reader

    def next_index(self) -> int:
        """The next place in the flow."""
        self._indexes += 1
        return self._indexes

    def _tail(self, name: str) -> Tail:
        self._open_tails.add(name)
        return Tail(name, self._through)

    # --- what they report ------------------------------------------------------------------

    def _through(self, name: str) -> None:
        if name in self._open_tails:
            self._open_tails.discard(name)
            self._reports.on_through()

    def _reader_failed(self, branch: Branch, reader: Reader, error: BaseException) -> None:
        error = name_stage(error, branch.name)
        reader.channel.close(error)
        self._stop_stage(branch.name)
        self._failed(branch, error)

    def _stop_stage(self, name: str) -> None:
        """Stop the stage in front of a reader that takes no more."""
        actor = self._actors.get(name)
        if actor is not None:
            actor.abort()
            self._through(name)

    def _failed(self, branch: Branch, error: BaseException) -> None:
        """Go on without an optional branch that failed."""
        if branch.name in self.errors:  # it was cut off; what it says of that is no news
            return
        if branch.required:
            self._reports.on_failure(error)
            return
        self._reports.hide_secrets(error)
        self.errors[branch.name] = error
        logger.warning("optional branch %r failed and is cut off: %s", branch.name, error)
        inlet = self._inlets[branch.name]
        if inlet in self.fan_out.outlets:
            # A copy: the fan-out may be going through its list right now.
            self.fan_out.outlets = [o for o in self.fan_out.outlets if o is not inlet]

    # --- for the run -----------------------------------------------------------------------

    @property
    def all_read(self) -> bool:
        """Whether every reader is done."""
        return all(reader.ended for reader in self.readers.values())

    @property
    def all_through(self) -> bool:
        """Whether every branch has taken everything it will take."""
        return not self._open_tails

    def main_through(self, failed: bool) -> bool:
        """Whether what the run's end waits for is through.

        After a failure that is what makes the partial result, else every required branch.
        """
        needed = self._accumulating if failed else self._required
        return needed.isdisjoint(self._open_tails)

    @property
    def may_take_time(self) -> bool:
        """Whether a stage that awaits is not through."""
        return any(actor.awaits for _, actor in self._open_actors())

    def awaiting(self) -> list[tuple[str, int]]:
        """Branches inside a call of their stage, and since when."""
        actors = self._open_actors()
        return [(n, a.awaiting_since_ns) for n, a in actors if a.awaiting_since_ns]

    def holding_up(self, ended: bool) -> str | None:
        """The stage that the run waits for, if it is one: inside a call, and in the way.

        Args:
            ended: the response is complete; from then on a required branch is in the way.
        """
        for name, actor in self._open_actors():
            in_the_way = actor.feeder_waits or (ended and name in self._required)
            if in_the_way and actor.awaiting_since_ns:
                return actor.spec.name
        return None

    def cut_off(self, name: str, reason: str) -> None:
        """Go on without a branch whose stage does not return."""
        actor = self._actors[name]
        stage = actor.spec.name
        error = StageFailedError(f"stage {stage!r} {reason}", stage=stage)
        actor.cut_off(error)
        reader = self.readers.get(name)
        if reader is not None:
            reader.channel.close(error)
        self._through(name)

    def cut_off_all(self, reason: str) -> None:
        """Go on without any branch whose stage is not through."""
        for name, _ in list(self._open_actors()):
            self.cut_off(name, reason)

    def _open_actors(self) -> Iterator[tuple[str, Actor]]:
        return ((n, a) for n, a in self._actors.items() if n in self._open_tails)

    def step_of(self, kind: StageKind) -> Any:
        """The step of the branch of that kind; None if there is none."""
        for branch in self._plan.branches:
            if branch.kind is kind and branch.name in self._actors:
                return self._actors[branch.name].step
        return None

    def leave(self) -> None:
        """Nobody reads any more."""
        for reader in self.readers.values():
            reader.leave()
            self._stop_stage(reader.spec.name)

    def lift_limits(self) -> None:
        """Let readers take everything, so that one that nobody reads cannot hold up the run."""
        for reader in self.readers.values():
            reader.lift_limits()

    def let_through(self) -> None:
        """What is under way reaches every branch at once, also past one that takes its time."""
        self.lift_limits()
        for actor in self._actors.values():
            actor.lift_limits()

    def let_go(self) -> None:
        """The run is closed: forget everybody, so that no collector need find its objects."""
        self._reports = _NOBODY
        self._inlets.clear()
        self.fan_out.let_go()
        for actor in self._actors.values():
            actor.let_go()
        for reader in self.readers.values():
            reader.let_go()

    def abort(self) -> None:
        """Drop everything at once; readers are not told."""
        self._open_tails.clear()
        self.fan_out.abort()
        for actor in self._actors.values():
            actor.abort()

    def end_readers(self, error: BaseException | None) -> None:
        """Readers get what waits, then the error."""
        for reader in self.readers.values():
            reader.channel.close(error)

    def abort_readers(self, error: BaseException) -> None:
        """Readers that are not done get the error at once."""
        for reader in self.readers.values():
            if not reader.ended:
                reader.channel.abort(error)

    def records(self, ended_ns: int) -> Sequence[StageRecord]:
        """What fan-out and branches did for a request that ended at `ended_ns`, in flow order."""
        return [
            self.fan_out.record(ended_ns),
            *[actor.record(ended_ns) for actor in self._actors.values()],
            *[reader.record(ended_ns) for reader in self.readers.values()],
        ]


_NOBODY = BranchReports(ignore, ignore, ignore, ignore, ignore, ignore)
