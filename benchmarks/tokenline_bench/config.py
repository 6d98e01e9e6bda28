"""What to measure and how: plain, checked, and the same in code, in JSON and between processes."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import msgspec

from tokenline.errors import ConfigError

from .limits import MOST_PROCESSES, MOST_REQUESTS, MOST_S, MOST_SEED, check_number
from .load.spec import ClosedLoop, Load, OpenLoop, Search, TimedTrace
from .work.spec import FixedPrompt, PromptFile, Synthetic, Work

__all__ = (
    "Bench",
    "ClosedLoop",
    "Endpoint",
    "FixedPrompt",
    "Headers",
    "Load",
    "Objectives",
    "OpenLoop",
    "PromptFile",
    "Search",
    "Synthetic",
    "TimedTrace",
    "Work",
)

Headers: TypeAlias = dict[str, str]
REDACTED = "REDACTED"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint under measurement.

    Attributes:
        model: the model, as the provider knows it.
        provider: whose API: `openai`, `anthropic`, `vllm` ...
        label: its name in reports; by default provider and model.
        base_url: another address; by default the provider's.
        api: wire API, by default the provider's first.
        api_key: the key; by default from the provider's variable. Never in reports.
        headers: more HTTP headers of every request. Never in reports.
        body: more fields of every request's body (`temperature`, `ignore_eos` ...). Reports have
            them without secrets.
        client_options: further arguments of the client (`aws_region`, `api_version` ...). Never in
            reports.
    """

    model: str
    provider: str = "openai"
    label: str = ""
    base_url: str | None = None
    api: str | None = None
    api_key: str | None = None
    headers: Headers = {}
    body: dict[str, Any] = {}
    client_options: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("an endpoint needs a model; give model=...")

    @property
    def name(self) -> str:
        """Its name in reports."""
        return self.label or f"{self.provider}/{self.model}"

    def redacted(self) -> Endpoint:
        """Without secrets."""
        from tokenline_stages.scrubbing import redact_body, redact_url  # late: workers go without

        return msgspec.structs.replace(
            self,
            label=self.name,
            base_url=redact_url(self.base_url) if self.base_url else self.base_url,
            body=redact_body(self.body),
            api_key=REDACTED if self.api_key else None,
            headers=dict.fromkeys(self.headers, REDACTED),
            client_options=dict.fromkeys(self.client_options, REDACTED),
        )


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Service level objectives (SLO).

    Attributes:
        bounds: metric name to its bound; times in ns.
        share: which share of requests must meet all of them.
    """

    bounds: dict[str, float]
    share: float = 0.95

    def __post_init__(self) -> None:
        if not self.bounds:
            raise ConfigError("an SLO needs a bound; give one like ttft=500ms")
        for name, bound in self.bounds.items():
            if not math.isfinite(bound) or bound < 0:
                raise ConfigError(f"the SLO's bound of {name} is {bound}; give 0 or more")
        if not 0 < self.share <= 1:
            raise ConfigError(f"the SLO's share is {self.share}; give one above 0, up to 1")


class Bench(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole benchmark.

    Attributes:
        endpoints: what is measured; requests to several are interleaved.
        work: what is asked.
        load: how requests come; several levels are run one after the other.
        title: heading of reports.
        requests: most requests of a level, all endpoints together; None for no bound.
        duration_s: longest time in which requests are sent; None for no bound.
        grace_s: how long requests under way may take after `duration_s`.
        timeout_s: longest time of one request.
        warmup: requests before the first level, measured apart; None for one a connection.
        cancel_share: share of requests that are left on purpose.
        cancel_after_s: how long after the request was issued.
        slo: objectives, for goodput and knee.
        seed: decides prompts, arrivals, order of endpoints and cancellations.
        processes: processes that generate load; 0 runs it in this one.
        confidence: of the intervals.
        check: ask each endpoint once before anything else, and stop if it fails.
        calibrate: measure what the harness itself adds, against a local simulator.
    """

    endpoints: tuple[Endpoint, ...]
    work: Work = msgspec.field(default_factory=Synthetic)
    load: tuple[Load, ...] | Search = (ClosedLoop(concurrency=1),)
    title: str = ""
    requests: int | None = None
    duration_s: float | None = None
    grace_s: float = 30.0
    timeout_s: float = 600.0
    warmup: int | None = None
    cancel_share: float = 0.0
    cancel_after_s: float = 0.5
    slo: Objectives | None = None
    seed: int = 0
    processes: int = 0
    confidence: float = 0.95
    check: bool = True
    calibrate: bool = False

    def __post_init__(self) -> None:
        _check_endpoints(self.endpoints)
        check_number("requests", self.requests, MOST_REQUESTS, least=1)
        check_number("warmup", self.warmup, MOST_REQUESTS)
        check_number("processes", self.processes, MOST_PROCESSES)
        check_number("seed", self.seed, MOST_SEED, least=-MOST_SEED)
        for name in ("duration_s", "timeout_s"):
            check_number(name, getattr(self, name), MOST_S, above=0)
        for name in ("grace_s", "cancel_after_s"):
            check_number(name, getattr(self, name), MOST_S)
        if not 0 <= self.cancel_share <= 1:
            raise ConfigError(f"cancel_share is {self.cancel_share}; give 0 to 1")
        if not 0.5 <= self.confidence < 1:
            raise ConfigError(f"confidence is {self.confidence}; give 0.5 to 0.999")
        if not self.load:
            raise ConfigError("no load; give at least one level")
        self._check_end()
        self._check_places()

    def _check_end(self) -> None:
        timed = not isinstance(self.load, Search) and all(
            isinstance(level, TimedTrace) for level in self.load
        )
        if self.requests is None and self.duration_s is None and not timed:
            raise ConfigError("nothing ends the measurement; give requests or duration_s")

    def _check_places(self) -> None:
        """Each process needs a place of its own under `max_concurrency`."""
        loads = (self.load.template,) if isinstance(self.load, Search) else self.load
        for load in loads:
            most = None if isinstance(load, ClosedLoop) else load.max_concurrency
            if most is not None and self.processes > most:
                raise ConfigError(
                    f"{self.processes} processes for at most {most} requests at once; give no more"
                    " processes than that"
                )

    def redacted(self) -> Bench:
        """Without secrets, for reports."""
        endpoints = tuple(endpoint.redacted() for endpoint in self.endpoints)
        return msgspec.structs.replace(self, endpoints=endpoints)


def _check_endpoints(endpoints: tuple[Endpoint, ...]) -> None:
    if not endpoints:
        raise ConfigError("nothing to measure; give at least one endpoint")
    names = [endpoint.name for endpoint in endpoints]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"two endpoints are called {twice.pop()!r}; give them labels")
