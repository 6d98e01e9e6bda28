"""Wires a pipeline and checks that it fits together.

```python
pipeline = (
    PipelineBuilder("chat")
    .source(source)
    .parse(parser)
    .normalize(normalizer)
    .fan_out(consumer(), accumulator())
    .trace(telemetry)
    .build()
)
```
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, Union, get_args, get_origin

from .clock import SYSTEM_CLOCK, Clock
from .errors import WiringError
from .estimate import UsageEstimator
from .events import Event
from .limiter import Limiter
from .options import Capacity, RunOptions
from .pipeline import Branch, ChainStage, Pipeline, Route
from .record import StageKind
from .result import Result
from .source import Source
from .stage import Stage
from .telemetry.hook import NoTelemetry, Telemetry

ContinueFrom = Callable[[Mapping[str, Any], Result], Mapping[str, Any] | None]
"""See `Route.continue_from`."""


class PipelineBuilder:
    """Collects stages in flow order; `build` checks them and gives an immutable `Pipeline`."""

    def __init__(self, name: str = "pipeline") -> None:
        self._name = name
        self._source: Source | None = None
        self._chain: list[ChainStage] = []
        self._branches: list[Branch] = []
        self._fan_out = Capacity()
        self._has_fan_out = False
        self._telemetry: Telemetry = NoTelemetry()
        self._options = RunOptions()
        self._clock = SYSTEM_CLOCK
        self._usage_estimator: UsageEstimator | None = None
        self._fallbacks: list[Route] = []
        self._continue_from: ContinueFrom | None = None
        self._limiter: Limiter | None = None

    @classmethod
    def from_pipeline(cls, pipeline: Pipeline) -> Self:
        """A builder that holds what `pipeline` holds."""
        builder = cls(pipeline.name)
        builder._source = pipeline.source
        builder._chain = list(pipeline.chain)
        builder._branches = list(pipeline.branches)
        builder._fan_out = pipeline.fan_out
        builder._has_fan_out = True
        builder._telemetry = pipeline.telemetry
        builder._options = pipeline.options
        builder._clock = pipeline.clock
        builder._usage_estimator = pipeline.usage_estimator
        builder._fallbacks = list(pipeline.fallbacks)
        builder._continue_from = pipeline.continue_from
        builder._limiter = pipeline.limiter
        return builder

    # --- in flow order ---------------------------------------------------------------------

    def source(self, source: Source) -> Self:
        """Set where the bytes come from."""
        self._source = source
        return self

    def parse(self, stage: Stage[Any, Any], capacity: Capacity | None = None) -> Self:
        """Add the chunk parser: raw bytes to the provider's typed wire items."""
        return self._append(stage, StageKind.PARSER, capacity)

    def normalize(self, stage: Stage[Any, Any], capacity: Capacity | None = None) -> Self:
        """Add the message normalizer: wire items to events."""
        return self._append(stage, StageKind.NORMALIZER, capacity)

    def then(self, stage: Stage[Any, Any], capacity: Capacity | None = None) -> Self:
        """Add a stage of your own at this place."""
        return self._append(stage, StageKind.STEP, capacity)

    def fan_out(
        self, *branches: Branch | Stage[Any, Any], capacity: Capacity | None = None
    ) -> Self:
        """Add the fan-out and its branches; `capacity` bounds the fan-out's own inbox.

        A stage in place of a branch becomes a required branch with default bounds; one whose
        outlet is `Result` is the accumulator.
        """
        self._has_fan_out = True
        self._branches.extend(_as_branch(branch) for branch in branches)
        self._fan_out = capacity or self._fan_out
        return self

    def branch(self, branch: Branch | Stage[Any, Any]) -> Self:
        """Add one more fan-out branch."""
        self._branches.append(_as_branch(branch))
        return self

    def trace(self, telemetry: Telemetry) -> Self:
        """Set the trace emitter: it gets one record of every run."""
        self._telemetry = telemetry
        return self

    def options(self, options: RunOptions) -> Self:
        """Set how the pipeline runs."""
        self._options = options
        return self

    def fall_back(self, *routes: Route | Pipeline) -> Self:
        """Add routes to take, in order, when the attempts before are used up.

        Of a `Pipeline` its source and chain are taken.
        """
        for route in routes:
            self._fallbacks.append(route.routes[0] if isinstance(route, Pipeline) else route)
        return self

    def continue_with(self, continue_from: ContinueFrom) -> Self:
        """Say how the provider goes on with a response that broke off (`AfterCommit.CONTINUE`)."""
        self._continue_from = continue_from
        return self

    def limit(self, limiter: Limiter) -> Self:
        """Keep the pipeline's runs within bounds shared with others."""
        self._limiter = limiter
        return self

    def estimate_usage(self, estimator: UsageEstimator | None) -> Self:
        """Count tokens here where the server reports none; the counts are marked as estimates."""
        self._usage_estimator = estimator
        return self

    def clock(self, clock: Clock) -> Self:
        """Set the clock (tests)."""
        self._clock = clock
        return self

    # --- changing what is there ------------------------------------------------------------

    def insert_before(
        self, name: str, stage: Stage[Any, Any], capacity: Capacity | None = None
    ) -> Self:
        """Put a stage of your own before the stage `name`.

        Raises:
            WiringError: there is no such stage.
        """
        place = ChainStage(stage, StageKind.STEP, capacity or Capacity())
        self._chain.insert(self._index_of(name), place)
        return self

    def insert_after(
        self, name: str, stage: Stage[Any, Any], capacity: Capacity | None = None
    ) -> Self:
        """Put a stage of your own after the stage `name`; raises like `insert_before`."""
        place = ChainStage(stage, StageKind.STEP, capacity or Capacity())
        self._chain.insert(self._index_of(name) + 1, place)
        return self

    def replace(self, name: str, stage: Stage[Any, Any]) -> Self:
        """Put `stage` in the place of the stage `name`; raises like `insert_before`."""
        index = self._index_of(name)
        old = self._chain[index]
        self._chain[index] = ChainStage(stage, old.kind, old.capacity)
        return self

    def remove(self, name: str) -> Self:
        """Take the stage or branch `name` out; raises like `insert_before`."""
        kept = [branch for branch in self._branches if branch.name != name]
        if len(kept) < len(self._branches):
            self._branches = kept
        else:
            del self._chain[self._index_of(name)]
        return self

    def capacity(self, name: str, capacity: Capacity) -> Self:
        """Set the inbox bounds of the stage, fan-out or branch `name`."""
        if name == "fan-out":
            self._fan_out = capacity
            return self
        for index, branch in enumerate(self._branches):
            if branch.name == name:
                self._branches[index] = replace(branch, capacity=capacity)
                return self
        index = self._index_of(name)
        place = self._chain[index]
        self._chain[index] = ChainStage(place.stage, place.kind, capacity)
        return self

    # --- the end ---------------------------------------------------------------------------

    def build(self) -> Pipeline:
        """Check the wiring.

        Raises:
            WiringError: something does not fit; `stage` names where.
        """
        if self._source is None:
            raise WiringError("the pipeline has no source; call .source(...) first", stage="source")
        self._check_names()
        self._check_capacities()
        self._check_edges(self._source, self._chain)
        for route in self._fallbacks:
            self._check_edges(route.source, route.chain)
        self._check_branches()
        return Pipeline(
            name=self._name,
            source=self._source,
            chain=tuple(self._chain),
            fan_out=self._fan_out,
            branches=tuple(self._branches),
            telemetry=self._telemetry,
            options=self._options,
            clock=self._clock,
            usage_estimator=self._usage_estimator,
            fallbacks=tuple(self._fallbacks),
            continue_from=self._continue_from,
            limiter=self._limiter,
        )

    def _append(self, stage: Any, kind: StageKind, capacity: Capacity | None) -> Self:
        if not isinstance(stage, Stage):
            raise WiringError(
                f"{stage!r} is no stage: it needs name, inlet, outlet and open(context)",
                stage=getattr(stage, "name", None),
            )
        self._chain.append(ChainStage(stage, kind, capacity or Capacity()))
        return self

    def _index_of(self, name: str) -> int:
        for index, place in enumerate(self._chain):
            if place.stage.name == name:
                return index
        known = ", ".join(place.stage.name for place in self._chain) or "none"
        raise WiringError(f"no stage {name!r} in this pipeline; stages: {known}", stage=name)

    def _check_names(self) -> None:
        assert self._source is not None
        names = [self._source.name, *(p.stage.name for p in self._chain), "fan-out"]
        names += [branch.name for branch in self._branches]
        names += [b.stage.name for b in self._branches if b.stage is not None and b.readable]
        for name in names:
            if not name:
                raise WiringError("a stage has an empty name", stage=name)
            if names.count(name) > 1:
                raise WiringError(
                    f"two stages are called {name!r}; names must be unique", stage=name
                )

    def _check_capacities(self) -> None:
        bounds = [(place.stage.name, place.capacity) for place in self._chain]
        bounds += [("fan-out", self._fan_out)]
        bounds += [(branch.name, branch.capacity) for branch in self._branches]
        for name, capacity in bounds:
            if capacity.max_items < 1 or capacity.max_bytes < 1:
                raise WiringError(
                    f"stage {name!r} has a capacity below 1 ({capacity.max_items} items,"
                    f" {capacity.max_bytes} bytes); a queue holds at least one",
                    stage=name,
                )

    def _check_edges(self, source: Source, chain: Sequence[ChainStage]) -> None:
        above, given = source.name, source.outlet
        for place in chain:
            _check_edge(above, given, place.stage.name, place.stage.inlet)
            above, given = place.stage.name, place.stage.outlet
        _check_edge(above, given, "fan-out", Event)
        for branch in self._branches:
            if branch.stage is not None:
                _check_edge("fan-out", Event, branch.name, branch.stage.inlet)

    def _check_branches(self) -> None:
        if not self._has_fan_out or not self._branches:
            raise WiringError(
                "the pipeline has no fan-out branch, so nothing would read it;"
                " call .fan_out(consumer(), accumulator())",
                stage="fan-out",
            )
        for branch in self._branches:
            if branch.stage is None and not branch.readable:
                need = "required but" if branch.required else "there but"
                raise WiringError(
                    f"branch {branch.name!r} is {need} nothing reads it;"
                    " give it a stage or readable=True",
                    stage=branch.name,
                )
        for kind in (StageKind.CONSUMER, StageKind.ACCUMULATOR):
            same = [branch.name for branch in self._branches if branch.kind is kind]
            if len(same) > 1:
                raise WiringError(
                    f"more than one {kind}: {', '.join(same)}; make the others plain branches",
                    stage=same[1],
                )


def _as_branch(branch: Branch | Stage[Any, Any]) -> Branch:
    if isinstance(branch, Branch):
        return branch
    if not isinstance(branch, Stage):
        raise WiringError(f"{branch!r} is neither a branch nor a stage", stage="fan-out")
    kind = StageKind.ACCUMULATOR if branch.outlet is Result else StageKind.BRANCH
    return Branch(name=branch.name, kind=kind, stage=branch)


def _check_edge(above: str, given: Any, below: str, taken: Any) -> None:
    missing = _members(given) - _members(taken)
    if Any in (given, taken) or taken is object:
        return
    unfit = {kind for kind in missing if not _takes(taken, kind)}
    if unfit:
        names = ", ".join(sorted(_name(kind) for kind in unfit))
        raise WiringError(
            f"stage {below!r} cannot follow {above!r}: {above!r} gives {names},"
            f" {below!r} takes {_name(taken)}",
            stage=below,
        )


def _members(kind: Any) -> set[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        return set(get_args(kind))
    return {kind}


def _takes(taken: Any, kind: Any) -> bool:
    return any(
        isinstance(kind, type) and isinstance(member, type) and issubclass(kind, member)
        for member in _members(taken)
    )


def _name(kind: Any) -> str:
    members = _members(kind)
    if len(members) > 3:
        return "events" if members == _members(Event) else f"one of {len(members)} types"
    return " | ".join(sorted(getattr(m, "__name__", str(m)) for m in members))
