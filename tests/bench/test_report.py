"""The report: what is in it, what is kept out of it, and every form it is written in."""

import csv
import re
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tokenline.errors import ConfigError
from tokenline.redaction import MARK
from tokenline_bench.config import (
    Bench,
    ClosedLoop,
    Endpoint,
    FixedPrompt,
    Objectives,
    OpenLoop,
    PromptFile,
    Synthetic,
)
from tokenline_bench.load.spec import Load
from tokenline_bench.output.console import print_report
from tokenline_bench.output.jsonl import RequestWriter
from tokenline_bench.output.live import LiveProgress
from tokenline_bench.output.otlp import gauges
from tokenline_bench.output.save import Files, save_report
from tokenline_bench.output.text import show_interval
from tokenline_bench.report import VERSION, Report, read_report, schema
from tokenline_bench.results import LevelResult, Results
from tokenline_bench.sample import Failure, Outcome, Sample, StageTimes
from tokenline_bench.statistics import Percentile
from tokenline_bench.summary.build import build_report
from tokenline_bench.workers.messages import Prepared

from .factory import MS, START_NS, level_of, sample

PARSER = StageTimes("parser", "parser", 500_000, 1000, 0, 100 * MS, 3)


def some_samples(count: int = 40, slower_ms: float = 0.0, **more: Any) -> list[Sample]:
    return [
        sample(
            [100 + n % 7 + slower_ms, 110 + n % 7 + slower_ms, 121 + slower_ms],
            number=n,
            at_ms=20 * n,
            stages=(PARSER,),
            **more,
        )
        for n in range(count)
    ]


def results_of(*levels: LevelResult, endpoints: tuple[str, ...] = ("a",), **more: Any) -> Results:
    bench = Bench(
        **{
            "endpoints": tuple(Endpoint(model="m", label=name) for name in endpoints),
            "requests": 40,
            "work": FixedPrompt(text="hello"),
            **more,
        }
    )
    results = Results(bench, 1_700_000_000 * 10**9, Prepared(own_ns=(500_000,) * 30, work_size=1))
    results.levels.extend(levels)
    return results


@pytest.fixture(scope="module")
def results() -> Results:
    """Two levels of two endpoints, failures among them, with an SLO."""
    failed = sample(
        [],
        number=99,
        endpoint="<b>",
        outcome=Outcome.ERROR,
        failure=Failure("ServerError", "</script><b>oops", 500),
        first_token_ns=None,
        output_tokens=None,
    )
    levels = [
        level_of(
            [*some_samples(), *some_samples(30, 30.0, endpoint="<b>"), failed],
            ClosedLoop(concurrency=users),
        )
        for users in (1, 2)
    ]
    slo = Objectives(bounds={"ttft": 120.0 * MS})
    return results_of(*levels, endpoints=("a", "<b>"), slo=slo, title="<i>title</i>")


@pytest.fixture(scope="module")
def report(results: Results) -> Report:
    """The report of it."""
    return build_report(results)


def test_report_has_the_numbers(report: Report) -> None:
    ttft = report.ttft
    assert ttft.n == 40
    assert ttft.at(0.5).value == 103 * MS
    assert ttft.maximum == 106 * MS
    found = report.levels[0].endpoint("<b>")
    assert found.outcomes == {"error": 1, "ok": 30}
    assert found.error_share == pytest.approx(1 / 31)
    assert found.goodput is not None
    assert (found.goodput.good, found.goodput.judged) == (0, 31)
    assert report.levels[0].held is False
    (stage,) = report.levels[0].endpoint("a").stages
    assert stage.processing.p50_ns == 500_000


def test_report_compares_endpoints_with_the_first(report: Report) -> None:
    found = {(each.metric, each.change.statistic): each for each in report.comparisons}
    assert found["ttft", "p50"].change.relative == pytest.approx(30 / 103, abs=0.02)
    assert found["ttft", "p50"].change.certain


def test_json_goes_round(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    report.save(path)
    again = read_report(path)
    assert again.to_json() == report.to_json()
    assert again.metric("ttft", "<b>", 1).n == 30


def test_schema_describes_the_document() -> None:
    found = schema()
    assert {"format", "version", "levels"} <= set(found["$defs"]["Report"]["properties"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no report"),
        (b"{}", "no report"),
        (b'{"format": "tokenline-bench", "version": 1}', "no report"),
        (b'{"format": "tokenline-bench", "version": %d}' % (VERSION + 1), "update tokenline"),
        (b"\xff", "no report"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint):
        read_report(path)


def test_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_report(tmp_path / "absent.json")


def test_secrets_stay_out_of_reports() -> None:
    secret = Endpoint(model="m", api_key="sk-secret", headers={"authorization": "Bearer secret"})
    results = Results(
        Bench(endpoints=(secret,), requests=1), 0, levels=[level_of([sample(endpoint="openai/m")])]
    )
    text = build_report(results).to_json().decode()
    assert "secret" not in text
    assert text.count("REDACTED") == 2


def test_bodies_and_addresses_in_reports_have_no_secrets() -> None:
    body = {"api_key": "body-secret", "temperature": 0, "note": "sk-secret1234567890"}
    url = "http://me:url-secret@h/v1?sig=query-secret"
    endpoint = Endpoint(model="m", base_url=url, body=body)
    results = Results(
        Bench(endpoints=(endpoint,), requests=1),
        0,
        levels=[level_of([sample(endpoint="openai/m")])],
    )
    report = build_report(results)
    assert "secret" not in report.to_json().decode()
    shown = report.configuration.endpoints[0]
    assert shown.body == {"api_key": MARK, "temperature": 0, "note": MARK}
    assert shown.base_url == f"http://{MARK}@h/v1?sig={MARK}"


def test_a_metric_that_was_not_measured_says_why() -> None:
    failed = sample(
        [],
        outcome=Outcome.ERROR,
        first_token_ns=None,
        failure=Failure("RateLimitError", "slow down", 429),
    )
    report = build_report(results_of(level_of([failed])))
    with pytest.raises(LookupError, match=r"no ttft was measured.*RateLimitError"):
        _ = report.ttft
    with pytest.raises(LookupError, match="no endpoint"):
        report.metric("ttft", "nobody")
    assert "no request ended well" in report.warnings


def test_csv_has_a_row_for_each_metric(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    assert save_report(report, Files(csv=path)) == [path]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = [
        row
        for row in rows
        if (row["metric"], row["endpoint"], row["load"]) == ("ttft", "a", "concurrency 1")
    ]
    assert float(row["p50"]) == 103 * MS
    assert float(row["p50_low"]) <= 103 * MS <= float(row["p50_high"])
    assert row["p99_high"] == ""
    assert {"requests_per_s", "error_share", "goodput_per_s"} <= {row["metric"] for row in rows}


def test_requests_are_written_as_they_end(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    level = level_of([])
    with RequestWriter(path) as writer:
        writer.write(sample([100, 140], [1, 2], at_ms=5, late_ms=2, stages=(PARSER,)), level)
        (line,) = path.read_bytes().splitlines()
    row = msgspec.json.decode(line)
    assert row["content_ns"] == [100 * MS, 140 * MS]
    assert row["content_events"] == [1, 2]
    assert row["scheduled_ns"] == -2 * MS
    assert row["request_unix_ns"] == level.started_unix_ns + 7 * MS
    assert row["first_token_ns"] == 100 * MS
    assert row["stages"][0]["name"] == "parser"


def test_page_needs_no_network_and_shows_text_as_text(
    report: Report, results: Results, tmp_path: Path
) -> None:
    path = tmp_path / "r.html"
    save_report(report, Files(html=path), results)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)\s*=", page)
    assert "@import" not in page.partition("<script>")[0]
    body = page[page.index("<body>") :]
    assert "<i>title" not in body
    assert "</script><b>oops" not in body
    assert "&lt;i&gt;title" in body
    for heading in ("TTFT against load", "Requests in time", "Where the time to the first token"):
        assert heading in body, heading
    for name in ("TTFT, all values", "inter-token latency, all values", "pipeline"):
        assert name in body, name


def test_page_is_made_from_a_saved_report_too(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    save_report(report, Files(html=path))
    assert "TTFT, share of values" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 140])
def test_console_shows_all_of_it(report: Report, width: int) -> None:
    console = Console(width=width, record=True, file=StringIO())
    print_report(report, console)
    text = console.export_text()
    assert "103.0 (" in text
    assert "ServerError" in text
    assert "coordinated omission" in text
    assert "parser" in text
    assert max(map(len, text.splitlines())) <= width


def test_progress_shows_what_has_come(results: Results) -> None:
    console = Console(width=100, file=StringIO(), force_terminal=True)
    level = results.levels[0]
    with LiveProgress(console) as progress:
        assert "getting ready" in rendered(progress)
        progress.begin_level(level)
        for each in level.samples:
            progress.note(each)
        text = rendered(progress)
        progress.end_level(level)
    assert "level 1: concurrency 1" in text
    assert "103.0" in text
    assert "<b>" in text


def rendered(progress: LiveProgress) -> str:
    console = Console(width=100, file=StringIO(), force_terminal=False)
    console.print(progress)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_progress_is_a_line_a_level_without_a_terminal(results: Results) -> None:
    console = Console(width=100, file=StringIO())
    with LiveProgress(console) as progress:
        for level in results.levels:
            progress.begin_level(level)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines() == [
        "level 1: concurrency 1 ...",
        "level 1: concurrency 2 ...",
    ]


def test_files_that_cannot_be_written_are_named(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        Files(json=tmp_path / "no" / "r.json").check()
    (tmp_path / "r.json").mkdir()
    with pytest.raises(ConfigError, match="cannot write"):
        save_report(report, Files(json=tmp_path / "r.json", csv=tmp_path / "m.csv"))
    assert (tmp_path / "m.csv").exists()


def test_gauges_carry_endpoint_load_and_quantile(report: Report) -> None:
    found = gauges(report)
    points = found["ttft", "s"]
    (median,) = [
        value
        for value, attributes in points
        if attributes.get("quantile") == 0.5
        and attributes["tokenline.bench.endpoint"] == "a"
        and attributes["tokenline.bench.load"] == "concurrency 1"
    ]
    assert median == pytest.approx(0.103)
    outcomes = {attributes["tokenline.outcome"] for _, attributes in found["requests", "{request}"]}
    assert outcomes == {"ok", "error"}


def warnings_of(
    samples: list[Sample], load: Load | None = None, lags_ms: tuple[float, ...] = (), **more: Any
) -> str:
    return "; ".join(build_report(results_of(level_of(samples, load, lags_ms), **more)).warnings)


def test_clean_run_warns_of_nothing_but_its_size() -> None:
    work = Synthetic(input_tokens=10, output_tokens=3)
    assert "p99 of 40 requests" in warnings_of(some_samples(input_tokens=10), work=work)
    assert warnings_of(some_samples(400, input_tokens=10), work=work) == ""


@pytest.mark.parametrize(
    ("warning", "options"),
    [
        ("event loop was late by up to 30.0 ms", {"lags_ms": (0.5, 30.0) * 50}),
        ("reports no token counts", {"samples": some_samples(output_tokens=None)}),
        (
            "--words-per-token 0.50",
            {"samples": some_samples(input_tokens=20), "work": Synthetic(input_tokens=10)},
        ),
        (
            "answers came to 3 tokens of 128",
            {"samples": some_samples(input_tokens=10), "work": Synthetic(input_tokens=10)},
        ),
        (
            "fell behind its schedule",
            {"samples": some_samples(late_ms=30), "load": OpenLoop(rate_per_s=1)},
        ),
        (
            "one of 2 places",
            {
                "samples": some_samples(late_ms=30),
                "load": OpenLoop(rate_per_s=1, max_concurrency=2),
            },
        ),
        ("1 different prompts for 40", {}),
        ("near the harness's own share", {"samples": [sample([1, 2, 3])] * 10}),
        ("no request ended well", {"samples": [sample(outcome=Outcome.UNFINISHED)]}),
    ],
)
def test_warnings(warning: str, options: dict[str, Any]) -> None:
    assert warning in warnings_of(options.pop("samples", some_samples()), **options)


def test_prompts_that_come_again_are_told() -> None:
    """At another level, or after the warm-up."""
    file = Bench(endpoints=(Endpoint(model="m", label="a"),), work=PromptFile(path="p"), requests=3)
    levels = [level_of(some_samples(), ClosedLoop(concurrency=users)) for users in (1, 2)]
    warmup = level_of([sample()])
    told = {}
    for size in (40, 41):
        results = Results(file, 0, Prepared(work_size=size), warmup, levels)
        told[size] = " ".join(build_report(results).warnings)
    assert "40 different prompts for 40 requests and 1 of the warm-up" in told[40]
    assert "every level asked the same prompts" in told[41]


def test_no_correction_is_proposed_that_would_be_refused() -> None:
    found = warnings_of(some_samples(input_tokens=1), work=Synthetic(input_tokens=11))
    assert "prompts came to 1 tokens instead of 11 by the server's count" in found
    assert "--words-per-token" not in found


def test_busy_generator_says_that_it_was_the_bottleneck() -> None:
    level = level_of(some_samples())
    level.workers = [msgspec.structs.replace(level.workers[0], cpu_ns=950 * MS)]
    report = build_report(results_of(level))
    assert any("load generator was the bottleneck" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("cpu_ms", "cure"), [(500, "more --processes"), (10, "other work on this")]
)
def test_late_loop_says_what_would_help(cpu_ms: int, cure: str) -> None:
    level = level_of(some_samples(), lags_ms=(0.5, 30.0) * 50)
    level.workers = [msgspec.structs.replace(level.workers[0], cpu_ns=cpu_ms * MS)]
    report = build_report(results_of(level))
    (warning,) = [warning for warning in report.warnings if "event loop was late" in warning]
    assert cure in warning


def test_lag_lowers_the_lower_bound_of_the_requests_that_met_it() -> None:
    quiet = build_report(results_of(level_of(some_samples(), lags_ms=[0.0] * 100)))
    late = build_report(results_of(level_of(some_samples(), lags_ms=[4.0] * 100)))
    before, after = quiet.ttft.at(0.5), late.ttft.at(0.5)
    assert before.low is not None
    assert after.low == before.low - 4 * MS
    assert after.high == before.high


def test_knee_is_the_highest_level_below_the_first_that_failed() -> None:
    slo = Objectives(bounds={"ttft": 110.0 * MS})
    levels = [
        level_of(some_samples(slower_ms=slower), ClosedLoop(concurrency=users))
        for users, slower in ((4, 0.0), (8, 50.0), (2, 0.0), (16, 0.0))
    ]
    report = build_report(results_of(*levels, slo=slo))
    assert report.knee == "concurrency 4"


def test_interrupted_says_so() -> None:
    results = results_of(level_of(some_samples()))
    results.interrupted = True
    assert "interrupted" in build_report(results).warnings[0]


def test_duration_ends_with_the_last_request() -> None:
    level = level_of(some_samples(3))
    assert level.duration_ns == 40 * MS + 122 * MS
    assert level.wall_ns(START_NS) == level.started_unix_ns


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (2e6, 4e6, "3.00 (2.00 to 4.00)"),
        (2e6, None, "3.00 (>= 2.00)"),
        (None, 4e6, "3.00 (<= 4.00)"),
        (None, None, "3.00 (open)"),
    ],
)
def test_open_intervals_say_so(low: float | None, high: float | None, shown: str) -> None:
    assert show_interval(Percentile(0.99, 3e6, low, high), "ns") == shown
