"""A collector that is not there, or never answers, costs no stream anything."""

import asyncio
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

import pytest

from tests.pipeline.lines import builder
from tests.pipeline.telemetry.conftest import MemoryFactory
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.telemetry import NoTelemetry, Telemetry, TelemetryOptions, configure
from tokenline.telemetry.otel import OTelTelemetry
from tokenline.testing import ScriptedSource, Wait

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def short_exports(no_otel_variables: pytest.MonkeyPatch) -> None:
    """The threads that are left behind give up soon after the test."""
    no_otel_variables.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Connections are accepted by the kernel and never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def slow() -> Iterator[str]:
    """Answers every export, after a while."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            stopped.wait(0.5)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    stopped = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    stopped.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def endpoint(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def run_cost_ns(telemetry: OTelTelemetry, runs: int = 200) -> float:
    """Median wall time of starting and ending a run."""
    costs = []
    info, record = run_info(), run_record()
    for _ in range(runs):
        before = time.perf_counter_ns()
        telemetry.start(info).end(record)
        costs.append(time.perf_counter_ns() - before)
    return median(costs)


@pytest.mark.parametrize("endpoint", ["closed_port", "black_hole"], indirect=True)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_runs_cost_the_same_and_shutdown_keeps_its_deadline(
    memory: MemoryFactory, endpoint: str, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    telemetry = configure(endpoint=endpoint, protocol=protocol)  # type: ignore[arg-type]
    cost_ns = run_cost_ns(telemetry)
    healthy_ns = run_cost_ns(memory().telemetry)
    assert cost_ns < 5 * healthy_ns + 500_000
    before = time.monotonic()
    telemetry.flush(0.2)
    telemetry.shutdown(0.3)
    assert time.monotonic() - before < 1.5


async def delivery_ns(telemetry: Telemetry, rounds: int = 4, streams: int = 25) -> float:
    """Median time from the read of an event to its reader having it, of many streams at once."""
    script = [part for word in range(20) for part in (Wait(0.002), b"word%d\n" % word)]
    pipeline = builder(ScriptedSource([*script, b".\n"])).trace(telemetry).build()
    found: list[int] = []

    async def read() -> None:
        async with pipeline.run({"model": "m"}) as run:
            found.extend([time.perf_counter_ns() - event.recv_ns async for event in run])

    for _ in range(rounds):
        await asyncio.gather(*(read() for _ in range(streams)))
    return median(found)


@pytest.mark.parametrize("endpoint", ["closed_port", "black_hole", "slow"], indirect=True)
async def test_streams_are_as_quick_as_without_telemetry(
    no_otel_variables: pytest.MonkeyPatch, endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    no_otel_variables.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")  # be exporting all the time
    no_otel_variables.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    telemetry = configure(endpoint=endpoint)
    off, on = [], []
    for _ in range(3):
        off.append(await delivery_ns(NoTelemetry()))
        on.append(await delivery_ns(telemetry))
    # A busy machine doubles a median of 0.1 ms now and then; a blocked export would cost seconds.
    assert min(on) < 2 * min(off) + 500_000
    before = time.monotonic()
    await asyncio.to_thread(telemetry.shutdown, 0.3)
    assert time.monotonic() - before < 1.5


SCRIPT = """
import atexit, time
atexit.register(lambda: print(time.monotonic() - over))
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.telemetry import configure
telemetry = configure(exit_timeout_s=0.3)
telemetry.start(run_info()).end(run_record())
over = time.monotonic()
"""


@pytest.mark.parametrize("endpoint", ["closed_port", "black_hole"], indirect=True)
def test_end_of_the_process_keeps_its_deadline(
    no_otel_variables: pytest.MonkeyPatch, endpoint: str
) -> None:
    no_otel_variables.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10")
    no_otel_variables.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert 0.2 < float(done.stdout) < 3.0


def test_overflow_behind_a_dead_collector_is_bounded(closed_port: str) -> None:
    """Without a loop nothing is worked off: the queue takes so many runs and no more."""
    telemetry = configure(endpoint=closed_port, options=TelemetryOptions(queue_capacity=16))
    for _ in range(100):
        telemetry.start(run_info()).end(run_record())
    assert telemetry.dropped == 84
    telemetry.shutdown(0.1)
