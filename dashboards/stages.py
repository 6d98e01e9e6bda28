"""The dashboard of the pipeline: what each stage costs, where batches wait, the event loop."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from . import series as s
from .panels import Panel, Query, data_sources, graph, heat, label_values, row, trace_table

UID = "tokenline-stages"
_STAGE = f"{{{{{s.STAGE}}}}}"
_CHOSEN = f'{s.STAGE}=~"$stage"'
_OURS = f'{_CHOSEN}, {s.STAGE}!="consumer"'


def build() -> models.Dashboard:
    """The dashboard."""
    made = (
        dashboard.Dashboard("tokenline: stages")
        .uid(UID)
        .description("The pipeline's own share of every request. Made by dashboards/build.py.")
        .tags(["tokenline", "llm"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(
            [
                *data_sources(),
                label_values(
                    "stage", "Stage", f"label_values({s.STAGE_PROCESSING}_count, {s.STAGE})"
                ),
            ]
        )
    )
    for title, panels in (
        ("Work", _work()),
        ("Waiting", _waiting()),
        ("Throughput", _throughput()),
        ("Traces", [_traces()]),
    ):
        made = made.with_row(row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return made.build()


def _work() -> list[Panel]:
    return [
        heat(
            "Processing per request, distribution",
            "Requests by the time that the chosen stages spent in their own code.",
            s.total(s.STAGE_PROCESSING + "_bucket", _CHOSEN, "le"),
        ),
        graph(
            "Processing per request, p95",
            "Time in a stage's own code, summed over one request. The consumer's is your loop.",
            [Query(s.quantile(0.95, s.STAGE_PROCESSING, _CHOSEN, s.STAGE), _STAGE, True)],
        ),
        graph(
            "Processing, share of a core",
            "Seconds of work each second, the consumer's own code apart.",
            [Query(s.total(s.STAGE_PROCESSING + "_sum", _OURS, s.STAGE), _STAGE)],
            unit="percentunit",
            stacked=True,
        ),
        graph(
            "Event loop blocked",
            "Turns of the loop of 5 ms and more, summed over each request: what arrived meanwhile"
            " was seen late, through no fault of the provider.",
            [
                Query(s.quantile(0.95, s.LOOP_BLOCKED), "p95 of a request", True),
                Query(s.mean(s.LOOP_BLOCKED), "mean of a request"),
            ],
        ),
    ]


def _waiting() -> list[Panel]:
    return [
        graph(
            "Queue wait, p95",
            "How long a batch lay in a stage's inbox, on average over one request that used it.",
            [Query(s.quantile(0.95, s.STAGE_QUEUE_WAIT, _CHOSEN, s.STAGE), _STAGE, True)],
        ),
        graph(
            "Blocked per request, p95",
            "Time that a stage waited for room below it, of requests that made it wait:"
            " back-pressure from a slow consumer.",
            [Query(s.quantile(0.95, s.STAGE_BLOCKED, _CHOSEN, s.STAGE), _STAGE, True)],
        ),
        graph(
            "Queue high-water mark",
            "Most items that waited in an inbox, of the requests that ended between two scrapes.",
            [Query(f"max by ({s.STAGE}) ({s.QUEUE_DEPTH}{{{_CHOSEN}}})", _STAGE)],
            unit="short",
        ),
        graph(
            "Streams held back",
            "Seconds of back-pressure each second: how many streams waited for a slow reader.",
            [Query(s.total(s.STAGE_BLOCKED + "_sum", _CHOSEN, s.STAGE), _STAGE)],
            unit="short",
            stacked=True,
        ),
    ]


def _throughput() -> list[Panel]:
    return [
        graph(
            "Items",
            "Taken each second (source: reads given).",
            [Query(s.total(s.STAGE_ITEMS, _CHOSEN, s.STAGE), _STAGE)],
            unit="short",
        ),
        graph(
            "Dropped items and errors",
            "Lost to an overflow policy, and exceptions raised.",
            [
                Query(s.total(s.STAGE_DROPPED, _CHOSEN, s.STAGE), f"dropped, {_STAGE}"),
                Query(s.total(s.STAGE_ERRORS, _CHOSEN, s.STAGE), f"errors, {_STAGE}"),
            ],
            unit="short",
        ),
    ]


def _traces() -> Panel:
    chosen = "span.tokenline.stage.time.processing > 0.1"
    fields = (
        "span.tokenline.stage.name",
        "span.tokenline.stage.time.processing",
        "span.tokenline.stage.time.queue_wait",
        "span.tokenline.stage.time.blocked",
    )
    return trace_table(
        "Slow stages",
        "Requests in which a stage worked for more than 0.1 s; a row opens its trace.",
        f"{{{chosen}}} | select({', '.join(fields)})",
    )
