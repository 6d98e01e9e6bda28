"""Hangs the requests of a level under a span of the session, across processes."""

from __future__ import annotations


def attach(traceparent: str) -> None:
    """Make a remote span current in this context (W3C Trace Context, `traceparent`)."""
    from opentelemetry.context import attach as attach_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent}
    attach_context(TraceContextTextMapPropagator().extract(carrier))
