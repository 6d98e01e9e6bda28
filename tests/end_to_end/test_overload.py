"""An overloaded provider is an `OverloadedError`, whichever API says so and however."""

import pytest
from benchmarks.chaos.ways import TIMEOUTS, WAYS, Way

from tokenline.errors import OverloadedError
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import ErrorEvent, Fault, HttpError

pytestmark = pytest.mark.anyio

FAULTS = (
    pytest.param(HttpError(status=529), id="529"),
    pytest.param(HttpError(status=503), id="503"),
    pytest.param(HttpError(status=503, body="html"), id="503 of a proxy"),
    pytest.param(HttpError(status=529, body="empty"), id="529 without a word"),
    pytest.param(HttpError(status=500, message="The model is overloaded"), id="500 in clear words"),
    pytest.param(ErrorEvent(at_event=0), id="first event"),
    pytest.param(ErrorEvent(after_tokens=3), id="mid-stream"),
)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", [w for w in WAYS if w.attempts == 1], ids=lambda way: way.name)
async def test_overloaded(way: Way, fault: Fault) -> None:
    plan = Plan(ttft_s=0.0, inter_token_s=0.0, tokens=6, faults=(fault,))
    async with Simulator(plan) as simulator:
        connection = way.connect(simulator.url, NoTelemetry(), TIMEOUTS)
        async with connection, connection.run(way.payload) as run:
            with pytest.raises(OverloadedError) as caught:
                await run.result()
        sent = simulator.ledger.last.text
    assert type(caught.value) is OverloadedError
    assert caught.value.retryable
    assert caught.value.partial is not None
    assert caught.value.partial.text == sent
