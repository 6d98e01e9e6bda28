"""API names of recordings, and what reads them."""

from dataclasses import replace

import pytest

from tokenline_stages.conformance.wiring import ANY_SERVER, FAMILIES, wire
from tokenline_stages.providers import registry
from tokenline_stages.simulator import RecordingError


@pytest.mark.parametrize("api", FAMILIES)
def test_every_family_has_a_reader(api: str) -> None:
    wiring = wire(api)
    assert wiring.api.name == FAMILIES[api][1]
    assert wiring.provider == (FAMILIES[api][0] or ANY_SERVER)


@pytest.mark.parametrize(
    ("api", "provider"),
    [
        ("openai.compat:groq", "groq"),
        ("openai.compat:nobody-knows", ANY_SERVER),
        ("openai.responses.compat:openrouter", "openrouter"),
        ("openai.responses.compat:lmstudio", ANY_SERVER),
        ("openai.responses.compat:nobody-knows", ANY_SERVER),
        ("bedrock.invoke:meta", "bedrock"),
        ("anthropic.compat:acme", "anthropic"),
        ("gemini.vertex", "gemini"),
        ("bedrock.invoke:anthropic", "anthropic-bedrock"),
    ],
)
def test_servers_and_vendors(api: str, provider: str) -> None:
    assert wire(api).provider == provider


@pytest.mark.parametrize("api", ["acme.chat", "", "openai", "openai.realtime", ":groq"])
def test_unknown_names_are_refused_with_the_known_ones(api: str) -> None:
    with pytest.raises(RecordingError, match=r"unknown API .*openai\.chat, .*gemini"):
        wire(api, "acme")


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider of the user's own."""
    monkeypatch.setattr(registry, "_registered", {})
    chat = replace(registry.provider("openai").apis[0], name="acme.chat")
    registry.register(registry.Provider("acme", (chat,)))


@pytest.mark.usefixtures("acme")
def test_a_provider_of_ones_own() -> None:
    wiring = wire("acme.chat", "acme")
    assert (wiring.provider, wiring.api.name) == ("acme", "acme.chat")
