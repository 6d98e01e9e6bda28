"""Each metric on requests made by hand, against its formula."""

import re
from pathlib import Path

import numpy as np
import pytest

from tokenline_bench.metrics import (
    POOLED_METRICS,
    REQUEST_METRICS,
    errors,
    goodput,
    loop_lag,
    output_rate,
    request_rate,
    stages,
)
from tokenline_bench.metrics.names import TABLE
from tokenline_bench.sample import Failure, Outcome, StageTimes

from .factory import MS, START_NS, sample


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ttft", 100 * MS),
        ("ttfa", 100 * MS),
        ("ttfc", 2 * MS),
        ("headers", 1 * MS),
        ("ttst", 10 * MS),
        ("e2e", 130 * MS),
        ("response_end", 131 * MS),
        ("tpot", 15 * MS),
        ("ttft_scheduled", 140 * MS),
        ("e2e_scheduled", 170 * MS),
        ("schedule_delay", 40 * MS),
        ("stream_rate", pytest.approx(2 / 0.03)),
        ("token_rate", pytest.approx(3 / 0.13)),
        ("output_tokens", 3),
        ("chunks", 3),
        ("tokens_per_chunk", 1.0),
    ],
)
def test_value_follows_the_formula(name: str, value: object) -> None:
    assert REQUEST_METRICS[name].of(sample([100, 110, 130], late_ms=40)) == value


def test_times_are_integers() -> None:
    found = sample([100, 110, 130])
    for metric in REQUEST_METRICS.values():
        if metric.unit == "ns":
            assert isinstance(metric.of(found), int), metric.name
    for pooled in POOLED_METRICS.values():
        group = pooled.of(found)
        assert group is not None
        assert group[0].dtype == np.int64


def test_every_metric_has_a_formula() -> None:
    formulas = {metric.name: metric.formula for metric in REQUEST_METRICS.values()}
    formulas |= {metric.name: metric.formula for metric in POOLED_METRICS.values()}
    assert all(formulas.values()), formulas


def test_every_name_in_the_table_of_other_tools_is_ours() -> None:
    totals = {"output_tokens_per_s", "requests_per_s", "goodput_per_s", "error_share"}
    ours = {*REQUEST_METRICS, *POOLED_METRICS, *totals}
    assert {row.metric for row in TABLE} <= ours


def test_first_answer_comes_after_the_reasoning() -> None:
    found = sample([100, 200, 300], first_answer_ns=START_NS + 300 * MS)
    assert REQUEST_METRICS["ttft"].of(found) == 100 * MS
    assert REQUEST_METRICS["ttfa"].of(found) == 300 * MS


def test_second_token_in_the_same_read_took_no_time() -> None:
    assert REQUEST_METRICS["ttst"].of(sample([100, 120], [2, 1])) == 0
    assert REQUEST_METRICS["ttst"].of(sample([100])) is None


def test_chunk_is_not_token() -> None:
    """Three chunks of four tokens each: gaps of 40 ms are 40 / (11 / 2) ms a token."""
    found = sample([100, 140, 180], output_tokens=12)
    chunk_gaps, chunk_weight = POOLED_METRICS["icl"].of(found) or (None, None)
    token_gaps, token_weight = POOLED_METRICS["itl"].of(found) or (None, None)
    assert list(chunk_gaps) == [40 * MS, 40 * MS]  # type: ignore[arg-type]
    assert chunk_weight == 1
    assert token_weight == pytest.approx(5.5)
    assert list(token_gaps) == [round(40 * MS / 5.5)] * 2  # type: ignore[arg-type]
    assert REQUEST_METRICS["tpot"].of(found) == 80 * MS // 11


def test_events_of_one_read_have_no_gap_between_them() -> None:
    gaps, _ = POOLED_METRICS["icl"].of(sample([100, 140], [2, 3])) or ([], 0)
    assert list(gaps) == [0, 40 * MS, 0, 0]


def test_nothing_per_token_without_the_servers_count() -> None:
    found = sample(output_tokens=None)
    assert POOLED_METRICS["itl"].of(found) is None
    assert REQUEST_METRICS["tpot"].of(found) is None
    assert REQUEST_METRICS["stream_rate"].of(found) is None


def test_hidden_reasoning_is_no_streamed_token() -> None:
    hidden = sample([100, 110, 120], output_tokens=103, reasoning_tokens=100)
    seen = sample([100, 110, 120], output_tokens=3, reasoning_tokens=1, reasoning_seen=True)
    assert REQUEST_METRICS["tpot"].of(hidden) == 10 * MS
    contradictory = sample([100, 110, 120], output_tokens=3, reasoning_tokens=100)
    assert contradictory.streamed_tokens is None
    assert REQUEST_METRICS["tokens_per_chunk"].of(contradictory) is None
    assert REQUEST_METRICS["tpot"].of(seen) == 10 * MS


def test_a_request_without_content_has_no_latency() -> None:
    found = sample([], outcome=Outcome.ERROR, first_token_ns=None, output_tokens=None)
    for name in ("ttft", "ttfa", "ttst", "e2e", "tpot", "stream_rate", "chunks"):
        assert REQUEST_METRICS[name].of(found) is None, name
    assert all(metric.of(found) is None for metric in POOLED_METRICS.values())


def test_totals_count_what_ended_well() -> None:
    samples = [sample(), sample(outcome=Outcome.ERROR), sample()]
    assert request_rate.total(samples, 2_000 * MS) == 1.0
    assert output_rate.total(samples, 2_000 * MS) == 3.0
    assert output_rate.total([sample(output_tokens=None)], 1) is None


def test_goodput_wants_every_objective_met() -> None:
    samples = [
        sample([50, 60]),
        sample([150, 160]),
        sample([50, 90]),
        sample([50, 60], outcome=Outcome.ERROR),
        sample([50, 60], output_tokens=None),
        sample([50], outcome=Outcome.CANCELLED),
        sample([50], outcome=Outcome.UNFINISHED),
    ]
    bounds = {"ttft": 100.0 * MS, "tpot": 20.0 * MS}
    assert goodput.count(samples, bounds, REQUEST_METRICS) == (1, 5)
    assert goodput.count(samples[:1], {"stream_rate": 90.0}, REQUEST_METRICS) == (1, 1)
    assert goodput.count(samples[:1], {"stream_rate": 110.0}, REQUEST_METRICS) == (0, 1)


def test_errors_are_counted_by_type_and_status() -> None:
    limited = Failure("RateLimitError", "slow down", 429)
    samples = [
        sample(outcome=Outcome.ERROR, failure=limited),
        sample(outcome=Outcome.ERROR, failure=Failure("StreamCutError", "cut", 200)),
        sample(outcome=Outcome.ERROR, failure=limited),
        sample(outcome=Outcome.CANCELLED),
    ]
    first, second = errors.count(samples)
    assert (first.type, first.status, first.count, first.example) == (
        *("RateLimitError", 429, 2, "slow down"),
    )
    assert second.count == 1


def test_stage_times_are_found_by_name() -> None:
    parser = StageTimes("parser", "parser", 5, 1, 0, 100, 3)
    samples = [sample(stages=(parser,)), sample(), sample(stages=(parser,))]
    assert stages.names(samples) == [("parser", "parser")]
    assert stages.values(samples, "parser", "processing_ns") == [5, 5]


def test_lag_spoils_what_it_is_not_small_beside() -> None:
    assert loop_lag.spoils(10 * MS, 100 * MS)
    assert not loop_lag.spoils(10 * MS, 1_000 * MS)
    assert not loop_lag.spoils(1 * MS, 2 * MS)  # the timer's own coarseness


def test_documentation_names_the_metrics_as_the_code_does() -> None:
    """Every other tool's name in the table of docs/benchmarking.md is in `names.TABLE`."""
    known = {row.metric: row for row in TABLE}
    text = (Path(__file__).parents[2] / "docs" / "benchmarking.md").read_text()
    table = text.partition("| here | AIPerf | GuideLLM |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) >= 10
    for first, *cells in rows:
        row = known[first.strip(" `")]
        others = (row.aiperf, row.guidellm, row.vllm, row.mlperf)
        for cell, theirs in zip(cells, others, strict=True):
            for name in re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)+", cell):
                assert name in theirs, (first, name)
