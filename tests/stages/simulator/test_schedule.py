"""Send times and groups, without a network."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenline.errors import ConfigError
from tokenline_stages.simulator import Bimodal, LogNormal, Pareto, Plan, Uniform
from tokenline_stages.simulator.answer import Part, Token
from tokenline_stages.simulator.distributions import Distribution
from tokenline_stages.simulator.frames import Frame, Timed, When
from tokenline_stages.simulator.schedule import draw_due_times, group_frames, insert_pings

MS = 1_000_000
TOKEN = Token(Part.TEXT, "x")


def frames(shape: str) -> list[Frame]:
    """One frame a letter: l(ead), n(ext), t(oken), a(fter)."""
    kinds = {"l": When.AT_ONCE, "n": When.NEXT, "t": When.TOKEN, "a": When.AFTER}
    return [Frame(b"x", kinds[c], TOKEN if c == "t" else None) for c in shape]


def test_every_event_goes_with_what_it_belongs_to() -> None:
    plan = Plan(headers_s=0.01, ttft_s=0.1, inter_token_s=0.02)
    due = draw_due_times(frames("lnttantaa"), plan, 0)
    assert [d // MS for d in due] == [10, 100, 100, 120, 120, 140, 140, 140, 140]


def test_an_empty_answer_ends_at_the_time_of_the_first_token() -> None:
    assert draw_due_times(frames("la"), Plan(ttft_s=0.1), 0) == [0, 100 * MS]


@given(st.integers(0, 50), st.floats(0, 0.1), st.integers(0, 3))
def test_times_never_go_back_and_jitter_stays_within_its_bound(
    tokens: int, jitter_s: float, number: int
) -> None:
    plan = Plan(ttft_s=0.1, inter_token_s=0.01, jitter_s=jitter_s)
    due = draw_due_times(frames("l" + "t" * tokens + "a"), plan, number)
    assert due == sorted(due)
    for n, time in enumerate(due[1 : tokens + 1]):
        latest = 0.1 + n * 0.01 + jitter_s
        assert time <= (latest + 1e-6) * 1e9


def test_drawn_times_repeat_with_seed_and_number() -> None:
    plan = Plan(ttft_s=LogNormal(median_s=0.1, sigma=1), inter_token_s=Uniform(low_s=0, high_s=1))
    drawn = [draw_due_times(frames("tt"), plan, n) for n in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    "distribution",
    [
        Uniform(low_s=0.1, high_s=0.3),
        Bimodal(fast_s=0.1, slow_s=1.0, slow_share=0.2),
        LogNormal(median_s=0.2, sigma=0.5),
        Pareto(minimum_s=0.1, alpha=1.5),
    ],
)
@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_quantiles_are_those_of_the_draws(distribution: Distribution, p: float) -> None:
    rng = Random(1)
    draws = sorted(distribution.draw(rng) for _ in range(20_000))
    assert draws[int(p * len(draws))] == pytest.approx(distribution.quantile(p), rel=0.12)


def test_writes_hold_as_many_events_as_planned() -> None:
    plan = Plan(events_per_write=3)
    groups = group_frames(frames("lttttttaa"), plan)
    assert [list(group) for group in groups] == [[0], [1, 2, 3], [4, 5, 6], [7, 8]]


def test_what_is_due_at_once_shares_a_write() -> None:
    groups = group_frames(frames("lntta"), Plan(ttft_s=0, events_per_write=100))
    assert groups == [range(5)]


def test_pings_fill_the_waiting() -> None:
    timed = [
        Timed(due * MS, frame) for due, frame in zip((0, 100, 120), frames("ltt"), strict=True)
    ]
    merged = insert_pings(timed, b"ping", 0.04)
    assert [(t.due_ns // MS, t.frame.data) for t in merged] == [
        (0, b"x"),
        (40, b"ping"),
        (80, b"ping"),
        (100, b"x"),
        (120, b"x"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"tokens": -1},
        {"ttft_s": float("nan")},
        {"events_per_write": 0},
        {"split_bytes": (0, 4)},
        {"split_bytes": (5, 4)},
        {"nonsense": 1},
        {"ttft_s": "soon"},
        {"ttft_s": {"kind": "lognormal", "median_s": -1, "sigma": 1}},
        {"faults": [{"fault": "cut", "at_byte": 1, "after_tokens": 1}]},
        {"faults": [{"fault": "cut", "at_event": -1}]},
        {"faults": [{"fault": "http_error", "status": 200}]},
        {"faults": [{"fault": "unheard_of"}]},
        {"tool_calls": [{"fragments": 0}]},
    ],
)
def test_a_bad_plan_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Plan().with_changes(fields)
