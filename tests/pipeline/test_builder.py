"""The builder: what does not fit is refused when it is built, with the stage's name."""

from typing import Any

import pytest

from tests.pipeline.lines import builder, normalizer, parser
from tokenline.builder import PipelineBuilder
from tokenline.errors import WiringError
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity, Overflow
from tokenline.pipeline import Branch, Pipeline
from tokenline.record import StageKind
from tokenline.stage import StageSpec
from tokenline.testing import ScriptedSource
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer
from tokenline_stages.providers.catalog import BUILT_IN
from tokenline_stages.providers.registry import provider


class Same:
    def feed(self, items: Any, recv_ns: int, out: list[Any]) -> None:
        out.extend(items)

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        return


def stage(name: str, inlet: Any = Event, outlet: Any = Event) -> StageSpec:
    return StageSpec(name, inlet, outlet, lambda context: Same())


def lines() -> PipelineBuilder:
    return builder(ScriptedSource([b".\n"]))


def fails(build: PipelineBuilder, stage_name: str | None, match: str) -> None:
    with pytest.raises(WiringError, match=match) as caught:
        build.build()
    assert caught.value.stage == stage_name
    assert "\n" not in str(caught.value)


def names(pipeline: Pipeline) -> list[str]:
    return [place.stage.name for place in pipeline.chain]


def test_missing_source() -> None:
    fails(PipelineBuilder().parse(parser), "source", "no source")


def test_edge_whose_types_do_not_fit() -> None:
    build = PipelineBuilder().source(ScriptedSource([])).normalize(normalizer)
    build.fan_out(consumer())
    fails(build, "normalizer", "'source' gives RawChunk, 'normalizer' takes str")


def test_chain_that_does_not_end_in_events() -> None:
    build = PipelineBuilder().source(ScriptedSource([])).parse(parser).fan_out(consumer())
    fails(build, "fan-out", "'parser' gives str")


def test_parser_of_one_provider_and_normalizer_of_another() -> None:
    chat = provider("openai").api_named("chat")
    messages = provider("anthropic").api_named("messages")
    build = PipelineBuilder().source(ScriptedSource([])).parse(chat.parser())
    fails(build.normalize(messages.normalizer()).fan_out(consumer()), "normalizer", "cannot follow")


def test_stage_that_takes_only_some_events() -> None:
    fails(lines().insert_after("normalizer", stage("picky", TextDelta)), "picky", "cannot follow")


def test_no_fan_out() -> None:
    build = PipelineBuilder().source(ScriptedSource([])).parse(parser).normalize(normalizer)
    fails(build, "fan-out", "nothing would read it")


def test_required_branch_without_a_reader() -> None:
    fails(lines().branch(Branch("audit")), "audit", "required but nothing reads it")


@pytest.mark.parametrize("name", ["parser", "normalizer", "fan-out", "consumer", "accumulator"])
def test_capacity_below_one(name: str) -> None:
    fails(lines().capacity(name, Capacity(max_items=0)), name, "capacity below 1")


def test_names_are_unique() -> None:
    fails(lines().then(stage("parser")), "parser", "unique")
    fails(lines().branch(consumer()), "consumer", "unique")


def test_two_accumulators() -> None:
    other = Branch("second", StageKind.ACCUMULATOR, accumulator())
    fails(lines().branch(other), "second", "more than one accumulator")


def test_unknown_stage_lists_the_known_ones() -> None:
    with pytest.raises(WiringError, match="stages: parser, normalizer"):
        lines().remove("nope")


def test_something_that_is_no_stage() -> None:
    with pytest.raises(WiringError, match="is no stage"):
        lines().then(object())  # type: ignore[arg-type]
    with pytest.raises(WiringError, match="neither a branch nor a stage"):
        lines().branch(object())  # type: ignore[arg-type]


def test_insert_replace_remove_leave_the_original_alone() -> None:
    first = lines().build()
    second = first.edit().insert_before("normalizer", stage("words", str, str)).build()
    third = second.edit().insert_after("normalizer", stage("events")).build()
    fourth = third.edit().replace("words", stage("other", str, str)).remove("events").build()
    assert names(first) == ["parser", "normalizer"]
    assert names(second) == ["parser", "words", "normalizer"]
    assert names(third) == ["parser", "words", "normalizer", "events"]
    assert names(fourth) == ["parser", "other", "normalizer"]
    assert [branch.name for branch in fourth.edit().remove("consumer").build().branches] == [
        "accumulator"
    ]


def test_text_graph_shows_the_flow_and_its_limits() -> None:
    tight = Capacity(max_items=7, max_bytes=4096, overflow=Overflow.DROP_OLDEST)
    text = lines().capacity("consumer", tight).build().describe()
    order = [text.index(word) for word in ("source", "parser", "normalizer", "fan-out", "consumer")]
    assert order == sorted(order)
    assert "<= 7 items, 4,096 B, drop_oldest" in text
    assert "max_line_bytes = 16,777,216" in text


def test_mermaid_graph_has_every_edge() -> None:
    text = lines().build().mermaid()
    assert text.startswith("flowchart LR")
    assert text.count("-->") == 5
    assert 'n3["fan-out"]' in text


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_provider_fits_together(name: str) -> None:
    for api in provider(name).apis:
        build = PipelineBuilder(name).source(ScriptedSource([]))
        build.parse(api.parser()).normalize(api.normalizer()).fan_out(consumer(), accumulator())
        assert names(build.build()) == ["parser", "normalizer"]
