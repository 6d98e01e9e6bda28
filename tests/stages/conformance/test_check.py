"""Checks find what is wrong with a reader, wherever it goes wrong."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tokenline.errors import UsageError
from tokenline.events import Event
from tokenline.stage import RawChunk, StageSpec, Step
from tokenline_stages.conformance import Depth, check_recording, recordings
from tokenline_stages.conformance.check import FULL
from tokenline_stages.conformance.run import check_all
from tokenline_stages.providers import registry

from .conftest import HELLO, HELLO_EXPECTED, Write

OFFLINE = Depth(http=False)
DATA = Path(__file__).parents[2] / "data"


def test_a_good_recording_passes_every_check(write: Write) -> None:
    assert check_recording(write("good", "openai.compat:nobody-knows")) == []
    assert check_recording(write("groq", "openai.compat:groq"), Depth(1, 0)) == []


@pytest.mark.parametrize("name", ["été 日本", "100% #1?", "a&b=c+d"])
def test_any_name_can_be_read_over_http(write: Write, name: str) -> None:
    assert check_recording(write(name), Depth(1, 0)) == []


@pytest.mark.parametrize("api", ["gemini", "anthropic.vertex"])
def test_a_model_that_nobody_states_is_no_obstacle(write: Write, api: str) -> None:
    known: dict[str, tuple[str, str, dict[str, Any]]] = {
        "gemini": ("gemini", "two_calls", {"contents": []}),
        "anthropic.vertex": ("anthropic", "full_turn", {"messages": []}),
    }
    folder, name, payload = known[api]
    body = (DATA / folder / f"{name}.sse").read_bytes()
    request = {"json": payload}
    recording = write(name, api, body=body, expected={}, request=request)
    assert check_recording(recording, Depth(1, 0)) == []


@pytest.mark.anyio
async def test_every_known_server_over_http(write: Write) -> None:
    found = [write(name, f"openai.compat:{name}") for name in registry.known_providers()]
    body = (DATA / "openai_responses" / "filtered.sse").read_bytes()
    for name in ("openai", "azure", "groq", "nobody-knows"):
        api = f"openai.responses.compat:{name}"
        found.append(write(f"{name}.responses", api, body=body, expected={"text": "I can"}))
    reports = await check_all(found, Depth(0, 0))
    assert [str(failure) for report in reports for failure in report.failures] == []


def test_a_wrong_expectation_is_one_line_a_field(write: Write) -> None:
    expected = HELLO_EXPECTED | {"text": "Grüße", "usage": {"input_tokens": 9}}
    failures = check_recording(write(expected=expected), OFFLINE)
    assert [str(failure) for failure in failures] == [
        "hello  text: expected 'Grüße', got 'Grüße 👋' [whole]",
        "hello  usage.input_tokens: expected 9, got 7 [whole]",
    ]


def test_a_recording_that_cannot_be_read_is_a_failure(write: Write) -> None:
    recording = write()
    (recording.folder / "hello.body").unlink()
    (failure,) = check_recording(recording)
    assert "cannot read hello.body: No such file" in str(failure)
    (failure,) = check_recording(write("x", "acme.chat"))
    assert "unknown API 'acme.chat'; known: openai.chat" in str(failure)


def test_long_values_are_shown_where_they_differ(write: Write) -> None:
    body = HELLO.replace("Grüße 👋".encode(), b"a" * 500 + b"bc" + b"d" * 500)
    expected = {"text": "a" * 500 + "bx" + "d" * 500}
    (failure,) = check_recording(write(body=body, expected=expected), OFFLINE)
    assert "aaabxddd" in str(failure)
    assert "aaabcddd" in str(failure)
    assert len(str(failure)) < 250


def test_a_proxy_of_the_environment_is_not_used(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert check_recording(write(), Depth(0, 0)) == []
    assert os.environ["no_proxy"] == "example.org"
    assert "NO_PROXY" not in os.environ


def test_an_http_error_is_read_over_http(write: Write) -> None:
    body = b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit"}}'
    about = {"status": 429, "content_type": "application/json"}
    good = {"error": {"message": "slow down"}, "partial": True}
    assert check_recording(write("good", body=body, expected=good, **about)) == []
    (failure,) = check_recording(write("bad", body=body, expected={"text": ""}, **about))
    assert failure.check == "http"
    assert "RateLimitError" in str(failure)


@pytest.mark.anyio
async def test_inside_a_coroutine(write: Write) -> None:
    recording = write()
    assert check_recording(recording, OFFLINE) == []
    with pytest.raises(UsageError, match="plain function"):
        check_recording(recording)
    (report,) = await check_all([recording])
    assert report.failures == []
    assert report.checks[-2:] == ["byte by byte", "http"]
    assert report.unknown_events == 0
    assert len(report.checks) == FULL.seeds + 3


# Readers that go wrong; each is the real one with a fault of its own.


class Faulty:
    """A step around another."""

    def __init__(self, inner: Step[Any, Any]) -> None:
        self.inner = inner

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        self.inner.feed(items, recv_ns, out)

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        self.inner.finish(recv_ns, out)


class LosesTheFirstByteAfterACut(Faulty):
    reads = 0

    def feed(self, items: Sequence[RawChunk], recv_ns: int, out: list[Any]) -> None:
        self.reads += 1
        if self.reads == 2:
            items = [RawChunk(items[0].data[1:]), *items[1:]]
        self.inner.feed(items, recv_ns, out)


class Raises(Faulty):
    def finish(self, recv_ns: int, out: list[Any]) -> None:
        raise KeyError("index")


class SkipsANumber(Faulty):
    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Event]) -> None:
        first = len(out)
        self.inner.feed(items, recv_ns, out)
        if len(out) > first + 1:
            del out[first + 1]


class LosesEventsWithTime(Faulty):
    """Goes wrong where there is a clock: in the pipeline only."""

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Event]) -> None:
        self.inner.feed(items, recv_ns, out)
        if recv_ns:
            del out[-1:]


def faulty(stage: StageSpec, wrap: Callable[..., Any]) -> StageSpec:
    return replace(stage, opener=lambda context: wrap(stage.opener(context)))


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Registers a provider `acme` whose stages are wrapped."""
    monkeypatch.setattr(registry, "_registered", {})

    def make(parser: Any = Faulty, normalizer: Any = Faulty) -> None:
        chat = registry.provider("openai").apis[0]
        api = replace(
            chat,
            name="acme.chat",
            parser=lambda: faulty(chat.parser(), parser),  # type: ignore[arg-type]
            normalizer=lambda: faulty(chat.normalizer(), normalizer),  # type: ignore[arg-type]
        )
        registry.register(registry.Provider("acme", (api,)))

    return make


def found(write: Write, **metadata: Any) -> list[tuple[str, str]]:
    failures = check_recording(write("a", "acme.chat", provider="acme", **metadata))
    return [(failure.check, failure.field) for failure in failures]


def test_a_provider_of_ones_own(acme: Callable[..., None], write: Write) -> None:
    acme()
    assert found(write) == []


def test_a_reader_that_depends_on_cuts(acme: Callable[..., None], write: Write) -> None:
    acme(parser=LosesTheFirstByteAfterACut)
    failures = found(write)
    assert [check[:8] for check, _ in failures[:3]] == ["cut with"] * 3
    assert "whole" not in dict(failures)


def test_a_reader_that_raises_what_is_not_documented(
    acme: Callable[..., None], write: Write
) -> None:
    acme(normalizer=Raises)
    failures = found(write)
    assert ("whole", "error") in failures
    assert ("http", "error") in failures


def test_a_reader_that_loses_events(acme: Callable[..., None], write: Write) -> None:
    acme(normalizer=SkipsANumber)
    assert ("whole", "order of events") in found(write)


def test_a_reader_that_goes_wrong_in_the_pipeline_only(
    acme: Callable[..., None], write: Write
) -> None:
    acme(normalizer=LosesEventsWithTime)
    failures = found(write)
    assert {check for check, _ in failures} == {"http"}
    assert any(field.startswith("events[") for _, field in failures)


def test_order_of_recordings(write: Write) -> None:
    names = ["b", "c", "a"]
    for name in names:
        write(name, body=HELLO)
    folder = write("d").folder
    assert [str(each) for each in recordings(folder)] == ["a", "b", "c", "d"]
