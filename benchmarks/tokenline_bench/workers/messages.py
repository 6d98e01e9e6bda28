"""What session and worker tell each other; msgpack between processes, objects within one."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tokenline_bench.config import Bench
from tokenline_bench.load.generator import Level
from tokenline_bench.sample import Sample


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Begin(_Message, frozen=True, kw_only=True):
    """To a worker: the whole benchmark, and which part of its load to generate.

    Attributes:
        bench: what to do.
        worker: its number.
        workers: how many there are.
    """

    bench: Bench
    worker: int
    workers: int


class Prepare(_Message, frozen=True, kw_only=True):
    """To a worker: make everything ready.

    Attributes:
        first: ask each endpoint once, look at its connection, calibrate.
    """

    first: bool


class RunLevel(_Message, frozen=True, kw_only=True):
    """To a worker: run a level.

    Attributes:
        level: which one.
        traceparent: W3C trace context that its request spans belong to.
    """

    level: Level
    traceparent: str | None = None


class Stop(_Message, frozen=True, kw_only=True):
    """To a worker: end the level now."""


class EndpointSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What it took to get ready for one endpoint; None where it was not looked at.

    Attributes:
        endpoint: its label.
        address: host and port.
        client_ns: imports, client and TLS context.
        resolve_ns: looking up the host.
        connect_ns: TCP connection.
        tls_ns: TLS handshake.
        cold_ttft_ns: TTFT of the first request, connection set-up included.
    """

    endpoint: str
    address: str | None = None
    client_ns: int | None = None
    resolve_ns: int | None = None
    connect_ns: int | None = None
    tls_ns: int | None = None
    cold_ttft_ns: int | None = None


class Prepared(_Message, frozen=True, kw_only=True):
    """From a worker: ready.

    Attributes:
        endpoints: what it took.
        own_ns: what the harness itself adds to a TTFT, one value for each request of the
            calibration; empty if there was none.
        work_size: how many different conversations the work has.
    """

    endpoints: tuple[EndpointSetup, ...] = ()
    own_ns: tuple[int, ...] = ()
    work_size: int | None = None


class Measured(_Message, frozen=True, kw_only=True):
    """From a worker: one request."""

    sample: Sample


class LevelEnded(_Message, frozen=True, kw_only=True):
    """From a worker: the level is over.

    Attributes:
        cpu_ns: CPU time that its process used.
        wall_ns: time it took.
        lag_stamps_ns: when its loop was looked at.
        lags_ns: how late the loop was.
    """

    cpu_ns: int
    wall_ns: int
    lag_stamps_ns: list[int] = []
    lags_ns: list[int] = []


class Failed(_Message, frozen=True, kw_only=True):
    """From a worker: it cannot go on.

    Attributes:
        usage: a mistake in how it was called, rather than a failure of the endpoint.
        message: one line.
    """

    usage: bool
    message: str


Command: TypeAlias = Begin | Prepare | RunLevel | Stop
Notice: TypeAlias = Prepared | Measured | LevelEnded | Failed
