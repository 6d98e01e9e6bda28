"""A round trip through Arize Phoenix: spans over OTLP http and gRPC, read back by its API."""

import os
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .tools import (
    ROOT,
    WORK,
    CheckFailedError,
    environment,
    free_port,
    get_json,
    photograph,
    running,
    say,
    wait_for,
)

PHOENIX = "arize-phoenix==20.26.1"
_STAGES = ("source", "parser", "normalizer", "fan-out", "accumulator", "consumer")
_OF_REQUESTS = (
    "tokenline.time_to_headers",
    "tokenline.time_to_first_token",
    "tokenline.time_to_first_answer",
    "tokenline.time_to_first_delivery",
    "tokenline.chunk_gap.max",
    "tokenline.loop.blocked",
    "llm.model_name",
    "llm.token_count.completion",
)
"""`llm.*` is what Phoenix makes of `gen_ai.*`."""


class Phoenix:
    """Phoenix' REST API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        """Whether it answers."""
        return "data" in get_json(f"{self.url}/v1/projects")

    def spans(self) -> list[dict[str, Any]]:
        """Every span of the default project."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = get_json(f"{self.url}/v1/projects/default/spans?limit=1000{cursor}")
            found += page["data"]
            if not page.get("next_cursor"):
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def project_id(self) -> str:
        """Id of the default project, for addresses of pages."""
        projects = get_json(f"{self.url}/v1/projects")["data"]
        (found,) = [each["id"] for each in projects if each["name"] == "default"]
        return str(found)


def check(seconds: float, pictures: Path) -> None:
    """Send two loads, read the spans back, photograph a trace; raises `CheckFailedError`."""
    load = environment("load", "--editable", str(ROOT), "opentelemetry-exporter-prometheus")
    python = environment("phoenix", PHOENIX)
    port, grpc_port = free_port(), free_port()
    data = WORK / f"phoenix-{port}"
    variables = {
        "PHOENIX_WORKING_DIR": str(data),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    phoenix = Phoenix(port)
    targets = {"http/protobuf": phoenix.url, "grpc": f"http://127.0.0.1:{grpc_port}"}
    command = [str(python.parent / "phoenix"), "serve"]
    with running(command, WORK / "phoenix.log", variables):
        wait_for("Phoenix", phoenix.is_ready, 120)
        for protocol, endpoint in targets.items():
            before = len(phoenix.spans())
            _send(load, seconds, endpoint, protocol)
            wait_for(f"spans over {protocol}", lambda: len(phoenix.spans()) > before, 30)  # noqa: B023
            say(f"{protocol}: {len(phoenix.spans()) - before} spans arrived")
        trace_id = _check_spans(phoenix.spans())
        page = f"{phoenix.url}/projects/{phoenix.project_id()}/traces/{trace_id}"
        photograph(page, pictures / "phoenix.png", 1600, 1000, patience_ms=20_000)
        say(f"pictures/phoenix.png shows {page}")


def _send(python: Path, seconds: float, endpoint: str, protocol: str) -> None:
    command = [str(python), "-m", "dashboards.load", "--seconds", str(seconds)]
    options = ["--otlp", endpoint, "--protocol", protocol]
    # Phoenix takes spans only.
    variables = {**os.environ, "OTEL_METRICS_EXPORTER": "none"}
    subprocess.run([*command, *options], check=True, cwd=ROOT, env=variables)


def _check_spans(spans: list[dict[str, Any]]) -> str:
    """Look at what came back; gives the id of a trace worth a picture."""
    children: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        if span["parent_id"]:
            children.setdefault(span["parent_id"], []).append(span)
    requests = [span for span in spans if not span["parent_id"]]
    if not requests:
        raise CheckFailedError("no request span came back")
    good = [span for span in requests if span["attributes"].get("tokenline.outcome") == "ok"]
    for span in good:
        _check_request(span, children.get(span["context"]["span_id"], []))
    outcomes = {span["attributes"].get("tokenline.outcome") for span in requests}
    if not outcomes >= {"ok", "error", "cancelled"}:
        raise CheckFailedError(f"outcomes that came back: {outcomes}")
    say(f"{len(requests)} requests read back, {len(good)} of them ok, all with their stages")
    thinking = [span for span in good if "thinking" in span["name"]]
    return str((thinking or good)[-1]["context"]["trace_id"])


def _check_request(span: Mapping[str, Any], stages: list[dict[str, Any]]) -> None:
    attributes = span["attributes"]
    if span["span_kind"] != "LLM":
        raise CheckFailedError(f"{span['name']} is shown as {span['span_kind']}, not as LLM")
    missing = [name for name in _OF_REQUESTS if name not in attributes]
    if missing:
        raise CheckFailedError(f"{span['name']} came back without {missing}")
    if not any(name.startswith("llm.output_messages") for name in attributes):
        raise CheckFailedError(f"{span['name']} came back without its answer")
    names = {stage["name"].removeprefix("stage ") for stage in stages}
    if not names >= set(_STAGES):
        raise CheckFailedError(f"{span['name']} has stages {names}")
    for stage in stages:
        idle_s = stage["attributes"].get("tokenline.stage.time.idle", 0)
        if idle_s > _duration_s(stage) + 0.001:
            raise CheckFailedError(f"{stage['name']} waited {idle_s} s in {_duration_s(stage)} s")


def _duration_s(span: Mapping[str, Any]) -> float:
    start, end = (datetime.fromisoformat(span[key]) for key in ("start_time", "end_time"))
    return (end - start).total_seconds()
