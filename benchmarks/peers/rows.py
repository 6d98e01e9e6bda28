"""The rows: what is asked of whom, in which order.

Clients take turns within each round, in an order drawn anew for each.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clients.contract import ClientSpec

from .processes import FailedError, Options, Processes, cores
from .roster import COMPARED, FLOOR, LEFT_OUT, OPENAI, TOKENLINE
from .search import Search
from .settings import Settings

Row = dict[str, Any]
"""`{client: figures}`; figures are a list with one for each round unless said otherwise, None for a
round that the client did not take part in."""

Measure = Callable[[ClientSpec], Awaitable[Any]]


@dataclass(slots=True)
class Bench:
    """What rows work with.

    Attributes:
        processes: of the clients.
        clients: who is measured.
        settings: sizes.
        say: told what is under way.
        failures: `{client: why}` of the row under way.
    """

    processes: Processes
    clients: list[ClientSpec]
    settings: Settings
    say: Callable[[str], None]
    failures: dict[str, str] = field(default_factory=dict)
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    def clients_of(self, row: str) -> list[ClientSpec]:
        """Who is measured in that row."""
        return [spec for spec in self.clients if spec.name not in LEFT_OUT.get(row, ())]

    def named(self, *names: str) -> list[ClientSpec]:
        """Those of these names that are measured."""
        return [spec for spec in self.clients if spec.name in names]

    def turns(self, clients: list[ClientSpec], rounds: int) -> Iterator[tuple[int, ClientSpec]]:
        """Everybody once a round, with the round's number."""
        for number in range(rounds):
            self.say(f"round {number + 1} of {rounds}")
            for spec in self._random.sample(clients, len(clients)):
                yield number, spec

    async def collect(
        self, clients: list[ClientSpec], rounds: int, measure: Measure, peer_rounds: int = 0
    ) -> Row:
        """One figure of each client a round; who failed is left out from then on.

        With `peer_rounds`, clients other than the compared ones take part in so many rounds only,
        spread over all.
        """
        row: Row = {spec.name: [None] * rounds for spec in clients}
        apart = min(peer_rounds or rounds, rounds)
        together = {number * rounds // apart for number in range(apart)}
        for number, spec in self.turns(clients, rounds):
            if number in together or spec.name in COMPARED:
                row[spec.name][number] = await self.one(spec, measure)
        return row

    async def one(self, spec: ClientSpec, measure: Measure) -> Any:
        """One figure; None if the client fails now or did before."""
        if spec.name in self.failures:
            return None
        try:
            return await measure(spec)
        except FailedError as error:
            self.failures[spec.name] = str(error)
            return None


async def batch(bench: Bench) -> Row:
    """CPU µs of an event, many events a read."""
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        options: Options = {"events": sizes.batch_events, "least_cpu_s": sizes.least_cpu_s}
        return bench.processes.ask(spec, "batch", options)

    return await bench.collect(bench.clients, sizes.rounds, measure, sizes.peer_rounds)


async def _paced(bench: Bench, tls: bool) -> Row:
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        options: Options = {"events": sizes.paced_events, "streams": sizes.paced_streams}
        return bench.processes.ask(spec, "paced", options, tls=tls)

    rounds = sizes.paced_rounds[tls]
    return await bench.collect(bench.clients, rounds, measure, sizes.paced_peer_rounds)


async def paced(bench: Bench) -> Row:
    """CPU µs of an event, one event a read."""
    return await _paced(bench, False)


async def paced_tls(bench: Bench) -> Row:
    """The same over TLS."""
    return await _paced(bench, True)


async def first_token(bench: Bench) -> Row:
    """Milliseconds to the first delta, one request after the other; a list for each round."""
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        return bench.processes.ask(spec, "first_token", {"requests": sizes.requests})

    clients = bench.clients_of("first_token")
    return await bench.collect(clients, sizes.rounds, measure, sizes.peer_rounds)


async def request(bench: Bench) -> Row:
    """CPU ms of a request beside its events."""
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        return bench.processes.ask(spec, "request", {"requests": sizes.requests})

    return await bench.collect(bench.clients, sizes.rounds, measure, sizes.peer_rounds)


async def memory(bench: Bench) -> Row:
    """KB of resident memory for each open stream, in fresh processes.

    Two at a time, on two cores: what a process keeps does not depend on its neighbour.
    """
    sizes = bench.settings
    return await _memory(bench, bench.clients_of("memory"), sizes.memory_events_per_s)


async def memory_paced(bench: Bench) -> Row:
    """The same at the pace of the paced rows, of those that keep up with it."""
    clients = bench.named(FLOOR, "aiohttp alone", TOKENLINE, "tokenline, no telemetry")
    return await _memory(bench, clients, bench.settings.memory_paced_events_per_s)


async def _memory(bench: Bench, clients: list[ClientSpec], events_per_s: float) -> Row:
    sizes = bench.settings
    row: Row = {spec.name: [None] * sizes.memory_rounds for spec in clients}
    turns = bench.turns(clients, sizes.memory_rounds)
    options: Options = {
        "streams": sizes.memory_streams,
        "events_per_s": events_per_s,
    }

    async def take_turns(core: int | None) -> None:
        def measure(spec: ClientSpec) -> Awaitable[Any]:
            return bench.processes.ask_fresh(spec, "memory", options, core)

        for number, spec in turns:
            if number and spec.name not in COMPARED:
                continue
            row[spec.name][number] = await bench.one(spec, measure)

    await asyncio.gather(*[take_turns(core) for core in cores()])
    return row


async def never_read(bench: Bench) -> Row:
    """KB for each stream that nobody reads: after 2, 4 and 6 seconds."""

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        return bench.processes.ask_fresh(
            spec, "never_read", {"streams": 20, "seconds": [2.0, 2.0, 2.0]}
        )

    clients = bench.named(TOKENLINE, "tokenline, no telemetry")
    return await bench.collect(clients, bench.settings.memory_rounds, measure)


async def linear(bench: Bench) -> Row:
    """µs of an event in short and long streams, and of a fragment of small and large arguments."""
    sizes = bench.settings

    async def measure(spec: ClientSpec) -> dict[str, float]:
        long = sizes.length if spec.name.startswith(_OWN) else sizes.peer_length
        least = {"least_cpu_s": sizes.least_cpu_s}
        found = {}
        for name, events in (("short", 1000), ("long", long)):
            options: Options = {"events": events, **least}
            found[name] = await bench.processes.ask(spec, "length", options)
        for name, (size, fragments) in zip(("small", "large"), sizes.arguments, strict=True):
            options = {"size": size, "fragments": fragments, **least}
            found[name] = await bench.processes.ask(spec, "arguments", options)
        return {**found, "events": long}

    clients = bench.clients_of("linear")
    row = await bench.collect(clients, sizes.rounds, measure, 1)
    ours = [spec for spec in clients if spec.name.startswith(_OWN) and spec.name not in COMPARED]
    more = await bench.collect(ours, sizes.peer_rounds - 1, measure)
    return {name: figures + more.get(name, []) for name, figures in row.items()}


_OWN = (FLOOR, "aiohttp alone", TOKENLINE)
"""Beginnings of names: those that are quick enough for several long streams."""


async def cold(bench: Bench) -> Row:
    """Seconds and CPU seconds from starting a process to the first delta."""
    clients = bench.clients_of("cold")
    new = [spec for spec in clients if spec.name not in bench.processes.started]
    await bench.collect(new, 1, bench.processes.first_request)  # byte code, the disk's cache
    return await bench.collect(clients, bench.settings.cold_rounds, bench.processes.first_request)


async def streams(bench: Bench) -> Row:
    """Most streams a core holds under the limit, and every load that was tried.

    Searches of all clients advance in turns.
    """
    sizes = bench.settings
    clients = bench.clients_of("streams")
    searches = {spec.name: Search(sizes.limit_ms) for spec in clients}
    row: Row = {name: {"loads": []} for name in searches}
    while pending := [spec for spec in clients if searches[spec.name].wanted]:
        bench.say(", ".join(f"{spec.name} {searches[spec.name].wanted}" for spec in pending))
        for spec in pending:
            search = searches[spec.name]
            options: Options = {"streams": search.wanted, **sizes.window}
            try:
                load = await bench.processes.ask(spec, "load", options)
            except FailedError as error:
                bench.say(f"{spec.name}: {error}")
                search.fail()
                continue
            row[spec.name]["loads"].append({**load, "verdict": search.saw(load)})
    for name, search in searches.items():
        found = {"streams": search.most, "missed": search.missed, "by_server": search.by_server}
        row[name].update(found)
    return row


async def scaling(bench: Bench) -> Row:
    """Loads at each number of streams; until one fails or lags more than two seconds."""
    row: Row = {spec.name: [] for spec in bench.named(*SCALING)}
    given_up = set()
    for number in bench.settings.scaling:
        bench.say(f"{number} streams")
        for spec in bench.named(*SCALING):
            if spec.name in given_up:
                continue
            try:
                load = await bench.processes.ask(
                    spec, "load", {"streams": number, **bench.settings.window}
                )
            except FailedError as error:
                bench.failures[spec.name] = f"{number} streams: {error}"
                given_up.add(spec.name)
                continue
            row[spec.name].append(load)
            if load["p50_ms"] > 2000:
                given_up.add(spec.name)
    return row


SCALING = (FLOOR, TOKENLINE, "tokenline, uvloop", OPENAI, "anthropic SDK", "aiohttp alone")

ROWS: dict[str, Callable[[Bench], Awaitable[Row]]] = {
    "batch": batch,
    "paced": paced,
    "paced_tls": paced_tls,
    "streams": streams,
    "first_token": first_token,
    "request": request,
    "memory": memory,
    "memory_paced": memory_paced,
    "never_read": never_read,
    "linear": linear,
    "cold": cold,
    "scaling": scaling,
}
