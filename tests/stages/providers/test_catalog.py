"""The list of providers: names, aliases, addresses, and what docs/providers.md says of them."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.stages.providers import capabilities

from tokenline.errors import ConfigError, UnknownProviderError
from tokenline_stages.connection import connect
from tokenline_stages.providers import catalog, registry
from tokenline_stages.providers.openai_chat.quirks import QUIRKS
from tokenline_stages.providers.registry import Access, Api, Provider, known_providers, provider

DOCS = Path(__file__).parents[3] / "docs" / "providers.md"
REGION = {"aws_region": "eu-west-1"}


def test_every_compatible_server_is_a_provider() -> None:
    assert set(QUIRKS) <= set(known_providers())
    assert "openai-compatible" in known_providers()


def test_known_providers_are_sorted_and_have_no_aliases() -> None:
    known = known_providers()
    assert list(known) == sorted(known)
    assert not set(known) & set(catalog.ALIASES)


@pytest.mark.parametrize(("alias", "name"), sorted(catalog.ALIASES.items()))
def test_alias_is_the_provider_itself(alias: str, name: str) -> None:
    assert provider(alias) is provider(name)
    assert provider(alias).name == name


@pytest.mark.parametrize("name", ["", "nope", "OpenAI", "bedrock/claude", "gemini "])
def test_unknown_provider_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownProviderError) as failure:
        connect(name)
    assert failure.value.known == known_providers()
    assert "\n" not in str(failure.value)
    for known in ("openai", "gemini", "ollama-native"):
        assert known in str(failure.value)


def test_unknown_provider_imports_no_sdk() -> None:
    code = """
import sys
import tokenline_stages
try:
    tokenline_stages.connect("nope")
except tokenline_stages.providers.registry.UnknownProviderError as error:
    assert "known providers: anthropic, anthropic-bedrock" in str(error)
else:
    raise SystemExit("known")
loaded = {"openai", "anthropic", "httpx2", "boto3", "google.auth"} & set(sys.modules)
raise SystemExit(", ".join(sorted(loaded)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


@pytest.mark.parametrize("name", known_providers())
def test_every_api_makes_a_pipeline_that_fits_together(name: str) -> None:
    connection = connect(name, base_url="http://127.0.0.1:9/v1", api_key="k")
    for api in provider(name).apis:
        source = connect(name, base_url="http://127.0.0.1:9/v1", api=api.name).pipeline().source
        assert source.api == api.name
        assert source.server_address == "127.0.0.1"
        assert source.server_port == 9
    assert connection.pipeline().source.api == provider(name).apis[0].name


@pytest.mark.parametrize(
    ("name", "genai_name", "address", "options"),
    [
        ("openai", "openai", "api.openai.com", {}),
        ("mistral", "mistral_ai", "api.mistral.ai", {}),
        ("xai", "x_ai", "api.x.ai", {}),
        ("perplexity", "perplexity", "api.perplexity.ai", {}),
        ("vllm", "vllm", "localhost", {}),
        ("anthropic", "anthropic", "api.anthropic.com", {}),
        ("anthropic-vertex", "gcp.vertex_ai", "aiplatform.googleapis.com", {"region": "global"}),
        ("anthropic-vertex", "gcp.vertex_ai", "us-east5-aiplatform.googleapis.com", {}),
        ("anthropic-bedrock", "aws.bedrock", "bedrock-runtime.eu-west-1.amazonaws.com", REGION),
        ("bedrock", "aws.bedrock", "bedrock-runtime.eu-west-1.amazonaws.com", REGION),
        ("gemini", "gcp.gemini", "generativelanguage.googleapis.com", {}),
        ("ollama-native", "ollama", "127.0.0.1", {}),
    ],
)
def test_names_and_addresses(
    name: str,
    genai_name: str,
    address: str,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    if name == "anthropic-vertex" and not options:
        monkeypatch.setenv("CLOUD_ML_REGION", "us-east5")
    source = connect(name, client_options=options).pipeline().source
    assert (source.provider, source.server_address) == (genai_name, address)


@pytest.mark.parametrize("name", ["openai-compatible", "snowflake", "azure"])
def test_provider_without_an_address_asks_for_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(ConfigError, match=rf"{name}: no address; .*pass base_url="):
        connect(name, api_key="k").pipeline()


def test_registering_replaces_a_provider_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    api: Any = Api("acme.stream", source=lambda access: None, parser=None, normalizer=None)  # type: ignore[arg-type, return-value]
    for name in ("acme", "openai", "google"):
        mine = registry.register(Provider(name, (api,)))
        assert provider(name) is mine
        assert name in known_providers()
    assert provider("gemini").name == "gemini"


def test_access_shows_no_secrets() -> None:
    access = Access("sk-secret", "http://h", object(), 2, {"aws_secret_key": "sk-secret"})
    assert "secret" not in repr(access)
    assert "http://h" in repr(access)


def calls_in_the_docs() -> list[str]:
    """Every `connect(...)` of the docs, as source."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    blocks = [block.partition("```")[0] for block in DOCS.read_text().split("```python\n")[1:]]
    return [
        ast.unparse(node)
        for block in blocks
        for node in ast.walk(compile(block, str(DOCS), "exec", flags))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "connect"
    ]


@pytest.mark.parametrize("call", calls_in_the_docs())
def test_connections_of_the_docs_are_made(call: str) -> None:
    if "acme" in call:
        with pytest.raises(UnknownProviderError):
            connect("acme")
        return
    names = {"connect": connect, "client": None, "get_token": lambda: "t"}
    connection = eval(call, names)
    assert connection.provider.name in known_providers()


def test_tables_of_the_docs_are_current() -> None:
    written = DOCS.read_text()
    for name, table in capabilities.tables().items():
        block = capabilities.marked(name, table)
        assert block in written, (
            f"the table {name!r} of docs/providers.md is not what the providers show; write it"
            " with `python -m tests.stages.providers.capabilities docs/providers.md`"
        )


@pytest.mark.corpus
def test_docs_say_what_recordings_show(corpus_dir: Path) -> None:
    written = DOCS.read_text()
    count = len(capabilities.recordings(corpus_dir))
    if f"{count} recordings" not in written:
        pytest.skip("the table in the docs is of another set of recordings")
    assert capabilities.marked("recorded", capabilities.recorded_table(corpus_dir)) in written
