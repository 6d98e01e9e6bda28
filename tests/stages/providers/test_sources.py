"""Every provider end to end over HTTP: what is sent, what comes back, and how it fails."""

import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from aiohttp import web
from anthropic import Anthropic, AsyncAnthropic, AsyncAnthropicBedrock, AsyncAnthropicVertex
from anthropic._constants import ANTHROPIC_API_VERSION
from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tokenline.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ConnectError,
    ContextOverflowError,
    MissingKeyError,
    NotAStreamError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamCutError,
    StreamError,
)
from tokenline.result import Result
from tokenline.source import Request, Source
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages.connection import Connection, connect
from tokenline_stages.http.transport import AiohttpTransport
from tokenline_stages.providers.registry import Access, provider
from tokenline_stages.simulator import Plan, Simulator, ToolCall
from tokenline_stages.simulator.faults import (
    Cut,
    Fault,
    HttpError,
    Redirect,
    Reset,
    WrongContentType,
)

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret"
TURN = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "m", "messages": TURN}
RESPONSES = {"model": "m", "input": "hi"}
MESSAGES = {"model": "m", "messages": TURN, "max_tokens": 9}
BLOCKS = [{"role": "user", "content": [{"text": "hi"}]}]
CONVERSE: dict[str, Any] = {"modelId": "amazon.nova-lite-v1:0", "messages": BLOCKS}
NOVA = CONVERSE | {"schemaVersion": "messages-v1"}
AWS_KEYS: dict[str, Any] = {
    "aws_region": "us-east-1",
    "aws_access_key": "AKID",
    "aws_secret_key": KEY,
}
VERTEX: dict[str, Any] = {"region": "us-east5", "project_id": "p"}
DATED = {"api_version": "2024-10-21"}
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0"

PLAN = Plan(ttft_s=0, inter_token_s=0, tokens=20, reasoning_tokens=2, tool_calls=(ToolCall(),))


@dataclass(frozen=True)
class Target:
    """A provider, a payload for one of its APIs, and where that must arrive."""

    label: str
    name: str
    payload: dict[str, Any]
    path: str
    base: str = ""
    api_key: str | None = KEY
    options: dict[str, Any] = field(default_factory=dict)
    direct: bool = False
    provider: str | None = None

    def connect(self, url: str, **more: Any) -> Connection:
        given: dict[str, Any] = {
            "api_key": self.api_key,
            "client_options": self.options,
            "direct": self.direct,
            "max_retries": 0,
            "telemetry": NoTelemetry(),
        }
        return connect(self.name, base_url=url + self.base, **(given | more))

    def source(self, url: str, max_retries: int) -> Source:
        access = Access(
            self.api_key,
            url + self.base,
            max_retries=max_retries,
            client_options=self.options,
            direct=self.direct,
        )
        return provider(self.name).api_for(self.payload).source(access)


def _bedrock(label: str, payload: dict[str, Any], path: str, name: str = "bedrock") -> Target:
    return Target(
        label, name, payload, path, api_key=None, options=AWS_KEYS, provider="aws.bedrock"
    )


_V1 = "/openai/v1"
_VERTEX_PATH = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/m:streamRawPredict"
_NOVA_PATH = "/model/amazon.nova-lite-v1:0"
_INVOKE = "invoke-with-response-stream"

TARGETS = [
    Target("openai chat", "openai", CHAT, "/v1/chat/completions", "/v1"),
    Target("openai responses", "openai", RESPONSES, "/v1/responses", "/v1"),
    Target("openai chat direct", "openai", CHAT, "/v1/chat/completions", "/v1", direct=True),
    Target("openai responses direct", "openai", RESPONSES, "/v1/responses", "/v1", direct=True),
    Target("azure v1", "azure", CHAT, f"{_V1}/chat/completions", provider="azure.ai.openai"),
    Target("azure v1 given", "azure", RESPONSES, f"{_V1}/responses", _V1),
    Target("azure chat", "azure", CHAT, "/openai/deployments/m/chat/completions", options=DATED),
    Target("azure responses", "azure", RESPONSES, "/openai/responses", options=DATED),
    Target(
        "azure deployment",
        "azure",
        CHAT,
        "/openai/deployments/d/chat/completions",
        "/openai/deployments/d",
        options=DATED,
    ),
    Target(
        "azure deployment responses",
        "azure",
        RESPONSES,
        "/openai/responses",
        "/openai/deployments/d/",
        options=DATED,
    ),
    Target("lmstudio", "lmstudio", CHAT, "/v1/chat/completions", "/v1", None),
    Target("compatible", "openai-compatible", CHAT, "/x/chat/completions", "/x", None),
    Target(
        "compatible direct", "openai-compatible", CHAT, "/x/chat/completions", "/x", direct=True
    ),
    Target("mistral", "mistral", CHAT, "/v1/chat/completions", "/v1", provider="mistral_ai"),
    Target("anthropic", "anthropic", MESSAGES, "/v1/messages"),
    Target("anthropic direct", "anthropic", MESSAGES, "/v1/messages", direct=True),
    Target(
        "vertex",
        "anthropic-vertex",
        MESSAGES,
        _VERTEX_PATH,
        "/v1",
        options=VERTEX,
        provider="gcp.vertex_ai",
    ),
    _bedrock("anthropic bedrock", MESSAGES, f"/model/m/{_INVOKE}", "anthropic-bedrock"),
    Target(
        "anthropic bedrock key",
        "anthropic-bedrock",
        MESSAGES,
        f"/model/m/{_INVOKE}",
        options={"aws_region": "us-east-1"},
        provider="aws.bedrock",
    ),
    _bedrock("converse", CONVERSE, f"{_NOVA_PATH}/converse-stream"),
    _bedrock("invoke", NOVA, f"{_NOVA_PATH}/{_INVOKE}"),
    _bedrock(
        "invoke messages",
        {"modelId": "anthropic.claude-x", "messages": TURN, "max_tokens": 9},
        f"/model/anthropic.claude-x/{_INVOKE}",
    ),
    Target(
        "gemini",
        "gemini",
        {"model": "m", "contents": [{"parts": [{"text": "hi"}]}]},
        "/v1beta/models/m:streamGenerateContent",
        provider="gcp.gemini",
    ),
    Target("ollama chat", "ollama-native", CHAT, "/api/chat", provider="ollama"),
    Target(
        "ollama generate",
        "ollama-native",
        {"model": "m", "prompt": "hi"},
        "/api/generate",
        provider="ollama",
    ),
]
BY_LABEL = {target.label: target for target in TARGETS}
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.label)


async def read(connection: Connection, payload: dict[str, Any], **options: Any) -> Result:
    async with connection.run(payload, **options) as run:
        async for _ in run:
            pass
        return await run.result()


# --- a whole answer ---------------------------------------------------------------------------


@EACH_TARGET
async def test_answer_comes_as_planned(target: Target) -> None:
    sent = json.dumps(target.payload)
    # Mistral sends counts unasked, on the chunk that finishes.
    plan = PLAN.with_changes({"usage": "finish"}) if target.name == "mistral" else PLAN
    async with Simulator(plan) as simulator, target.connect(simulator.url) as connection:
        result = await read(connection, target.payload)
        entry = simulator.ledger.last
    assert entry.path == target.path
    assert result.text == entry.text
    assert result.reasoning == entry.reasoning
    planned = [] if target.label == "ollama generate" else entry.tool_arguments
    assert [call.parsed for call in result.tool_calls] == [json.loads(x) for x in planned]
    usage = result.usage
    assert (usage.input_tokens, usage.output_tokens) == (12, 20 + 2 + 4)
    assert result.provider == target.provider or (target.provider is None and result.provider)
    assert json.dumps(target.payload) == sent


# --- what is sent -----------------------------------------------------------------------------


@dataclass
class Sent:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[], web.Response]


def refuse() -> web.Response:
    return web.json_response({"error": {"message": "no", "type": "invalid"}}, status=400)


@asynccontextmanager
async def capture(answer: Answer = refuse) -> AsyncIterator[tuple[str, list[Sent]]]:
    """A server that keeps requests as they are, and refuses them unless told otherwise."""
    sent: list[Sent] = []

    async def handle(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent.append(Sent(request.raw_path, headers, await request.read()))
        return answer()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", sent
    finally:
        await runner.cleanup()


async def send(target: Target, payload: dict[str, Any] | None = None, **options: Any) -> Sent:
    async with capture() as (url, sent), target.connect(url) as connection:
        with pytest.raises(BadRequestError):
            await read(connection, target.payload if payload is None else payload, **options)
    return sent[0]


VERSION = {"anthropic_version": ANTHROPIC_API_VERSION}
ASKED = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("label", "added", "removed"),
    [
        ("openai chat", {"stream": True, **ASKED}, ()),
        ("openai chat direct", {"stream": True, **ASKED}, ()),
        ("openai responses", {"stream": True}, ()),
        ("azure chat", {"stream": True, **ASKED}, ()),
        ("azure responses", {"stream": True}, ()),
        ("lmstudio", {"stream": True, **ASKED}, ()),
        ("mistral", {"stream": True}, ()),
        ("anthropic", {"stream": True}, ()),
        ("vertex", {"stream": True, **VERSION}, ("model",)),
        ("anthropic bedrock", VERSION, ("model",)),
        ("invoke messages", VERSION, ("modelId",)),
        ("converse", {}, ("modelId",)),
        ("invoke", {}, ("modelId",)),
        ("gemini", {}, ("model",)),
        ("ollama chat", {"stream": True}, ()),
    ],
)
async def test_nothing_but_what_streaming_needs_is_added(
    label: str, added: dict[str, Any], removed: tuple[str, ...]
) -> None:
    target = BY_LABEL[label]
    sent = await send(target, headers={"x-mine": "1"})
    kept = {name: value for name, value in target.payload.items() if name not in removed}
    assert sent.json == kept | added
    assert sent.headers["x-mine"] == "1"
    assert sent.headers["content-type"] == "application/json"


@pytest.mark.parametrize("label", ["openai chat", "azure chat", "lmstudio", "openai chat direct"])
async def test_callers_own_stream_options_stay(label: str) -> None:
    options = {"include_usage": False, "include_obfuscation": False}
    sent = await send(BY_LABEL[label], CHAT | {"stream_options": options})
    assert sent.json["stream_options"] == options


@pytest.mark.parametrize(
    ("label", "header", "value"),
    [
        ("openai chat", "authorization", f"Bearer {KEY}"),
        ("azure v1", "authorization", f"Bearer {KEY}"),
        ("azure chat", "api-key", KEY),
        ("vertex", "authorization", f"Bearer {KEY}"),
        ("anthropic bedrock key", "authorization", f"Bearer {KEY}"),
        ("gemini", "x-goog-api-key", KEY),
        ("ollama chat", "authorization", f"Bearer {KEY}"),
    ],
)
async def test_key_goes_where_the_provider_wants_it(label: str, header: str, value: str) -> None:
    assert (await send(BY_LABEL[label])).headers[header] == value


@pytest.mark.parametrize(
    ("label", "variable"),
    [
        ("openai chat", "OPENAI_API_KEY"),
        ("azure chat", "AZURE_OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("vertex", None),
        ("anthropic bedrock key", None),
        ("gemini", "GEMINI_API_KEY"),
    ],
)
async def test_key_with_a_line_break_is_the_key(
    label: str, variable: str | None, no_credentials: pytest.MonkeyPatch
) -> None:
    target = BY_LABEL[label]
    key: str | None = f"{KEY}\n"
    if variable is not None:
        no_credentials.setenv(variable, f"{KEY}\n")
        key = None
    async with capture() as (url, sent), target.connect(url, api_key=key) as connection:
        with pytest.raises(BadRequestError):
            await read(connection, target.payload)
    assert KEY in {value.removeprefix("Bearer ") for value in sent[0].headers.values()}


async def test_azure_takes_a_token_provider_of_either_kind() -> None:
    async def token_later() -> str:
        return "token-1"

    for token in (token_later, lambda: "token-1"):
        for options in (DATED, {}):
            given = options | {"azure_ad_token_provider": token}
            target = Target("", "azure", CHAT, "", api_key=None, options=given)
            assert (await send(target)).headers["authorization"] == "Bearer token-1"


async def test_client_options_reach_the_client() -> None:
    options = {"default_headers": {"x-team": "7"}, "default_query": {"a": "b"}}
    sent = await send(Target("", "openai", CHAT, "", options=options))
    assert sent.headers["x-team"] == "7"
    assert sent.path.endswith("?a=b")


async def test_accounts_at_openai_are_named_to_openai_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    sent = await send(BY_LABEL["openai chat"])
    assert sent.headers["openai-organization"] == "org-1"
    for label in ("lmstudio", "azure v1", "azure chat", "mistral", "compatible direct"):
        headers = (await send(BY_LABEL[label])).headers
        assert not {"openai-organization", "openai-project"} & headers.keys()


# --- signatures -------------------------------------------------------------------------------


def signature_of(sent: Sent, url: str) -> str:
    """The SigV4 signature that a request ought to have, by botocore."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signed = sent.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    headers = {name: sent.headers[name] for name in signed.split(";")}
    request = AWSRequest("POST", url + sent.path, headers=headers, data=sent.body)
    request.context["timestamp"] = sent.headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKID", KEY), "bedrock", "us-east-1")
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    signature: str = auth.signature(to_sign, request)
    return signature


@pytest.mark.parametrize("model", ["m", "amazon.nova-lite-v1:0", ARN, "odd name/ü+%(x)"])
@pytest.mark.parametrize("label", ["converse", "invoke"])
async def test_signature_fits_what_arrived(label: str, model: str) -> None:
    target = BY_LABEL[label]
    payload = target.payload | {"modelId": model}
    async with capture() as (url, sent), target.connect(url) as connection:
        with pytest.raises(BadRequestError):
            await read(connection, payload)
    (request,) = sent
    given = request.headers["authorization"].rpartition("Signature=")[2]
    assert given == signature_of(request, url)
    digest = request.headers.get("x-amz-content-sha256")
    assert digest in (None, hashlib.sha256(request.body).hexdigest())


@pytest.mark.parametrize("label", ["converse", "invoke", "anthropic bedrock", "vertex", "gemini"])
async def test_payload_without_a_model_is_refused(label: str) -> None:
    target = BY_LABEL[label]
    unnamed = {key: x for key, x in target.payload.items() if key not in ("model", "modelId")}
    async with capture() as (url, sent), target.connect(url) as connection:
        with pytest.raises(ConfigError, match="names no model"):
            await read(connection, unnamed)
    assert sent == []


# --- failures ---------------------------------------------------------------------------------

FAILURES: list[tuple[Fault, type[StreamError]]] = [
    (HttpError(status=401), AuthenticationError),
    (HttpError(status=404), NotFoundError),
    (HttpError(status=429, retry_after="7"), RateLimitError),
    (HttpError(status=500), ServerError),
    (HttpError(status=400, message="prompt is too long:\n1 > 0"), ContextOverflowError),
    (HttpError(status=502, body="html"), ServerError),
    (HttpError(status=503, body="empty"), OverloadedError),
    (HttpError(status=503, body="text"), OverloadedError),
    (Redirect(location="https://elsewhere.example/v1"), NotAStreamError),
    (WrongContentType(content_type="text/html"), NotAStreamError),
    (Cut(at_byte=0), StreamCutError),
    (Cut(after_tokens=3), StreamCutError),
    (Reset(at_byte=0), StreamCutError),
]


@EACH_TARGET
async def test_failures_are_typed_and_on_one_line(target: Target) -> None:
    async with Simulator(PLAN) as simulator, target.connect(simulator.url) as connection:
        for fault, error_type in FAILURES:
            simulator.plan = PLAN.with_changes({"faults": [fault]})
            with pytest.raises(StreamError) as failure:
                await read(connection, target.payload)
            error = failure.value
            assert type(error) is error_type, (fault, error)
            assert "\n" not in str(error)
            assert KEY not in str(error) + repr(error) + repr(connection.pipeline().source)
            assert error.provider is not None
            if isinstance(fault, HttpError):
                assert error.status == fault.status
            if error_type is RateLimitError:
                assert error.retry_after_s == 7
            if isinstance(fault, Redirect):
                assert "elsewhere.example" in str(error)


@EACH_TARGET
async def test_port_without_a_server(target: Target) -> None:
    async with target.connect("http://127.0.0.1:9") as connection:
        with pytest.raises(ConnectError, match=r"cannot reach 127\.0\.0\.1:9") as failure:
            await read(connection, target.payload)
    assert failure.value.retryable
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("label", ["openai chat", "azure chat", "anthropic", "vertex", "gemini"])
async def test_json_in_place_of_a_stream_is_read_as_the_error_it_is(label: str) -> None:
    def overloaded() -> web.Response:
        return web.json_response({"error": {"message": "Overloaded", "type": "overloaded_error"}})

    target = BY_LABEL[label]
    async with capture(overloaded) as (url, _), target.connect(url) as connection:
        with pytest.raises(OverloadedError) as failure:
            await read(connection, target.payload)
    assert failure.value.status == 200


@pytest.mark.parametrize("label", ["openai chat", "azure chat", "vertex", "converse"])
async def test_sdk_retries_send_the_same_again(label: str) -> None:
    answers = iter([503, 503, 400])

    def answer() -> web.Response:
        headers = {"retry-after-ms": "1"}
        return web.json_response({"message": "no"}, status=next(answers), headers=headers)

    target = BY_LABEL[label]
    async with capture(answer) as (url, sent):
        source = target.source(url, max_retries=2)
        with pytest.raises(BadRequestError):
            await source.open(Request(target.payload))
        await source.aclose()
    assert len(sent) == 3
    assert {(request.path, request.body) for request in sent} == {(sent[0].path, sent[0].body)}


async def test_aws_names_the_error_in_a_header() -> None:
    def answer() -> web.Response:
        headers = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"}
        return web.json_response({"message": "slow down"}, status=429, headers=headers)

    target = BY_LABEL["converse"]
    async with capture(answer) as (url, _), target.connect(url) as connection:
        with pytest.raises(RateLimitError, match="slow down") as failure:
            await read(connection, target.payload)
    assert failure.value.code == "throttlingException"


# --- credentials ------------------------------------------------------------------------------


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """An environment without keys, profiles or metadata servers."""
    prefixes = ("OPENAI_", "AZURE_", "ANTHROPIC_", "AWS_", "GOOGLE_", "GEMINI_", "CLOUD_ML_")
    keys = ("DEEPSEEK_API_KEY", "GROQ_API_KEY", "XAI_API_KEY")
    for name in list(os.environ):
        if name.startswith(prefixes) or name in keys:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "options", "payload", "variables"),
    [
        ("openai", {}, CHAT, ["OPENAI_API_KEY"]),
        ("openai", {}, RESPONSES, ["OPENAI_API_KEY"]),
        ("openai", {"direct": True}, CHAT, ["OPENAI_API_KEY"]),
        ("deepseek", {}, CHAT, ["DEEPSEEK_API_KEY"]),
        ("groq", {}, CHAT, ["GROQ_API_KEY"]),
        ("xai", {"direct": True}, CHAT, ["XAI_API_KEY"]),
        ("azure", {}, CHAT, ["AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"]),
        ("anthropic", {}, MESSAGES, ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]),
        ("anthropic", {"direct": True}, MESSAGES, ["ANTHROPIC_API_KEY"]),
        ("anthropic-vertex", {}, MESSAGES, ["CLOUD_ML_REGION"]),
        (
            "anthropic-vertex",
            {"client_options": {"region": "us-east5"}},
            MESSAGES,
            ["ANTHROPIC_VERTEX_PROJECT_ID"],
        ),
        (
            "anthropic-vertex",
            {"client_options": VERTEX},
            MESSAGES,
            ["GOOGLE_APPLICATION_CREDENTIALS"],
        ),
        ("anthropic-bedrock", {}, MESSAGES, ["AWS_REGION"]),
        (
            "anthropic-bedrock",
            {"client_options": {"aws_region": "us-east-1"}},
            MESSAGES,
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"],
        ),
        ("bedrock", {}, CONVERSE, ["AWS_REGION"]),
        (
            "bedrock",
            {"client_options": {"aws_region": "us-east-1"}},
            CONVERSE,
            ["AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK"],
        ),
        (
            "bedrock",
            {"client_options": {"aws_region": "us-east-1", "aws_profile": "nobody"}},
            CONVERSE,
            ["nobody", "AWS_PROFILE"],
        ),
        ("gemini", {}, {"model": "m", "contents": []}, ["GEMINI_API_KEY"]),
    ],
)
async def test_missing_credentials_are_named_before_anything_is_sent(
    name: str,
    options: dict[str, Any],
    payload: dict[str, Any],
    variables: list[str],
    no_credentials: pytest.MonkeyPatch,
) -> None:
    if name not in ("openai", "azure"):
        no_credentials.setenv("OPENAI_API_KEY", KEY)  # of no use to anybody else
    async with capture() as (url, sent):
        connection = connect(name, base_url=url, telemetry=NoTelemetry(), **options)
        async with connection:
            with pytest.raises(MissingKeyError) as failure:
                await read(connection, payload)
    for variable in variables:
        assert variable in str(failure.value)
    assert "\n" not in str(failure.value)
    assert sent == []


@pytest.mark.parametrize(
    ("label", "module", "extra"),
    [
        ("converse", "botocore.auth", r"tokenline\[bedrock\]"),
        ("anthropic bedrock", "botocore.auth", r"tokenline\[bedrock\]"),
        ("vertex", "google.auth", r"tokenline\[vertex\]"),
    ],
)
async def test_missing_library_is_named(
    label: str, module: str, extra: str, no_credentials: pytest.MonkeyPatch
) -> None:
    target = BY_LABEL[label]
    no_credentials.setitem(sys.modules, module, None)
    async with capture() as (url, sent), target.connect(url, api_key=None) as connection:
        with pytest.raises(MissingKeyError, match=extra):
            await read(connection, target.payload)
    assert sent == []


async def test_unknown_client_option_is_refused() -> None:
    options = {"nonsense": KEY}
    connection = connect(
        "openai", base_url="http://127.0.0.1:9", api_key=KEY, client_options=options
    )
    async with connection:
        with pytest.raises(ConfigError, match="nonsense") as failure:
            await read(connection, CHAT)
    assert KEY not in str(failure.value)


# --- the user's own client --------------------------------------------------------------------


def own_clients(url: str, **options: Any) -> dict[str, tuple[Any, str, dict[str, Any]]]:
    """Clients of every kind: the client, the provider's name and a payload."""
    azure: dict[str, Any] = {"api_key": KEY, "azure_endpoint": url, "api_version": "2024-10-21"}
    bedrock = AWS_KEYS | {"base_url": url}
    vertex = VERTEX | {"access_token": KEY, "base_url": f"{url}/v1"}
    return {
        "openai": (AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", **options), "openai", CHAT),
        "azure": (AsyncAzureOpenAI(**azure, **options), "azure", CHAT),
        "azure deployment": (
            AsyncAzureOpenAI(**azure, azure_deployment="d", **options),
            "azure",
            RESPONSES,
        ),
        "anthropic": (AsyncAnthropic(api_key=KEY, base_url=url, **options), "anthropic", MESSAGES),
        "vertex": (AsyncAnthropicVertex(**vertex, **options), "anthropic-vertex", MESSAGES),
        "bedrock": (AsyncAnthropicBedrock(**bedrock, **options), "anthropic-bedrock", MESSAGES),
        "converse": (AsyncAnthropicBedrock(**bedrock, **options), "bedrock", CONVERSE),
    }


@pytest.mark.parametrize("transport", ["default", "aiohttp"])
async def test_own_client_is_used_and_left_open(transport: str) -> None:
    async with Simulator(PLAN) as simulator:
        carrier = httpx2.AsyncClient(transport=AiohttpTransport())
        options = {} if transport == "default" else {"http_client": carrier}
        for label, (client, name, payload) in own_clients(simulator.url, **options).items():
            async with connect(name, client=client, telemetry=NoTelemetry()) as connection:
                assert connection.pipeline(payload).source.server_address == "127.0.0.1"
                result = await read(connection, payload)
            assert result.text == simulator.ledger.last.text, label
            assert result.usage.output_tokens == 26
            assert not client.is_closed()
            if transport == "default":
                await client.close()
        assert not carrier.is_closed
        await carrier.aclose()


async def test_own_clients_failures_are_typed_too() -> None:
    async with Simulator(PLAN) as simulator:
        for client, name, payload in own_clients(simulator.url, max_retries=0).values():
            async with client, connect(name, client=client, telemetry=NoTelemetry()) as connection:
                for fault, error_type in ((HttpError(status=404), NotFoundError), FAILURES[-2]):
                    simulator.plan = PLAN.with_changes({"faults": [fault]})
                    with pytest.raises(error_type) as failure:
                        await read(connection, payload)
                    assert KEY not in str(failure.value)


async def test_own_client_with_middleware() -> None:
    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    async with Simulator(PLAN) as simulator:
        client = AsyncAnthropic(api_key=KEY, base_url=simulator.url, middleware=[pass_on])
        async with client, connect("anthropic", client=client, telemetry=NoTelemetry()) as mine:
            assert (await read(mine, MESSAGES)).text == simulator.ledger.last.text


async def test_anthropic_makes_no_second_span(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracing)
    async with (
        Simulator(PLAN) as simulator,
        AsyncAnthropic(api_key=KEY, base_url=simulator.url) as client,
        connect("anthropic", client=client, telemetry=NoTelemetry()) as mine,
        BY_LABEL["anthropic"].connect(simulator.url) as ours,
    ):
        await read(mine, MESSAGES)
        await read(ours, MESSAGES)
        assert spans.get_finished_spans() == ()
        await client.messages.create(model="m", messages=[], max_tokens=1)
        assert len(spans.get_finished_spans()) == 1


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("openai", lambda: OpenAI(api_key=KEY), "no asynchronous client; pass an AsyncOpenAI"),
        ("anthropic", lambda: Anthropic(api_key=KEY), "no asynchronous client"),
        ("openai", lambda: AsyncAnthropic(api_key=KEY), "of another provider; pass an AsyncOpenAI"),
        ("anthropic", lambda: AsyncOpenAI(api_key=KEY), "pass an AsyncAnthropic,"),
        ("anthropic", lambda: AsyncAnthropicBedrock(**AWS_KEYS), "pass an AsyncAnthropic,"),
        ("bedrock", lambda: AsyncAnthropic(api_key=KEY), "pass an AsyncAnthropicBedrock"),
        ("anthropic-vertex", lambda: AsyncAnthropic(api_key=KEY), "pass an AsyncAnthropicVertex"),
        ("openai", object, "pass an AsyncOpenAI"),
        ("gemini", object, "without an SDK"),
        ("ollama-native", object, "without an SDK"),
    ],
)
def test_client_of_another_kind_is_refused(name: str, make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        connect(name, client=make()).pipeline()


@pytest.mark.parametrize("name", ["azure", "anthropic-vertex", "anthropic-bedrock", "bedrock"])
def test_clouds_need_their_sdk(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: its SDK makes the requests"):
        connect(name, base_url="http://127.0.0.1:9", direct=True).pipeline()
