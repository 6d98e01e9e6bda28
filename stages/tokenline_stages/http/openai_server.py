"""A server that speaks OpenAI's APIs: what it takes to reach it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """A server that speaks OpenAI's APIs.

    Attributes:
        name: what users call it.
        genai_name: OpenTelemetry GenAI provider name.
        base_url: where its API is; None if every user has another.
        base_url_variable: environment variable of the address.
        key_variable: environment variable of the key.
        needs_key: whether a request without a key is refused.
    """

    name: str
    genai_name: str
    base_url: str | None = None
    base_url_variable: str | None = None
    key_variable: str | None = None
    needs_key: bool = True
