"""The dashboard of requests: time to first token, gaps, speed, errors, load, traces."""

from itertools import pairwise

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from . import series as s
from .panels import Panel, Query, choices, figure, graph, heat, row, trace_table

UID = "tokenline-streams"
STALL_S = "2.56"
"""From this gap on a stream stalled; a bucket bound of the gap histograms."""
_MODEL = "{{gen_ai_provider_name}} {{gen_ai_request_model}}"
_STEPS = (
    ("headers", s.HEADERS),
    ("first chunk", s.FIRST_CHUNK),
    ("first token", s.FIRST_TOKEN),
    ("delivery to the consumer", s.FIRST_DELIVERY),
)


def build() -> models.Dashboard:
    """The dashboard."""
    made = (
        dashboard.Dashboard("tokenline: streams")
        .uid(UID)
        .description("LLM streams as their client saw them. Made by dashboards/build.py.")
        .tags(["tokenline", "llm"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(choices(f"{s.DURATION}_count"))
    )
    for panel in _figures():
        made = made.with_panel(panel)
    for title, panels in (
        ("Time to first token", _first_tokens()),
        ("Flow", _flow()),
        ("Outcomes and load", _outcomes()),
        ("Traces", [_traces()]),
    ):
        made = made.with_row(row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return made.build()


def _share(outcomes: str) -> str:
    some = s.total(s.COMPLETED, f'{s.FILTER}, {s.OUTCOME}=~"{outcomes}"')
    return f"({some} or vector(0)) / {s.total(s.COMPLETED, s.FILTER)}"


def _figures() -> list[Panel]:
    first_token = [s.quantile(q, s.FIRST_TOKEN, s.FILTER) for q in (0.5, 0.95)]
    return [
        figure("Time to first token, p50", Query(first_token[0], "p50"), unit="s"),
        figure("Time to first token, p95", Query(first_token[1], "p95"), unit="s"),
        figure("Requests", Query(s.total(s.COMPLETED, s.FILTER), "ended"), unit="reqps"),
        figure("Failed", Query(_share("error|timeout|abandoned"), "failed"), unit="percentunit"),
        figure("Cancelled", Query(_share("cancelled"), "cancelled"), unit="percentunit"),
        figure("Active streams", Query(f"sum({s.ACTIVE}{{{s.FILTER}}})", "active"), unit="short"),
    ]


def _first_tokens() -> list[Panel]:
    quantiles = [
        Query(s.quantile(q, s.FIRST_TOKEN, s.FILTER, s.BY_MODEL), f"p{q * 100:g} {_MODEL}", True)
        for q in (0.5, 0.95, 0.99)
    ]
    answers = [
        Query(s.quantile(0.95, name, s.FILTER), f"p95 {what}")
        for what, name in (("first token", s.FIRST_TOKEN), ("first answer", s.FIRST_ANSWER))
    ]
    return [
        graph(
            "Time to first token by model",
            "From issuing the request to the first text, reasoning or tool call. Points are"
            " exemplars: they open the trace of one such request.",
            quantiles,
        ),
        graph(
            "Where the time to first token goes",
            "Means, one on the other: until the response's headers, the first provider event,"
            " the first token, and until the consumer's code has it.",
            _breakdown(),
            stacked=True,
        ),
        heat(
            "Time to first token, distribution",
            "Requests by their time to first token.",
            s.total(s.FIRST_TOKEN + "_bucket", s.FILTER, "le"),
        ),
        graph(
            "First token and first answer token",
            "The difference is reasoning that was streamed before the answer.",
            answers,
        ),
    ]


def _breakdown() -> list[Query]:
    means = [(what, s.mean(name, s.FILTER)) for what, name in _STEPS]
    queries = [Query(means[0][1], means[0][0])]
    for (_, before), (what, after) in pairwise(means):
        queries.append(Query(f"clamp_min({after} - {before}, 0)", what))
    return queries


def _flow() -> list[Panel]:
    output = f'{s.FILTER}, {s.TOKEN_TYPE}="output"'
    tokens = s.total(s.TOKENS + "_sum", output, s.BY_MODEL)
    duration = s.total(s.DURATION + "_sum", s.FILTER, s.BY_MODEL)
    typical = s.quantile(0.5, s.GAP_P50, s.FILTER, s.BY_MODEL)
    longest = [s.quantile(q, s.GAP_MAX, s.FILTER, s.BY_MODEL) for q in (0.5, 0.95)]
    stalled = s.share_above(STALL_S, s.GAP_MAX, s.FILTER, s.BY_MODEL)
    return [
        graph(
            "Gaps between chunks",
            "Of each stream its median gap and its longest; medians and p95 over streams.",
            [
                Query(typical, f"typical {_MODEL}"),
                Query(longest[0], f"longest, p50 {_MODEL}"),
                Query(longest[1], f"longest, p95 {_MODEL}", True),
            ],
        ),
        graph(
            "Stalled streams",
            f"Share of streams with a gap of more than {STALL_S} s.",
            [Query(stalled, _MODEL)],
            unit="percentunit",
        ),
        graph(
            "Output tokens per second of a stream",
            "Tokens that providers reported, over the duration of the requests.",
            [Query(f"{tokens} / {duration}", _MODEL)],
            unit="short",
        ),
        graph(
            "Tokens per second in all",
            "Input and output, of all streams.",
            [Query(s.total(s.TOKENS + "_sum", s.FILTER, s.TOKEN_TYPE), f"{{{{{s.TOKEN_TYPE}}}}}")],
            unit="short",
        ),
    ]


def _outcomes() -> list[Panel]:
    failed = f'{s.FILTER}, {s.ERROR_TYPE}!=""'
    errors = s.total(s.DURATION + "_count", failed, s.ERROR_TYPE)
    return [
        graph(
            "Requests by outcome",
            "Ended each second: ok, error, timeout, cancelled (the consumer left), abandoned"
            " (dropped without being closed).",
            [Query(s.total(s.COMPLETED, s.FILTER, s.OUTCOME), f"{{{{{s.OUTCOME}}}}}")],
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Errors by type",
            "Ended with this error each second.",
            [Query(errors, f"{{{{{s.ERROR_TYPE}}}}}")],
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Active streams",
            "Running now.",
            [Query(f"sum by ({s.BY_MODEL}) ({s.ACTIVE}{{{s.FILTER}}})", _MODEL)],
            unit="short",
            stacked=True,
        ),
        graph(
            "Drops",
            "Items lost to a stage's overflow policy, and runs whose stage spans or metrics"
            " found no room in the telemetry queue.",
            [
                Query(s.total(s.STAGE_DROPPED, by=s.STAGE), f"items, {{{{{s.STAGE}}}}}"),
                Query(s.total(s.TELEMETRY_DROPPED, by=s.SIGNAL), f"runs, {{{{{s.SIGNAL}}}}}"),
            ],
            unit="short",
        ),
    ]


def _traces() -> Panel:
    chosen = "span.tokenline.time_to_first_token > 1"
    fields = (
        "span.gen_ai.request.model",
        "span.tokenline.time_to_first_token",
        "span.tokenline.chunk_gap.max",
        "span.tokenline.loop.blocked_before_first_token",
        "span.tokenline.outcome",
    )
    return trace_table(
        "Slow first tokens",
        "Requests whose first token took more than a second; a row opens its trace.",
        f"{{{chosen}}} | select({', '.join(fields)})",
    )
