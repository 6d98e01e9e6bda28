"""Records handed to functions."""

import asyncio
import threading

import pytest

from tokenline_stages.traces import TraceOptions, TraceRecord, TraceStore, traces
from tokenline_stages.traces.callback import CallbackSink

from .sinks import run, written


def record(store: TraceStore, *numbers: int) -> None:
    store.prepare()
    for number in numbers:
        store(run(number))
    assert store.close(5)


def test_a_function_runs_in_a_thread_of_its_own() -> None:
    seen: list[tuple[str, str]] = []

    def take(trace: TraceRecord) -> None:
        seen.append((trace.ids.message_id, threading.current_thread().name))

    record(traces(take), 1, 2)
    assert seen == [
        ("message-1", "tokenline-traces-callback"),
        ("message-2", "tokenline-traces-callback"),
    ]


def test_an_async_function_runs_on_the_stores_loop() -> None:
    seen: list[str] = []

    async def take(trace: TraceRecord) -> None:
        await asyncio.sleep(0)
        seen.append(f"{trace.ids.message_id} {threading.current_thread().name}")

    record(traces(take), 1)
    assert seen == ["message-1 tokenline-traces"]


def test_an_object_with_an_async_call() -> None:
    class Taker:
        def __init__(self) -> None:
            self.seen: list[str] = []

        async def __call__(self, trace: TraceRecord) -> None:
            self.seen.append(trace.ids.message_id)

    taker = Taker()
    record(traces(taker), 1)
    assert taker.seen == ["message-1"]


def test_a_function_that_raises_is_called_again() -> None:
    calls: list[str] = []

    def take(trace: TraceRecord) -> None:
        calls.append(trace.ids.message_id)
        if len(calls) == 1:
            raise ValueError("not yet")

    store = traces(take)
    store.prepare()
    store(run(1))
    assert store.flush(5)
    assert store.close(5)
    assert calls == ["message-1"] * 2
    assert written(store) == [1]


def test_a_function_that_hangs_holds_up_nobody() -> None:
    go = threading.Event()
    seen: list[str] = []

    def hang(trace: TraceRecord) -> None:
        go.wait(10)

    store = TraceStore(
        CallbackSink(hang),
        CallbackSink(lambda trace: seen.append(trace.ids.message_id)),
        options=TraceOptions(batch_wait_s=0.0),
    )
    store.prepare()
    store(run(1))
    assert not store.close(0.3)
    assert seen == ["message-1"]
    assert store.stats.sinks[0].dropped == {"closed": 1}
    go.set()


@pytest.mark.parametrize("callback", [print, lambda record: None])
def test_names(callback: object) -> None:
    assert CallbackSink(callback).name.startswith("callback:")  # type: ignore[arg-type]
