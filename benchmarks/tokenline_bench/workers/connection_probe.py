"""What a new connection costs: name, TCP and TLS, each apart."""

from __future__ import annotations

import asyncio
import ssl
import time

from msgspec.structs import replace

from tokenline_bench.load.client import Address

from .messages import EndpointSetup

_TIMEOUT_S = 10.0


async def probe(address: Address, setup: EndpointSetup) -> EndpointSetup:
    """The set-up with the times of one connection; as it was if there is none to be had."""
    loop = asyncio.get_running_loop()
    now = time.perf_counter_ns
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            from_ns = now()
            found = await loop.getaddrinfo(address.host, address.port, type=1)
            resolved_ns = now()
            host = str(found[0][4][0])
            transport, _ = await loop.create_connection(asyncio.Protocol, host, address.port)
            connected_ns = now()
            tls_ns = None
            if address.tls:
                context = ssl.create_default_context()
                from_tls_ns = now()
                secure = await loop.start_tls(
                    transport, asyncio.Protocol(), context, server_hostname=address.host
                )
                tls_ns = now() - from_tls_ns
                transport = secure or transport
            transport.abort()
    except (OSError, TimeoutError):
        return setup
    return replace(
        setup,
        resolve_ns=resolved_ns - from_ns,
        connect_ns=connected_ns - resolved_ns,
        tls_ns=tls_ns,
    )
