"""How OpenAI-compatible servers differ, as data; the normalizer never looks at names.

Sources: the servers' API references, as of late 2026. What a server leaves out of this table
needs no entry: the wire types take every known field from every server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tokenline.errors import ConfigError

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")


@dataclass(frozen=True, slots=True)
class Quirks:
    """One server's ways.

    Attributes:
        genai_name: OpenTelemetry GenAI provider name.
        base_url: where its API is; None if every user has another.
        key_variable: environment variable of the API key; None if it has no usual one.
        needs_key: whether a request without a key is refused.
        include_usage: whether it takes `stream_options.include_usage`; those that do not send
            usage without being asked.
        proxy: it speaks Chat Completions only, so a Responses payload never goes to it.
        reasoning_fields: text fields of a delta that hold reasoning; the first filled one
            counts, for some servers send the same text in both.
        inline_think: cut text at `<think>` tags. Off: the text is the server's text.
    """

    genai_name: str = "openai_compatible"
    base_url: str | None = None
    key_variable: str | None = None
    needs_key: bool = True
    include_usage: bool = True
    proxy: bool = True
    reasoning_fields: tuple[str, ...] = REASONING_FIELDS
    inline_think: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.reasoning_fields) - set(REASONING_FIELDS)
        if unknown:
            raise ConfigError(
                f"unknown reasoning fields {sorted(unknown)}; known: {', '.join(REASONING_FIELDS)}"
            )


def _local(name: str, port: int, key_variable: str | None, *, proxy: bool) -> Quirks:
    base_url = f"http://localhost:{port}/v1"
    return Quirks(name, base_url, key_variable, needs_key=False, proxy=proxy)


QUIRKS: Mapping[str, Quirks] = MappingProxyType(
    {
        "openai": Quirks("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", proxy=False),
        "azure": Quirks("azure.ai.openai", None, "AZURE_OPENAI_API_KEY", proxy=False),
        "lmstudio": _local("lmstudio", 1234, "LM_API_TOKEN", proxy=True),
        "vllm": _local("vllm", 8000, "VLLM_API_KEY", proxy=False),
        "ollama": _local("ollama", 11434, "OLLAMA_API_KEY", proxy=False),
        "llamacpp": _local("llamacpp", 8080, "LLAMA_API_KEY", proxy=False),
        "deepseek": Quirks("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", proxy=False),
        "openrouter": Quirks(
            "openrouter",
            "https://openrouter.ai/api/v1",
            "OPENROUTER_API_KEY",
            proxy=False,
        ),
        "groq": Quirks("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", proxy=False),
        "mistral": Quirks(
            "mistral_ai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", include_usage=False
        ),
        "xai": Quirks("x_ai", "https://api.x.ai/v1", "XAI_API_KEY", proxy=False),
        "together": Quirks("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        "fireworks": Quirks(
            "fireworks",
            "https://api.fireworks.ai/inference/v1",
            "FIREWORKS_API_KEY",
            proxy=False,
        ),
        "huggingface": Quirks(
            "huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", proxy=False
        ),
        "perplexity": Quirks(
            "perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", include_usage=False
        ),
        "snowflake": Quirks("snowflake", None, "SNOWFLAKE_PAT"),
        "zai": Quirks("zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
        "vercel": Quirks(
            "vercel", "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY", proxy=False
        ),
    }
)
"""The known servers, by provider name."""


def quirks_of(provider: str) -> Quirks:
    """The ways of `provider`; for an unknown one those of a plain compatible server."""
    return QUIRKS.get(provider) or Quirks(genai_name=provider, needs_key=False)
