"""The HTTP/1.1 side: requests with a length, one at a time on a connection, plain and over TLS.

    python -m benchmarks.sender [--core 1] [--tls-certificate PEM --tls-key PEM]

Prints one line of JSON, `{"url": ..., "tls_url": ...}`, and ends when its standard input does.
`GET /ledger/ID` gives the stamps of a response, `GET /usage` the CPU time used and when that was.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import sys
import time
from pathlib import Path

import click

from benchmarks.descriptors import allow_all

from .answers import prepare, wants_usage
from .streams import Schedule

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._transport: asyncio.Transport | None = None
        self._raw = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._raw += data
        while True:
            head, found, rest = self._raw.partition(b"\r\n\r\n")
            if not found:
                return
            target, headers = _read_head(head)
            size = int(headers.get("content-length", "0"))
            if len(rest) < size:
                return
            self._raw = rest[size:]
            self._answer(target, headers, rest[:size])

    def _answer(self, target: str, headers: dict[str, str], body: bytes) -> None:
        assert self._transport is not None
        if target == "/usage":
            self._send_json({"at_ns": time.perf_counter_ns(), "cpu_ns": time.process_time_ns()})
        elif target.startswith("/ledger/"):
            sent = self._schedule.sent.get(target.removeprefix("/ledger/"))
            found = {} if sent is None else {"token_ns": sent.token_ns, "due_ns": sent.due_ns}
            self._send_json(found)
        else:
            usage = b"include_usage" in body and wants_usage(body)
            plan = headers.get("x-tokenline-plan", "")
            answer = prepare(target, plan, headers.get("x-arguments", ""), usage)
            if answer is None:
                self._transport.write(_NOT_FOUND)
                return
            request_id = headers.get("x-request-id", "none")
            self._schedule.start(self._transport, answer, request_id)

    def _send_json(self, value: object) -> None:
        assert self._transport is not None
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


def _read_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Path and headers, names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    target = first.split(" ")[1].partition("?")[0]
    return target, {name.lower(): value.strip() for name, _, value in pairs}


async def serve(tls: ssl.SSLContext | None) -> None:
    """Listen until standard input ends."""
    loop = asyncio.get_running_loop()
    schedule = Schedule()

    async def listen(context: ssl.SSLContext | None) -> str:
        server = await loop.create_server(
            lambda: Connection(schedule), "127.0.0.1", 0, ssl=context, backlog=1024
        )
        port: int = server.sockets[0].getsockname()[1]
        return f"{'https' if context else 'http'}://127.0.0.1:{port}"

    addresses = {"url": await listen(None), "tls_url": await listen(tls) if tls else ""}
    gc.disable()  # a collection makes all streams late; what closed connections leave is little
    print(json.dumps(addresses), flush=True)
    stop = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    await stop.wait()


@click.command()
@click.option("--core", type=int, help="Run on this core only.")
@click.option("--tls-certificate", type=click.Path(path_type=Path))
@click.option("--tls-key", type=click.Path(path_type=Path))
def main(core: int | None, tls_certificate: Path | None, tls_key: Path | None) -> None:
    """Serve until standard input ends."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    allow_all()
    context = None
    if tls_certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls_certificate, tls_key)
    asyncio.run(serve(context))
