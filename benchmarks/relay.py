"""A relay that stamps what passes, for servers that do not say when they sent something.

    python -m benchmarks.relay http://127.0.0.1:8012

It runs in a process of its own and stamps every piece right before it hands it on, as the
simulator does: on CLOCK_MONOTONIC, which the measured process reads too. So a client behind it is
measured against the truth, however late the server itself is.

Each piece is one line on standard output once it has been passed on, in the order of the stamps:
where it came from (`>` the client, `<` the server), its stamp, its bytes in base64. The first line
is the relay's port.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import click

_EVENT = re.compile(rb"data: (.*?)\r?\n\r?\n", re.DOTALL)
_DONE = b"[DONE]"
_passing = threading.Lock()


@dataclass(slots=True)
class Exchange:
    """One request and its answer as they passed; ns.

    Attributes:
        received_ns: when the request's last piece was there.
        sent_ns: when each piece of the answer was handed on.
        chunk_ns: when the piece was handed on that completed the first event.
        token_ns: the same of every event with content.
    """

    received_ns: int = 0
    sent_ns: list[int] = field(default_factory=list)
    chunk_ns: int = 0
    token_ns: list[int] = field(default_factory=list)


class Relay:
    """The relay in a process of its own; a context manager.

    Args:
        base_url: the server's address, with the path that its API has.

    Attributes:
        base_url: the same behind the relay.
    """

    def __init__(self, base_url: str) -> None:
        self._target = urlsplit(base_url)
        self.base_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.relay", self._target.netloc]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        self._lines = self._process.stdout
        port = int(self._lines.readline())
        self.base_url = f"http://127.0.0.1:{port}{self._target.path}"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._lines.close()

    def exchange(self) -> Exchange:
        """The request that passed last, up to the end of its answer; blocks until that is there."""
        found = Exchange()
        seen = b""
        for from_client, stamp_ns, data in self._pieces():
            if from_client:
                found = Exchange(received_ns=stamp_ns)
                seen = b""
            elif found.received_ns:
                found.sent_ns.append(stamp_ns)
                seen = _note(found, stamp_ns, seen + data)
                if seen == _DONE:
                    return found
        raise RuntimeError("the relay ended")

    def _pieces(self) -> Iterator[tuple[bool, int, bytes]]:
        for line in self._lines:
            direction, stamp, data = line.split()
            yield direction == b">", int(stamp), base64.b64decode(data)


def _note(found: Exchange, stamp_ns: int, seen: bytes) -> bytes:
    """Note what events are complete; gives what is left over, `[DONE]` at the end."""
    end = 0
    for match in _EVENT.finditer(seen):
        end = match.end()
        if match[1] == _DONE:
            return _DONE
        found.chunk_ns = found.chunk_ns or stamp_ns
        choices = json.loads(match[1]).get("choices") or [{}]
        if choices[0].get("delta", {}).get("content"):
            found.token_ns.append(stamp_ns)
    return seen[end:]


def _pass_on(from_: socket.socket, to: socket.socket, direction: str) -> None:
    with suppress(OSError):
        while data := from_.recv(65_536):
            # Two threads do this, and an answer's line must not come before its request's.
            with _passing:
                stamp_ns = time.perf_counter_ns()
                to.sendall(data)
                sys.stdout.write(f"{direction} {stamp_ns} {base64.b64encode(data).decode()}\n")
                sys.stdout.flush()
        to.shutdown(socket.SHUT_WR)


def _connect(client: socket.socket, address: tuple[str, int]) -> None:
    server = socket.create_connection(address)
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for from_, to, direction in ((client, server, ">"), (server, client, "<")):
        threading.Thread(target=_pass_on, args=(from_, to, direction), daemon=True).start()


@click.command()
@click.argument("address")
def main(address: str) -> None:
    """Relay connections to ADDRESS, `host:port`."""
    host, _, port = address.partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            client, _ = listening.accept()
            _connect(client, (host, int(port)))


if __name__ == "__main__":
    main()
