"""`connect("openai")`: the common case in one call, from a provider's name to running requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tokenline.builder import PipelineBuilder
from tokenline.errors import ConfigError
from tokenline.estimate import UsageEstimator
from tokenline.limiter import Limiter
from tokenline.options import Capacity, RunOptions
from tokenline.pipeline import Pipeline, Route
from tokenline.policy import RetryPolicy
from tokenline.run import Run
from tokenline.telemetry.hook import Telemetry

from .accumulator import accumulator
from .consumer import consumer
from .http.address import check_address
from .http.sdk import refuse_sync_client
from .providers.registry import Access, Api, Provider, provider
from .token_count import TokenCounter, as_estimator
from .trace_emitter import TraceEmitter

if TYPE_CHECKING:
    from .traces import Target, TraceStore


def build_pipeline(
    name: str,
    api: Api,
    access: Access,
    *,
    telemetry: Telemetry | None = None,
    options: RunOptions | None = None,
    consumer_capacity: Capacity | None = None,
    usage_estimator: UsageEstimator | None = None,
    limiter: Limiter | None = None,
    fallbacks: Sequence[Route] = (),
) -> Pipeline:
    """The standard pipeline of one wire API: every stage in its place."""
    source = api.source(access)
    builder = (
        PipelineBuilder(name)
        .source(source)
        .parse(api.parser())
        .normalize(api.normalizer())
        .fan_out(consumer(consumer_capacity), accumulator(source.provider))
        .options(options or RunOptions())
        .estimate_usage(usage_estimator)
        .fall_back(*fallbacks)
    )
    if limiter is not None:
        builder.limit(limiter)
    if api.continue_from is not None:
        builder.continue_with(api.continue_from)
    if telemetry is None:
        from tokenline.telemetry import default_telemetry

        telemetry = default_telemetry()
    return builder.trace(telemetry).build()


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where to turn when a provider fails before it delivered anything.

    Attributes:
        connection: the other provider, or the same one elsewhere.
        payload: makes its payload of the request's: another model name, another form.
    """

    connection: Connection
    payload: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def route(self, payload: Mapping[str, Any]) -> Route:
        """The way such a request takes there."""
        wanted = payload if self.payload is None else self.payload(payload)
        own = self.connection.pipeline(wanted or None).routes[0]
        return replace(own, payload=self.payload)


class Connection:
    """A provider, ready for requests; each is sent to the API that its payload is for.

    Share one between tasks: it holds the pool of connections. Closing it is good manners, not a
    duty: its client is closed with the event loop.
    """

    def __init__(
        self,
        provider: Provider,
        access: Access,
        api: str | None,
        telemetry: Telemetry | None,
        options: RunOptions | None,
        traces: TraceStore | None = None,
        usage_estimator: UsageEstimator | None = None,
        *,
        close_traces: bool = False,
        limiter: Limiter | None = None,
        fallbacks: Sequence[Fallback] = (),
    ) -> None:
        self._limiter = limiter
        self._fallbacks = tuple(fallbacks)
        self.provider = provider
        self.traces = traces
        """Where records of runs go, if anywhere."""
        self._close_traces = close_traces
        self._usage_estimator = usage_estimator
        self._access = access
        self._api = provider.api_named(api) if api is not None else None
        self._telemetry = telemetry
        self._options = options
        self._pipelines: dict[str, Pipeline] = {}

    def run(self, payload: Mapping[str, Any], **options: Any) -> Run:
        """A run of one request; arguments as `Pipeline.run`.

        Raises:
            ConfigError: the provider has no API for this payload.
        """
        return self.pipeline(payload).run(payload, **options)

    def pipeline(self, payload: Mapping[str, Any] | None = None) -> Pipeline:
        """The pipeline that such a payload runs through (without one: the provider's first).

        Raises:
            ConfigError: the provider has no API for this payload, or no address.
        """
        first = self.provider.apis[0]
        api = self._api or (first if payload is None else self.provider.api_for(payload))
        known = self._pipelines.get(api.name)
        if known is None:
            known = build_pipeline(
                self.provider.name,
                api,
                self._access,
                telemetry=self._trace_emitter(),
                options=self._options,
                usage_estimator=self._usage_estimator,
                limiter=self._limiter,
                fallbacks=[fallback.route(payload or {}) for fallback in self._fallbacks],
            )
            self._pipelines[api.name] = known
        return known

    def _trace_emitter(self) -> Telemetry | None:
        if self.traces is None:
            return self._telemetry
        from tokenline.telemetry import default_telemetry

        telemetry = self._telemetry if self._telemetry is not None else default_telemetry()
        return TraceEmitter(telemetry, self.traces)

    async def aclose(self) -> None:
        """Close the connections that were made on the running loop.

        A trace store that `connect` made is closed too, once its records are written.
        """
        for pipeline in self._pipelines.values():
            await pipeline.aclose()
        if self.traces is not None and self._close_traces:
            await self.traces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def connect(
    name: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    client: Any | None = None,
    max_retries: int = 2,
    client_options: Mapping[str, Any] | None = None,
    direct: bool | None = None,
    api: str | None = None,
    telemetry: Telemetry | None = None,
    options: RunOptions | None = None,
    fallbacks: Sequence[Fallback] = (),
    limiter: Limiter | None = None,
    traces: TraceStore | Target | None = None,
    token_counter: TokenCounter | UsageEstimator | None = None,
) -> Connection:
    """A connection to a provider. Nothing is sent before the first run.

    Args:
        name: `openai`, `anthropic` ... (`known_providers()` lists them).
        api_key: the key; by default from the provider's environment variable.
        base_url: another address, for compatible servers and proxies.
        client: your own asynchronous SDK client; it is used as it is and never closed.
        max_retries: how often a failed attempt is made again, as long as nothing was delivered:
            `RetryPolicy(attempts=max_retries + 1)`. Of no effect beside `options`, which have a
            `retry` of their own. The SDK itself does not retry, but a client of yours does.
        client_options: further arguments of the SDK's client: `aws_region`, `project_id`,
            `api_version`, `default_headers` ...
        direct: True sends requests without the SDK: less CPU and no import of it. False sends
            them with it. By default they go without, unless that needs the SDK: for Azure,
            Vertex AI, Bedrock and Anthropic's profiles, through a proxy of the environment, and
            where there are `client` or `client_options`. The SDK is imported beside the event
            loop by the first run, before the provider's time begins.
        api: use this wire API for every payload, instead of going by the payload's shape.
        telemetry: where runs report; by default your OpenTelemetry providers if you set any,
            else the standard `OTEL_EXPORTER_OTLP_*` variables, else nowhere.
        options: limits, time limits, retries, hedging and modes.
        fallbacks: where to turn, in order, when the attempts here are used up.
        limiter: bounds shared with other connections.
        traces: keeps a record of every run: a `tokenline_stages.traces.TraceStore`, or where to
            put records: a file (`traces.db`, `traces.jsonl`), a database URL, a function.
        token_counter: counts tokens where the server reports none; the counts are marked as
            estimates. `tokenline_stages.token_count` has two.

    Raises:
        UnknownProviderError: no such provider; the message lists the known ones.
        ConfigError: the provider has no API of that name, the address is none, the client is
            synchronous, the number of retries is negative, or no traces can be kept there.
    """
    _check(name, base_url, client, max_retries)
    access = Access(api_key, base_url, client, 0, dict(client_options or {}), direct)
    if options is None:
        options = RunOptions(retry=RetryPolicy(attempts=max_retries + 1))
    found, estimator = provider(name), as_estimator(token_counter)
    store = _trace_store(traces, estimator)
    return Connection(
        found,
        access,
        api,
        telemetry,
        options,
        store,
        estimator,
        close_traces=store is not traces,
        limiter=limiter,
        fallbacks=fallbacks,
    )


def _check(name: str, base_url: object, client: object, max_retries: object) -> None:
    if base_url is not None and base_url != "":
        check_address(base_url, "base_url")
    if client is not None:
        refuse_sync_client(client, name)
    if type(max_retries) is not int or max_retries < 0:
        raise ConfigError(f"max_retries is a number, 0 or more, not {max_retries!r}")


def _trace_store(
    traces: TraceStore | Target | None, estimator: UsageEstimator | None
) -> TraceStore | None:
    if traces is None:
        return None
    from . import traces as package  # its models take time to import, and few need them

    if isinstance(traces, package.TraceStore):
        return traces
    return package.traces(traces, usage_estimator=estimator)
