"""The regression gate: it passes what is as stated and catches what became slower."""

import json

import pytest
from benchmarks.gate import (
    STATED,
    WATCHED,
    Sampler,
    _processor,
    _version,
    find_worse,
    margin_of,
    margins_here,
    slower,
)
from benchmarks.micro.cases import CASES

CASE = "accumulator openai.chat"
MARGINS = {"default": 0.5, "run": 1.0}


@pytest.fixture(scope="module")
def stated() -> dict[str, float]:
    sampler = Sampler([CASE], slower(None, 0))
    sampler.sample([CASE], 60)
    return {CASE: sampler.ratio(CASE)}


def test_the_same_code_is_not_worse(stated: dict[str, float]) -> None:
    assert find_worse(Sampler([CASE], slower(None, 0)), stated, MARGINS) == []


def test_a_slower_part_is_found(stated: dict[str, float]) -> None:
    assert find_worse(Sampler([CASE], slower(CASE, 4)), stated, MARGINS) == [CASE]


def test_margins_go_by_the_first_word() -> None:
    assert margin_of("run of two events", MARGINS) == 1.0
    assert margin_of(CASE, MARGINS) == 0.5


def test_every_watched_case_exists_and_is_stated() -> None:
    ratios = json.loads(STATED.read_text())["ratios"]
    assert set(WATCHED) <= set(CASES)
    assert all(set(each) == set(WATCHED) for each in ratios.values())


def test_margins_are_wider_on_another_processor(capsys: pytest.CaptureFixture[str]) -> None:
    here = {"margins": MARGINS, "processors": {_version(): _processor()}}
    assert margins_here(here) == MARGINS
    elsewhere = {"margins": MARGINS, "processors": {_version(): "an abacus"}}
    assert margins_here(elsewhere) == {"default": 1.0, "run": 2.0}
    assert "stated on an abacus" in capsys.readouterr().out
