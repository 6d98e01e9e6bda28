"""The regression gate: it passes what is as stated and catches what became slower."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from benchmarks.gate import (
    STATED,
    WATCHED,
    Sampler,
    _processor,
    _version,
    find_worse,
    margin_of,
    slower,
    state,
    stated_here,
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


def known(version: str, processor: str) -> dict[str, Any]:
    ratios = {version: {CASE: 1.0}, "3.1": {CASE: 9.0}}
    return {"margins": MARGINS, "ratios": ratios, "processors": {version: processor}}


def test_margins_are_as_stated_on_the_same_processor_and_python() -> None:
    assert stated_here(known(_version(), _processor())) == ({CASE: 1.0}, MARGINS)


def test_margins_are_wider_on_another_processor(capsys: pytest.CaptureFixture[str]) -> None:
    _, margins = stated_here(known(_version(), "an abacus"))
    assert margins == {"default": 1.0, "run": 2.0}
    assert "stated on an abacus" in capsys.readouterr().out


def test_another_python_is_compared_with_the_nearest_that_is_stated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    newer = f"3.{int(_version().partition('.')[2]) + 2}"
    assert stated_here(known(newer, _processor())) == ({CASE: 1.0}, {"default": 1.0, "run": 2.0})
    assert "stated on Python 3." in capsys.readouterr().out


def test_nothing_stated_is_a_failure() -> None:
    with pytest.raises(click.ClickException, match="no ratios"):
        stated_here({"margins": MARGINS, "ratios": {}})


def test_the_transport_is_compared_with_the_floor_of_its_socket() -> None:
    name = "socket openai.chat"
    sampler = Sampler([name], slower(None, 0))
    sampler.sample([name], 3)
    assert set(sampler.least_ns) == {name, "socket floor"}
    assert sampler.ratio(name) > 1


def test_ratios_of_two_processors_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(known(_version(), "an abacus")))
    with pytest.raises(click.ClickException, match="another processor"):
        state(path, ["channel, item"])


def test_stating_some_cases_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    others = {name: 7.0 for name in WATCHED if name != CASE}
    path.write_text(json.dumps({"margins": MARGINS, "ratios": {_version(): others}}))
    state(path, [CASE])
    stated = json.loads(path.read_text())["ratios"][_version()]
    assert list(stated) == list(WATCHED)
    assert stated.pop(CASE) < 7.0
    assert stated == others
