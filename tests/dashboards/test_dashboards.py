"""The dashboards: up to date, every expression valid, every name one that telemetry has."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.telemetry.conftest import MemoryFactory
from tests.pipeline.telemetry.conftest import memory as memory
from tests.pipeline.telemetry.factory import run_record

from tokenline.record import LoopLag

pytest.importorskip("grafana_foundation_sdk")
promql_parser = pytest.importorskip("promql_parser")

from dashboards.prometheus_check import expressions, lower_thresholds, substitute  # noqa: E402

from dashboards import alerts, build, stages, streams  # noqa: E402

FOLDER = Path(build.__file__).parent
BOARDS = {
    name: json.loads((FOLDER / "grafana" / f"{name}.json").read_text())
    for name in ("streams", "stages")
}
_SERIES = re.compile(r"\b(?:gen_ai|tokenline)_\w+(?=[\[{]|\b)")


def all_expressions() -> Iterator[tuple[str, str]]:
    for name, board in BOARDS.items():
        for title, expr, _ in expressions(board):
            yield f"{name}, {title}", substitute(expr)
    for alert in alerts.ALERTS:
        yield alert.name, alert.expr


EXPRESSIONS = list(all_expressions())


def test_files_are_what_the_code_makes() -> None:
    assert build.main(["--check"]) == 0


@pytest.mark.parametrize(("title", "expr"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_expressions_are_promql(title: str, expr: str) -> None:
    promql_parser.parse(expr)
    promql_parser.parse(lower_thresholds(expr))


def test_every_series_and_label_is_one_of_ours(memory: MemoryFactory) -> None:
    made = memory()
    record = run_record(loop_lag=LoopLag())
    made.telemetry.start(record.info).end(record)
    known = {"error_type"}
    for metric in made.metrics().values():
        name = metric.name.replace(".", "_") + ("_seconds" if metric.unit == "s" else "")
        suffixes = ("_bucket", "_count", "_sum") if hasattr(metric.data, "data_points") else ()
        known |= {name, f"{name}_total", *(name + suffix for suffix in suffixes)}
        for point in metric.data.data_points:
            known |= {label.replace(".", "_") for label in point.attributes}
    for title, expr in EXPRESSIONS:
        used = set(_SERIES.findall(expr))
        assert used, title
        assert used <= known, f"{title} asks for {used - known}"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_have_a_title_a_place_and_a_data_source(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] not in ("row",):
            assert panel["datasource"]["uid"] in ("${metrics}", "${traces}")
            assert panel["targets"]
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert variables >= {"metrics", "traces"}
    used = set(re.findall(r"\$(\w+)", json.dumps(board["panels"])))
    assert used - {"__rate_interval"} <= variables


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_traces_and_exemplars_are_asked_for(board: dict[str, Any]) -> None:
    targets = [target for panel in board["panels"] for target in panel.get("targets", ())]
    assert any(target.get("exemplar") for target in targets)
    queries = [target["query"] for target in targets if target.get("queryType") == "traceql"]
    assert queries
    assert all(query.startswith("{span.tokenline.") for query in queries)


def test_what_the_issue_of_a_slow_stream_needs_is_there() -> None:
    titles = {panel["title"] for board in BOARDS.values() for panel in board["panels"]}
    assert titles >= {
        "Time to first token by model",
        "Where the time to first token goes",
        "Processing per request, distribution",
        "Queue wait, p95",
        "Blocked per request, p95",
        "Gaps between chunks",
        "Stalled streams",
        "Output tokens per second of a stream",
        "Requests by outcome",
        "Errors by type",
        "Active streams",
        "Drops",
        "Slow first tokens",
    }
    assert streams.UID != stages.UID


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_alerts_fire_when_they_should() -> None:
    tests = FOLDER / "prometheus" / "alerts_test.yaml"
    done = subprocess.run(["promtool", "test", "rules", str(tests)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
