"""The builder: what does not fit is refused when it is built, with the stage's name."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.pipeline.lines import builder, normalizer, parser
from tokenline.builder import PipelineBuilder
from tokenline.errors import WiringError
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity, Overflow
from tokenline.pipeline import Branch, Pipeline
from tokenline.record import StageKind
from tokenline.result import Result
from tokenline.stage import RawChunk, StageSpec
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import ScriptedSource
from tokenline.wiring import check_step
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer
from tokenline_stages.fanout import sink
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


class Half:
    """A source that is not ready."""

    name = "half"

    async def open(self, request: Any) -> None:
        return


def uncalled() -> StageSpec:
    return stage("made")


FIVE: Any = 5
NOTHING: Any = None
Change = Callable[[Any], Any]
NOT_WIRED: list[tuple[Change, str | None, str]] = [
    (lambda b: b.source("http://h"), "source", "'http://h' is no source: .* lacks them all"),
    (lambda b: b.source(None), "source", "None is no source"),
    (lambda b: b.source(Half()), "half", "lacks provider, api, operation"),
    (lambda b: b.source(Half), "source", "call it if it makes one"),
    (lambda b: b.parse(uncalled), "stage", "call it if it makes one"),
    (lambda b: b.insert_before("parser", 5), "stage", "5 is no stage"),
    (lambda b: b.insert_after("parser", None), "stage", "None is no stage"),
    (lambda b: b.replace("parser", lambda x: x), "stage", "call it"),
    (lambda b: b.replace("source", 5), "source", "5 is no source"),
    (lambda b: b.replace("accumulator", 5), "stage", "5 is no stage"),
    (lambda b: b.then(StageSpec("odd", Event, Event, NOTHING)), "odd", "cannot be opened: None"),
    (lambda b: b.fan_out([consumer()]), "fan-out", "neither a branch nor a stage"),
    (lambda b: b.fan_out(consumer), "fan-out", "neither a branch nor a stage; call it"),
    (lambda b: b.fan_out(capacity=5), "fan-out", "give Capacity"),
    (lambda b: b.branch(consumer(FIVE)), "consumer", "capacity of 'consumer': 5 is none"),
    (lambda b: b.branch(sink(FIVE)), "stage", "5 is no stage"),
    (lambda b: b.capacity("parser", 5), "parser", "give Capacity"),
    (lambda b: b.then(stage("own"), 5), "own", "capacity of 'own'"),
    (lambda b: b.options({"strict": True}), None, "give RunOptions"),
    (lambda b: b.options(None), None, "give RunOptions"),
    (lambda b: b.trace("otel"), "telemetry", "'otel' is no telemetry: it needs start"),
    (lambda b: b.trace(NoTelemetry), "telemetry", "is no telemetry"),
    (lambda b: b.clock(None), "clock", "is no clock: it needs now_ns"),
    (lambda b: b.limit(5), None, "give Limiter"),
    (lambda b: b.fall_back("elsewhere"), None, "give Route"),
    (lambda b: b.estimate_usage(5), "usage estimator", "it needs estimate"),
    (lambda b: b.continue_with(5), "function", "is no function"),
]


@pytest.mark.parametrize(("change", "name", "match"), NOT_WIRED)
def test_what_is_of_another_kind_is_refused_at_once(
    change: Change, name: str | None, match: str
) -> None:
    with pytest.raises(WiringError, match=match) as caught:
        change(lines())
    assert caught.value.stage == name
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("inlet", [[Event], {}, "Event", list[Event], None])
def test_inlets_that_are_no_types_of_items(inlet: Any) -> None:
    fails(lines().then(stage("odd", inlet)), "odd", "'odd' takes")


def test_names_are_texts() -> None:
    fails(lines().then(stage(5)), None, "is a text, not 5")  # type: ignore[arg-type]
    fails(lines().then(stage("")), "", "empty name")


def test_an_accumulator_gives_a_result() -> None:
    other = Branch("sum", StageKind.ACCUMULATOR, stage("adder"))
    fails(lines().remove("accumulator").branch(other), "sum", "does not give a Result")


def test_a_step_that_lacks_what_is_called() -> None:
    total = StageSpec("total", Event, Result, lambda context: Same())
    with pytest.raises(WiringError, match="lacks snapshot") as caught:
        check_step(total, Same())
    assert caught.value.stage == "total"
    with pytest.raises(WiringError, match="opened None, which lacks feed and finish"):
        check_step(stage("none"), None)
    step = Same()
    assert check_step(stage("same"), step) is step


def test_places_around_the_chain() -> None:
    build = lines().insert_after("source", stage("first", RawChunk, RawChunk))
    build.insert_before("fan-out", stage("last"))
    assert names(build.build()) == ["first", "parser", "normalizer", "last"]


@pytest.mark.parametrize("name", ["fan-out", "consumer", "accumulator"])
def test_nothing_is_put_behind_the_fan_out(name: str) -> None:
    with pytest.raises(WiringError, match=r"use \.branch\(\.\.\.\)"):
        lines().insert_after(name, stage("late"))


def test_the_source_stays_first() -> None:
    for change in (lines().remove, lambda name: lines().insert_before(name, stage("early"))):
        with pytest.raises(WiringError, match=r"use \.source"):
            change("source")


def test_sources_and_branches_are_replaced() -> None:
    other = ScriptedSource([])
    tight = Capacity(max_items=3)
    build = lines().capacity("accumulator", tight).replace("source", other)
    build.replace("accumulator", accumulator("acme")).replace("consumer", stage("loud"))
    pipeline = build.build()
    assert pipeline.source is other
    reading, adding = pipeline.branches
    assert (reading.name, reading.kind, reading.readable) == ("consumer", StageKind.CONSUMER, True)
    assert reading.stage is not None
    assert reading.stage.name == "loud"
    assert (adding.name, adding.kind) == ("accumulator", StageKind.ACCUMULATOR)
    assert adding.capacity is tight
    assert lines().replace("consumer", consumer(tight)).build().branches[0].capacity is tight


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
