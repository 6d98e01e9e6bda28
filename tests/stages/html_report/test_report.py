"""The HTML report: complete, self-contained, harmless with odd records, drawn by a real browser."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tokenline.errors import ConfigError
from tokenline_stages.cli.app import cli
from tokenline_stages.traces.record import (
    TraceIds,
    TraceRecord,
    TraceStage,
    TraceTimings,
    TraceUsage,
    encode_record,
)

pytest.importorskip("plotly")

from tokenline_stages.html_report import page
from tokenline_stages.html_report.figures import (
    first_token_shares,
    first_token_steps,
    stage_means,
)
from tokenline_stages.html_report.waterfall import waterfall

MS = 1_000_000
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stage(name: str, kind: str = "parser", **changes: Any) -> TraceStage:
    fields = {
        "items_in": 10,
        "items_out": 10,
        "batches": 10,
        "processing_ns": 2 * MS,
        "queue_wait_ns": 0,
        "blocked_ns": 0,
        "idle_ns": 400 * MS,
        "high_water_items": 0,
        "dropped_items": 0,
        "errors": 0,
        "started_ns": 100 * MS,
        "ended_ns": 900 * MS,
    }
    return TraceStage(name=name, kind=kind, **{**fields, **changes})


def record(number: int = 0, ttft_s: float | None = 0.5, **changes: Any) -> TraceRecord:
    timings = TraceTimings(
        request_ns=10 * MS,
        headers_ns=110 * MS,
        first_chunk_ns=120 * MS,
        first_token_ns=None if ttft_s is None else 10 * MS + round(ttft_s * 1e9),
        first_answer_ns=None if ttft_s is None else 20 * MS + round(ttft_s * 1e9),
        last_token_ns=900 * MS,
        ended_ns=910 * MS,
        closed_ns=920 * MS,
        time_to_headers_s=0.1,
        time_to_first_chunk_s=0.11,
        time_to_first_token_s=ttft_s,
        time_to_first_delivery_s=None if ttft_s is None else ttft_s + 0.001,
        duration_s=0.9,
        chunk_gap_p50_s=0.02,
        chunk_gap_p99_s=0.05,
        chunk_gap_max_s=0.1,
        loop_blocked_s=0.02 if number % 2 else 0.0,
        loop_blocked_before_first_token_s=0.0,
    )
    fields = {
        "id": f"trace-{number:08d}-0000",
        "started_at": START + timedelta(seconds=number),
        "ids": TraceIds(message_id=f"m{number}"),
        "provider": "openai",
        "api": "openai.chat",
        "operation": "chat",
        "model": "a-model",
        "outcome": "ok",
        "timings": timings,
        "usage": TraceUsage(output_tokens=42),
        "stages": [stage("source", "source"), stage("parser"), stage("consumer", "consumer")],
    }
    return TraceRecord(**{**fields, **changes})


def many() -> list[TraceRecord]:
    return [record(number, 0.1 + number / 100) for number in range(40)]


def text_of(html: str) -> str:
    """The page without scripts and styles."""
    return re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)


def test_all_charts_and_the_slowest_requests() -> None:
    html = page(many(), "a title")
    text = text_of(html)
    for heading in (
        "a title",
        "Time to first token",
        "Where the time to the first token goes",
        "Stages of the pipeline",
        "Gaps between chunks",
        "Slowest first tokens",
        "Waterfalls",
    ):
        assert heading in text
    assert "40 requests" in text
    assert "00000039-0000" in text
    assert text.index("00000039-0000") < text.index("00000030-0000")
    assert "a typical one" in text
    assert ">490.0 ms<" in text


def test_nothing_is_fetched() -> None:
    html = page(many(), "t")
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", html)
    assert "@import" not in text_of(html)


def test_names_are_text_not_markup() -> None:
    nasty = record(model="<img src=x onerror=alert(1)>", outcome="<b>ok</b>")
    text = text_of(page([nasty], "<script>t</script>"))
    assert "<img src=x" not in text
    assert "<b>ok</b>" not in text


def test_content_is_not_shown() -> None:
    html = page([record(request={"messages": [{"content": "a secret"}]})], "t")
    assert "a secret" not in html


@pytest.mark.parametrize(
    "odd",
    [
        record(ttft_s=None),
        record(timings=TraceTimings()),
        record(stages=[], usage=None, model=None),
        record(stages=[stage("parser", started_ns=None, ended_ns=None)]),
        record(stages=[stage("parser", batches=0, started_ns=50, ended_ns=10)]),
    ],
)
def test_records_with_little_in_them(odd: TraceRecord) -> None:
    assert "1 requests" in page([odd], "t")
    waterfall(odd)


def test_shares_reach_one_for_every_model() -> None:
    records = [*many(), record(99, 3.0, model="other")]
    lines = first_token_shares(records).data
    assert [line.name for line in lines] == ["openai a-model", "openai other"]
    assert all(line.y[-1] == 1.0 for line in lines)
    assert list(lines[0].x) == sorted(lines[0].x)


def test_steps_add_up_to_the_delivery() -> None:
    steps = {bar.name: bar.x[0] for bar in first_token_steps([record()]).data}
    assert sum(steps.values()) == pytest.approx(0.501)
    assert steps["headers"] == pytest.approx(0.1)
    assert steps["first token"] == pytest.approx(0.39)


def test_stages_are_means_without_the_consumer() -> None:
    slow = record(stages=[stage("parser", processing_ns=4 * MS, queue_wait_ns=10 * MS)])
    means = stage_means([record(), slow])
    assert set(means) == {"source", "parser"}
    assert means["parser"]["processing"] == pytest.approx(3.0)
    assert means["parser"]["queue wait of a batch"] == pytest.approx(0.5)


def test_a_waterfall_covers_the_request() -> None:
    bars = [bar for bar in waterfall(record()).data if bar.y[0] == "request"]
    assert bars[0].base[0] == 0
    for before, after in pairwise(bars):
        assert before.base[0] + before.x[0] == pytest.approx(after.base[0])
    assert bars[-1].base[0] + bars[-1].x[0] == pytest.approx(910)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    path.write_bytes(b"".join(encode_record(each) + b"\n" for each in many()))
    return path


def run(*arguments: str | Path) -> None:
    cli.main(args=["report", *map(str, arguments)], standalone_mode=False)


class TestCommand:
    def test_writes_the_page(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        page_file = store.with_name("r.html")
        run(store, "-o", page_file)
        assert "40 requests" in capsys.readouterr().out
        assert "tokenline: traces.jsonl" in text_of(page_file.read_text())

    def test_filters(self, store: Path) -> None:
        page_file = store.with_name("r.html")
        run(store, "-o", page_file, "--limit", "3")
        assert "3 requests" in page_file.read_text()
        with pytest.raises(ConfigError, match="match"):
            run(store, "-o", page_file, "--model", "nobody")

    def test_a_folder_that_is_not_there(self, store: Path) -> None:
        with pytest.raises(ConfigError, match="cannot write"):
            run(store, "-o", store.parent / "no" / "r.html")

    def test_without_plotly(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(ConfigError, match=r"tokenline\[report\]"):
            run(store)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_a_browser_without_a_network_draws_it(store: Path, tmp_path: Path) -> None:
    page_file = tmp_path / "r.html"
    run(store, "-o", page_file)
    done = subprocess.run(
        [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            page_file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    charts = len(re.findall(r'class="js-plotly-plot|js-plotly-plot"', done.stdout))
    assert charts >= 6
    assert done.stdout.count("main-svg") >= charts
