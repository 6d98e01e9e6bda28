"""Every expression of the dashboards and alerts on a real Prometheus that scrapes a real load."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .alerts import ALERTS
from .pictures import draw
from .tools import (
    ROOT,
    WORK,
    CheckFailedError,
    environment,
    free_port,
    get_json,
    running,
    say,
    wait_for,
)

SCRAPE_S = 2
STEP_S = 5
RATE_WINDOW = "30s"
RULES = ROOT / "dashboards" / "prometheus" / "alerts.yaml"
BOARDS = ("streams", "stages")
_VARIABLES = {"$__rate_interval": RATE_WINDOW, "$provider": ".*", "$model": ".*", "$stage": ".*"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus answered to one query of a panel: series of (second, value)."""

    expr: str
    legend: str
    series: list[tuple[dict[str, str], list[tuple[float, float]]]]


class Prometheus:
    """Prometheus' HTTP API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expr: str) -> list[Any]:
        """The value now."""
        return self._ask("query", {"query": expr})

    def query_range(self, expr: str, start: float, end: float) -> list[Any]:
        """Values over time."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": str(STEP_S)}
        return self._ask("query_range", {"query": expr, **times})

    def is_ready(self) -> bool:
        """Whether it answers."""
        return self.query("vector(1)") != []

    def rules(self) -> list[Any]:
        """The state of the alert rules."""
        groups = get_json(f"{self.url}/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _ask(self, kind: str, parameters: Mapping[str, str]) -> list[Any]:
        answer = get_json(f"{self.url}/api/v1/{kind}?{urlencode(parameters)}")
        if answer["status"] != "success":
            raise CheckFailedError(f"{parameters['query']}: {answer}")
        found: list[Any] = answer["data"]["result"]
        return found


def check(seconds: float, pictures: Path | None) -> None:
    """Put a load on, scrape it, run every expression; raises `CheckFailedError`.

    Args:
        seconds: how long the load lasts.
        pictures: where to draw each dashboard from what Prometheus answered; None for nowhere.
    """
    python = environment("load", "--editable", str(ROOT), "opentelemetry-exporter-prometheus")
    metrics_port, port = free_port(), free_port()
    prometheus = Prometheus(port)
    config = _write_config(metrics_port)
    subprocess.run(["promtool", "check", "config", str(config)], check=True, capture_output=True)
    _test_rules()
    load = [str(python), "-m", "dashboards.load", "--seconds", str(seconds)]
    server = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={WORK / f'data-{port}'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        running([*load, "--metrics-port", str(metrics_port)], WORK / "load.log") as loading,
        running(server, WORK / "prometheus.log"),
    ):
        wait_for("Prometheus", prometheus.is_ready, 30)
        started = time.time()
        say(f"load for {seconds:g} s ...")
        time.sleep(max(seconds - 5, 1))
        if loading.poll() is not None:
            raise CheckFailedError(f"the load ended early, see {WORK / 'load.log'}")
        _check_alerts(prometheus)
        for board in BOARDS:
            answers = dict(_check_board(prometheus, board, started, time.time()))
            if pictures is not None:
                draw(_read(board), answers, pictures / f"{board}.png")


def _write_config(metrics_port: int) -> Path:
    WORK.mkdir(parents=True, exist_ok=True)
    config = WORK / "prometheus.yaml"
    config.write_text(
        f"global:\n  scrape_interval: {SCRAPE_S}s\n  evaluation_interval: 5s\n"
        f"rule_files: [{json.dumps(str(RULES))}]\n"
        "scrape_configs:\n  - job_name: tokenline\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{metrics_port}']\n"
    )
    return config


def _read(board: str) -> dict[str, Any]:
    text = (ROOT / "dashboards" / "grafana" / f"{board}.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def expressions(board: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Panel title, expression and legend of every PromQL query of a dashboard."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            if "expr" in target:
                yield panel["title"], target["expr"], target.get("legendFormat", "")


def substitute(expr: str) -> str:
    """An expression with the variables that Grafana would fill in."""
    for name, value in _VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def _check_board(
    prometheus: Prometheus, name: str, start: float, end: float
) -> Iterator[tuple[str, Answer]]:
    queries = list(expressions(_read(name)))
    for title, expr, legend in queries:
        result = prometheus.query_range(substitute(expr), start, end)
        if not result:
            raise CheckFailedError(f"{name}, {title!r}: no data for {substitute(expr)}")
        series = [
            (each["metric"], [(at, float(value)) for at, value in each["values"]])
            for each in result
        ]
        yield expr, Answer(expr, legend, series)
    say(f"{name}: {len(queries)} expressions, every one with data")


def _check_alerts(prometheus: Prometheus) -> None:
    for rule in prometheus.rules():
        if rule["health"] == "err":
            raise CheckFailedError(f"{rule['name']}: {rule['lastError']}")
    for alert in ALERTS:
        if not prometheus.query(lower_thresholds(alert.expr)):
            raise CheckFailedError(f"{alert.name}: no data for {alert.expr}")
    say(f"alerts: {len(ALERTS)} expressions, every one with data below its threshold")


def lower_thresholds(expr: str) -> str:
    """An alert's expression that is true whenever it has data."""
    return re.sub(r"> (\d+(\.\d+)?)( \* )?", lambda m: "> -1" + (" * " if m[3] else ""), expr)


def _test_rules() -> None:
    """`promtool test rules`: each alert fires on series that were made to fire it."""
    tests = ROOT / "dashboards" / "prometheus" / "alerts_test.yaml"
    done = subprocess.run(["promtool", "test", "rules", str(tests)], capture_output=True, text=True)
    if done.returncode:
        raise CheckFailedError(done.stdout + done.stderr)
    say("alerts: each fires on the series that should fire it (promtool test rules)")
