"""The immutable pipeline: what was wired, ready to run any number of requests at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .clock import SYSTEM_CLOCK, Clock
from .errors import UsageError
from .estimate import UsageEstimator
from .events import CONTENT_EVENTS
from .limiter import Limiter
from .options import Capacity, RunOptions
from .record import StageKind
from .result import Result
from .source import Request, Source
from .stage import Stage
from .telemetry.hook import NoTelemetry, Telemetry

if TYPE_CHECKING:
    from .builder import PipelineBuilder
    from .run import Run


@dataclass(frozen=True, slots=True)
class ChainStage:
    """A stage between source and fan-out, with the bounds of its inbox."""

    stage: Stage[Any, Any]
    kind: StageKind
    capacity: Capacity = field(default_factory=Capacity)


@dataclass(frozen=True, slots=True)
class Route:
    """A way to an answer: a source and the chain that reads it.

    Attributes:
        name: for telemetry and errors.
        source: opens the provider's stream.
        chain: stages from the source to the fan-out.
        payload: makes this route's payload of the run's; None sends it as it is.
        continue_from: makes the payload that lets the provider go on with a response that broke
            off; None, or a function that gives None, where it cannot.
    """

    name: str
    source: Source
    chain: tuple[ChainStage, ...]
    payload: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    continue_from: Callable[[Mapping[str, Any], Result], Mapping[str, Any] | None] | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """One output of the fan-out.

    Attributes:
        name: unique within the pipeline.
        kind: consumer, accumulator or branch.
        stage: what takes the events; None where the caller reads the events themselves.
        readable: the caller reads it (`async for event in run`, or `run.branch(name)`): the
            events or, with a stage, what the stage gives.
        required: its failure ends the run; otherwise it is cut off and the run goes on.
        capacity: bounds of its inbox and what happens when it is full. With a stage that the
            caller reads they also bound what waits between the two; what does not fit is
            dealt with there.
        content: types of the items whose first delivery counts as the first content.
    """

    name: str
    kind: StageKind = StageKind.BRANCH
    stage: Stage[Any, Any] | None = None
    readable: bool = False
    required: bool = True
    capacity: Capacity = field(default_factory=Capacity)
    content: frozenset[type] = CONTENT_EVENTS

    @property
    def label(self) -> str:
        """Name for a graph."""
        if self.readable and self.stage is not None:
            return f"{self.stage.name} --> {self.name}"
        return self.name


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A checked pipeline. Build one with `PipelineBuilder`; share it between tasks.

    Attributes:
        name: for the graph.
        source: opens the provider's stream.
        chain: parser, normalizer and what a user put between them and the fan-out.
        fan_out: bounds of the fan-out's inbox.
        branches: consumer, accumulator and further branches.
        telemetry: the trace emitter.
        options: how it runs.
        clock: where stamps come from.
        usage_estimator: counts the tokens of runs whose server reports none.
        fallbacks: routes to take, in order, when this one's attempts are used up.
        continue_from: see `Route.continue_from`.
        limiter: bounds shared with other runs.
        routes: the pipeline's own route, then its fallbacks.
    """

    name: str
    source: Source
    chain: tuple[ChainStage, ...]
    fan_out: Capacity
    branches: tuple[Branch, ...]
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    options: RunOptions = field(default_factory=RunOptions)
    clock: Clock = SYSTEM_CLOCK
    usage_estimator: UsageEstimator | None = None
    fallbacks: tuple[Route, ...] = ()
    continue_from: Callable[[Mapping[str, Any], Result], Mapping[str, Any] | None] | None = None
    limiter: Limiter | None = None
    routes: tuple[Route, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = Route(self.name, self.source, self.chain, continue_from=self.continue_from)
        object.__setattr__(self, "routes", (own, *self.fallbacks))

    def run(
        self,
        payload: Mapping[str, Any],
        *,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        options: RunOptions | None = None,
    ) -> Run:
        """A run of one request; enter it with `async with`.

        Args:
            payload: the provider's own request body (a dict). What streaming needs is added.
            message_id: our id of the response; made if not given, known before the first byte.
            headers: extra HTTP headers of this request.
            tags: the caller's own labels (step, run, user ids ...), kept with the trace.
            options: run with these instead of the pipeline's own.

        Raises:
            UsageError: the payload is no mapping.
        """
        from .run import Run  # a run needs the pipeline; imported late to break the circle

        if not isinstance(payload, Mapping):
            raise UsageError(f"a request payload is a dict, not {type(payload).__name__}")
        plan = self if options is None else replace(self, options=options)
        connect_s = plan.options.timeouts.connect_s
        request = Request(payload, dict(headers or {}), connect_s)
        return Run(plan, request, message_id, dict(tags or {}))

    def edit(self) -> PipelineBuilder:
        """A builder that starts from this pipeline, to insert, replace or remove stages."""
        from .builder import PipelineBuilder

        return PipelineBuilder.from_pipeline(self)

    def describe(self) -> str:
        """The graph with its effective limits, as text."""
        from .graph import as_text

        return as_text(self)

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart."""
        from .graph import as_mermaid

        return as_mermaid(self)

    async def aclose(self) -> None:
        """Close the clients that the sources made for themselves."""
        for route in self.routes:
            await route.source.aclose()

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
