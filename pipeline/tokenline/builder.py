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

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from .clock import SYSTEM_CLOCK, Clock
from .errors import WiringError
from .estimate import UsageEstimator
from .limiter import Limiter
from .options import Capacity, RunOptions
from .pipeline import Branch, ChainStage, Pipeline, Route
from .record import StageKind
from .result import Result
from .source import Source
from .stage import Stage
from .telemetry.hook import NoTelemetry, Telemetry
from .wiring import (
    check_wiring,
    need_branch,
    need_capacity,
    need_kind,
    need_method,
    need_source,
    need_stage,
    put_branch,
)

ContinueFrom = Callable[[Mapping[str, Any], Result], Mapping[str, Any] | None]
"""See `Route.continue_from`."""


FAN_OUT = "fan-out"
"""Name of the fan-out, of every pipeline."""


class PipelineBuilder:
    """Collects stages in flow order; `build` checks them and gives an immutable `Pipeline`.

    Every method raises `WiringError` at once when it is given something of another kind.
    """

    def __init__(self, name: str = "pipeline") -> None:
        self._name = name
        self._source: Source | None = None
        self._chain: list[ChainStage] = []
        self._branches: list[Branch] = []
        self._fan_out = Capacity()
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
        self._source = need_source(source)
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
        self._branches.extend(need_branch(branch) for branch in branches)
        if capacity is not None:
            self._fan_out = need_capacity(capacity, FAN_OUT)
        return self

    def branch(self, branch: Branch | Stage[Any, Any]) -> Self:
        """Add one more fan-out branch."""
        self._branches.append(need_branch(branch))
        return self

    def trace(self, telemetry: Telemetry) -> Self:
        """Set the trace emitter: it gets one record of every run."""
        self._telemetry = need_method(telemetry, "start", "telemetry")
        return self

    def options(self, options: RunOptions) -> Self:
        """Set how the pipeline runs."""
        self._options = need_kind(options, RunOptions, "options")
        return self

    def fall_back(self, *routes: Route | Pipeline) -> Self:
        """Add routes to take, in order, when the attempts before are used up.

        Of a `Pipeline` its source and chain are taken.
        """
        for route in routes:
            own = route.routes[0] if isinstance(route, Pipeline) else route
            self._fallbacks.append(need_kind(own, Route, "fallback"))
        return self

    def continue_with(self, continue_from: ContinueFrom) -> Self:
        """Say how the provider goes on with a response that broke off (`AfterCommit.CONTINUE`)."""
        self._continue_from = need_method(continue_from, "__call__", "function")
        return self

    def limit(self, limiter: Limiter) -> Self:
        """Keep the pipeline's runs within bounds shared with others."""
        self._limiter = need_kind(limiter, Limiter, "limiter")
        return self

    def estimate_usage(self, estimator: UsageEstimator | None) -> Self:
        """Count tokens here where the server reports none; the counts are marked as estimates."""
        if estimator is not None:
            need_method(estimator, "estimate", "usage estimator")
        self._usage_estimator = estimator
        return self

    def clock(self, clock: Clock) -> Self:
        """Set the clock (tests)."""
        self._clock = need_method(clock, "now_ns", "clock")
        return self

    # --- changing what is there ------------------------------------------------------------

    def insert_before(
        self, name: str, stage: Stage[Any, Any], capacity: Capacity | None = None
    ) -> Self:
        """Put a stage of your own before the stage (or the fan-out) `name`.

        Raises:
            WiringError: there is no such stage, or no room before it.
        """
        index = len(self._chain) if name == FAN_OUT else self._place_of(name)
        self._chain.insert(index, _place(stage, StageKind.STEP, capacity))
        return self

    def insert_after(
        self, name: str, stage: Stage[Any, Any], capacity: Capacity | None = None
    ) -> Self:
        """Put a stage of your own after the stage (or the source) `name`.

        Raises:
            WiringError: there is no such stage, or it is the fan-out or a branch.
        """
        index = 0 if self._is_source(name) else self._place_of(name) + 1
        self._chain.insert(index, _place(stage, StageKind.STEP, capacity))
        return self

    def replace(self, name: str, stage: Stage[Any, Any] | Branch | Source) -> Self:
        """Put `stage` in the place of the stage, branch or source `name`.

        A stage in the place of a branch keeps that branch's capacity and what it is for; give a
        `Branch` to replace those too.

        Raises:
            WiringError: there is no such stage.
        """
        branch = self._branch_of(name)
        if branch is not None:
            self._branches[branch] = put_branch(self._branches[branch], stage)
        elif self._is_source(name):
            self._source = need_source(stage)
        else:
            index = self._place_of(name)
            old = self._chain[index]
            self._chain[index] = ChainStage(need_stage(stage), old.kind, old.capacity)
        return self

    def remove(self, name: str) -> Self:
        """Take the stage or branch `name` out; raises like `replace`."""
        branch = self._branch_of(name)
        if branch is not None:
            del self._branches[branch]
        else:
            del self._chain[self._place_of(name)]
        return self

    def capacity(self, name: str, capacity: Capacity) -> Self:
        """Set the inbox bounds of the stage, fan-out or branch `name`; raises like `replace`."""
        need_capacity(capacity, name)
        branch = self._branch_of(name)
        if name == FAN_OUT:
            self._fan_out = capacity
        elif branch is not None:
            self._branches[branch] = replace(self._branches[branch], capacity=capacity)
        else:
            index = self._place_of(name)
            self._chain[index] = replace(self._chain[index], capacity=capacity)
        return self

    # --- the end ---------------------------------------------------------------------------

    def build(self) -> Pipeline:
        """Check the wiring.

        Raises:
            WiringError: something does not fit; `stage` names where.
        """
        if self._source is None:
            raise WiringError("the pipeline has no source; call .source(...) first", stage="source")
        return check_wiring(
            Pipeline(
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
        )

    # --- inside ----------------------------------------------------------------------------

    def _append(self, stage: Any, kind: StageKind, capacity: Capacity | None) -> Self:
        self._chain.append(_place(stage, kind, capacity))
        return self

    def _is_source(self, name: str) -> bool:
        return self._source is not None and self._source.name == name

    def _branch_of(self, name: str) -> int | None:
        found = (index for index, branch in enumerate(self._branches) if branch.name == name)
        return next(found, None)

    def _place_of(self, name: str) -> int:
        for index, place in enumerate(self._chain):
            if place.stage.name == name:
                return index
        if self._is_source(name):
            raise WiringError("the source comes first and stays; use .source(...)", stage=name)
        if name == FAN_OUT or self._branch_of(name) is not None:
            raise WiringError(
                f"{name!r} is no stage of the chain; what comes after the fan-out is a branch of"
                " its own: use .branch(...), .replace(...) or .insert_before('fan-out', ...)",
                stage=name,
            )
        names = [place.stage.name for place in self._chain]
        names += [branch.name for branch in self._branches]
        raise WiringError(
            f"no stage {name!r} in this pipeline; stages: {', '.join(names) or 'none'}", stage=name
        )


def _place(stage: Any, kind: StageKind, capacity: Capacity | None) -> ChainStage:
    found = need_stage(stage)
    bounds = Capacity() if capacity is None else need_capacity(capacity, found.name)
    return ChainStage(found, kind, bounds)
