"""The rows: what is asked of whom, in which order.

Clients take turns within each round, in an order drawn anew for each.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clients.contract import ClientSpec

from .processes import FailedError, Options, Processes
from .roster import FLOOR, OPENAI, TOKENLINE, VARIANTS
from .search import Search
from .settings import Settings

Row = dict[str, Any]
"""`{client: figures}`; figures are a list with one for each round unless said otherwise."""


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

    def main_clients(self) -> list[ClientSpec]:
        """All but the variants."""
        return [spec for spec in self.clients if spec.name not in VARIANTS]

    def named(self, *names: str) -> list[ClientSpec]:
        """Those of these names that are measured."""
        return [spec for spec in self.clients if spec.name in names]

    def turns(self, clients: list[ClientSpec], rounds: int) -> Iterator[ClientSpec]:
        """Everybody once a round."""
        for number in range(rounds):
            self.say(f"round {number + 1} of {rounds}")
            yield from self._random.sample(clients, len(clients))

    async def collect(
        self,
        clients: list[ClientSpec],
        rounds: int,
        measure: Callable[[ClientSpec], Awaitable[Any]],
    ) -> Row:
        """One figure of each client a round; who failed is left out from then on."""
        row: Row = {spec.name: [] for spec in clients}
        for spec in self.turns(clients, rounds):
            if spec.name in self.failures:
                continue
            try:
                row[spec.name].append(await measure(spec))
            except FailedError as error:
                self.failures[spec.name] = str(error)
        return row


async def batch(bench: Bench) -> Row:
    """CPU µs of an event, many events a read."""
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        options: Options = {"events": sizes.batch_events, "least_cpu_s": sizes.least_cpu_s}
        return bench.processes.ask(spec, "batch", options)

    return await bench.collect(bench.clients, sizes.rounds, measure)


async def _paced(bench: Bench, rounds: int, tls: bool) -> Row:
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        options: Options = {"events": sizes.paced_events, "streams": sizes.paced_streams}
        return bench.processes.ask(spec, "paced", options, tls=tls)

    return await bench.collect(bench.clients, rounds, measure)


async def paced(bench: Bench) -> Row:
    """CPU µs of an event, one event a read."""
    return await _paced(bench, bench.settings.rounds, False)


async def paced_tls(bench: Bench) -> Row:
    """The same over TLS."""
    return await _paced(bench, bench.settings.heavy_rounds, True)


async def first_token(bench: Bench) -> Row:
    """Milliseconds to the first delta, one request after the other; a list for each round."""

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        return bench.processes.ask(spec, "first_token", {"requests": bench.settings.requests})

    return await bench.collect(bench.main_clients(), bench.settings.rounds, measure)


async def request(bench: Bench) -> Row:
    """CPU ms of a request beside its events."""

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        return bench.processes.ask(spec, "request", {"requests": bench.settings.requests})

    return await bench.collect(bench.clients, bench.settings.rounds, measure)


async def memory(bench: Bench) -> Row:
    """KB of resident memory for each open stream, in fresh processes."""
    sizes = bench.settings

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        options: Options = {
            "streams": sizes.memory_streams,
            "events_per_s": sizes.memory_events_per_s,
        }
        return bench.processes.ask_fresh(spec, "memory", options)

    return await bench.collect(bench.main_clients(), sizes.memory_rounds, measure)


async def never_read(bench: Bench) -> Row:
    """KB for each stream that nobody reads: after 2, 4 and 6 seconds."""

    def measure(spec: ClientSpec) -> Awaitable[Any]:
        return bench.processes.ask_fresh(
            spec, "never_read", {"streams": 20, "seconds": [2.0, 2.0, 2.0]}
        )

    clients = bench.named(TOKENLINE, "tokenline, no telemetry")
    return await bench.collect(clients, 1, measure)


async def linear(bench: Bench) -> Row:
    """µs of an event in short and long streams, and of a fragment of small and large arguments."""
    sizes = bench.settings
    own = (FLOOR, "aiohttp alone")

    async def measure(spec: ClientSpec) -> dict[str, float]:
        ours = spec.name in own or spec.name.startswith("tokenline")
        long = sizes.length if ours else sizes.peer_length
        found = {}
        for name, events in (("short", 1000), ("long", long)):
            options: Options = {"events": events, "least_cpu_s": sizes.least_cpu_s}
            found[name] = await bench.processes.ask(spec, "length", options)
        for name, (size, fragments) in zip(("small", "large"), sizes.arguments, strict=True):
            options = {"size": size, "fragments": fragments}
            found[name] = await bench.processes.ask(spec, "arguments", options)
        return {**found, "events": long}

    first = await bench.collect(bench.main_clients(), 1, measure)
    ours = [spec for spec in bench.main_clients() if spec.name.startswith((FLOOR, TOKENLINE))]
    more = await bench.collect(ours, bench.settings.rounds - 1, measure)
    return {name: figures + more.get(name, []) for name, figures in first.items()}


async def cold(bench: Bench) -> Row:
    """Seconds and CPU seconds from starting a process to the first delta."""
    clients = bench.main_clients()
    await bench.collect(clients, 1, bench.processes.first_request)  # byte code, the disk's cache
    return await bench.collect(clients, bench.settings.heavy_rounds, bench.processes.first_request)


async def streams(bench: Bench) -> Row:
    """Most streams a core holds under the limit, and every load that was tried.

    Searches of all clients advance in turns.
    """
    sizes = bench.settings
    searches = {spec.name: Search(sizes.limit_ms) for spec in bench.main_clients()}
    row: Row = {name: {"loads": []} for name in searches}
    while pending := [spec for spec in bench.main_clients() if searches[spec.name].wanted]:
        bench.say(", ".join(f"{spec.name} {searches[spec.name].wanted}" for spec in pending))
        for spec in pending:
            search = searches[spec.name]
            try:
                load = await bench.processes.ask(
                    spec, "load", {"streams": search.wanted, **sizes.window}
                )
            except FailedError as error:
                bench.say(f"{spec.name}: {error}")
                search.fail()
                continue
            row[spec.name]["loads"].append(load)
            search.saw(load["p99_ms"])
    for name, search in searches.items():
        row[name]["streams"] = search.most
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
    "never_read": never_read,
    "linear": linear,
    "cold": cold,
    "scaling": scaling,
}
