"""A fresh process: imports the client, makes one request and says when the first delta came.

    python -m benchmarks.peers.cold SPEC URL

Prints `perf_counter_ns` at the first delta and the process's CPU ns until then.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from benchmarks.clients.contract import Client, ClientSpec

_PLAN = {"x-tokenline-plan": '{"ttft_s": 0.0, "inter_token_s": 0.0, "tokens": 2}'}


async def _first(client: Client) -> int:
    stamps: list[int] = []
    await client.read(_PLAN, stamps)
    return stamps[0]


def main() -> None:
    """Run."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spec = ClientSpec(**json.loads(sys.argv[1]))

    async def run() -> int:
        return await _first(spec.make(sys.argv[2]))

    if spec.loop == "uvloop":
        import uvloop

        at_ns = uvloop.run(run())
    else:
        at_ns = asyncio.run(run())
    output.write(json.dumps([at_ns, time.process_time_ns()]))
    output.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
