"""The command: `python -m benchmarks.behaviour`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from benchmarks.environments import DEFAULT_FOLDER
from tokenline_stages.simulator import Simulator

from .clients import CLIENTS, Client, Environments
from .judging import Row, judge
from .peers.observing import Job, Observation
from .process import ClientError, ClientProcess
from .scenarios import LEAVE_CHARS, LINGER_S, PAUSE_S, SCENARIOS, WATCH_S, Scenario
from .table import markdown

SLOW_WATCH_S = 30.0
"""How long a paused reader may take for the whole answer."""


async def observe(process: ClientProcess, client: Client, scenario: Scenario) -> Row:
    """One client in one scenario, against a server of its own."""
    async with Simulator(scenario.plan) as simulator:
        job = Job(
            url=simulator.url,
            api=client.api,
            action=scenario.action,
            after_chars=LEAVE_CHARS,
            pause_s=PAUSE_S,
            limit_s=scenario.limit_s,
            watch_s=SLOW_WATCH_S if scenario.action == "slow" else WATCH_S,
            linger_s=LINGER_S,
            tools=scenario.tools,
        )
        try:
            seen = await process.do(job)
        except ClientError as error:
            seen = Observation(outcome="raised", error=f"process.{error}")
        return judge(scenario, client.title, seen, list(simulator.ledger))


async def compare(
    clients: Sequence[Client], scenarios: Sequence[Scenario], environments: Environments, log: Path
) -> dict[str, list[Row]]:
    """Every client in every scenario, one after the other."""
    found: dict[str, list[Row]] = {scenario.name: [] for scenario in scenarios}
    for client in clients:
        async with ClientProcess(environments.python(client), client.module, log) as process:
            for scenario in scenarios:
                row = await observe(process, client, scenario)
                found[scenario.name].append(row)
                click.echo(f"{client.title}: {scenario.name}: {row.sees}; {row.closed}", err=True)
    return found


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option("--only", multiple=True, type=click.Choice([s.name for s in SCENARIOS]))
@click.option("--client", "titles", multiple=True, help="Only clients whose title has this in it.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all details.")
@click.option("--markdown", "table_path", type=click.Path(path_type=Path), help="Write the tables.")
def main(
    folder: Path,
    only: tuple[str, ...],
    titles: tuple[str, ...],
    json_path: Path | None,
    table_path: Path | None,
) -> None:
    """Put every client through every scenario and print what its user sees."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scenarios = [s for s in SCENARIOS if not only or s.name in only]
    clients = [c for c in CLIENTS if not titles or any(t in c.title for t in titles)]
    environments = Environments(folder)
    for client in clients:
        environments.python(client)
    log = folder / "behaviour.log"
    found = asyncio.run(compare(clients, scenarios, environments, log))
    versions = {client.package: environments.version(client) for client in clients}
    if json_path is not None:
        details = {name: [asdict(row) for row in rows] for name, rows in found.items()}
        json_path.write_bytes(msgspec.json.encode({"versions": versions, "rows": details}))
    text = markdown(found, scenarios, versions)
    if table_path is not None:
        table_path.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
