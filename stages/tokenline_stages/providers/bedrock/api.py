"""Bedrock's streaming APIs: Converse, and InvokeModel of chat and of completion models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenline.source import Source
from tokenline_stages.normalizer import normalizer
from tokenline_stages.parser import event_stream_parser
from tokenline_stages.providers.registry import Access, Api, has

from .normalizer import BedrockNormalizer
from .vocabulary import PROVIDER
from .wire import Item, decode

_INVOKE = "invoke-with-response-stream"
_CONVERSE_KEYS = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "model",
        "modelId",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    }
)


def converse_api() -> Api:
    """`POST /model/{modelId}/converse-stream`."""
    wanted = "`messages` in Converse's form"
    return _api("bedrock.converse", "converse-stream", "chat", is_converse_payload, wanted)


def invoke_api() -> Api:
    """`POST /model/{modelId}/invoke-with-response-stream` of a chat model not Anthropic's."""
    wanted = "`messages` in the model's own form"
    return _api("bedrock.invoke", _INVOKE, "chat", has("messages", "message"), wanted)


def completion_api() -> Api:
    """`POST /model/{modelId}/invoke-with-response-stream` of a model that completes a prompt."""
    wanted = "`prompt` or `inputText`"
    accepts = has("prompt", "inputText")
    return _api("bedrock.completion", _INVOKE, "text_completion", accepts, wanted)


def is_converse_payload(payload: Mapping[str, Any]) -> bool:
    """Whether a payload is for Converse: all its members are, and its blocks have no `type`.

    Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
    """
    if not payload.keys() <= _CONVERSE_KEYS:
        return False
    messages = payload.get("messages")
    if not isinstance(messages, (list, tuple)):
        return messages is None and "promptVariables" in payload
    return all(_has_converse_content(message) for message in messages)


def is_anthropic_payload(payload: Mapping[str, Any]) -> bool:
    """Whether a payload is for InvokeModel of one of Anthropic's models."""
    if "messages" not in payload or is_converse_payload(payload):
        return False
    model = payload.get("modelId") or payload.get("model")
    return "anthropic_version" in payload or "anthropic." in str(model)


def _has_converse_content(message: Any) -> bool:
    content = message.get("content") if isinstance(message, Mapping) else None
    return isinstance(content, (list, tuple)) and not any(
        isinstance(block, Mapping) and "type" in block for block in content
    )


def _api(
    name: str,
    action: str,
    operation: str,
    accepts: Callable[[Mapping[str, Any]], bool],
    payload: str,
) -> Api:
    def source(access: Access) -> Source:
        from .source import bedrock_source

        return bedrock_source(access, name, action, operation)

    return Api(
        name=name,
        source=source,
        parser=lambda: event_stream_parser(Item, decode, PROVIDER),
        normalizer=lambda: normalizer(Item, BedrockNormalizer),
        accepts=accepts,
        payload=payload,
    )
