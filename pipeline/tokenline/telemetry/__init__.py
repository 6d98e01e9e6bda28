"""Spans and metrics of runs; the only folder that imports opentelemetry, and only when used."""
