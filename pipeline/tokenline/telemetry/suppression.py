"""Keeps other instrumentations from making a second span of the same request.

Each looks for a key of its own in the current context. What was tried against the openai SDK,
streaming, raw and parsed (opentelemetry-instrumentation-genai-openai 1.3b0, OpenLLMetry 0.62.4,
OpenInference 0.1.66): `genai` silences the first two, `all` the third too, and HTTP spans.
The anthropic SDK's own spans heed no key: its source switches them off by client option.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from opentelemetry import context as otel_context

from . import attributes as names

_GENAI_MODULE = "opentelemetry.util.genai.invocation"
_SDK_KEY: str = getattr(
    otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", names.SUPPRESS_INSTRUMENTATION
)
"""The key that the SDK's exporters and current instrumentations use; it has no public name."""


def suppression_values(level: Literal["genai", "all"] | None) -> dict[str, object]:
    """Values for the context of a pipeline's tasks."""
    if level is None:
        return {}
    values: dict[str, object] = {names.SUPPRESS_LANGUAGE_MODEL: True}
    marker = _inference_data()
    if marker is not None:
        # One that is made otherwise by now: a span too many is better than none.
        with suppress(Exception):
            values[names.GENAI_INFERENCE_CONTEXT] = marker()
    if level == "all":
        values[names.SUPPRESS_INSTRUMENTATION] = True
        values[_SDK_KEY] = True
    return values


def _inference_data() -> Callable[[], object] | None:
    # Only an instrumentation that is loaded can make spans; none is loaded for this.
    module = sys.modules.get(_GENAI_MODULE)
    if module is None:
        return None
    found: Callable[[], object] | None = getattr(module, "InferenceData", None)
    return found
