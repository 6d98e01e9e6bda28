"""Set-up from the environment, the default of a pipeline, and what is imported when."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import TracerProvider

from tests.pipeline.telemetry.conftest import Collector
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.errors import ConfigError
from tokenline.telemetry import NoTelemetry, TelemetryOptions, configure, default_telemetry, setup
from tokenline.telemetry.hook import NoRunSpan
from tokenline.telemetry.otel import OTelTelemetry
from tokenline.telemetry.own import OwnTelemetry

pytestmark = pytest.mark.usefixtures("no_otel_variables")


def python(code: str, **variables: str) -> str:
    """What a fresh interpreter prints."""
    import os

    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout + done.stderr


def span_count(collector: Collector) -> int:
    return sum(
        len(scope.spans)
        for export in collector.traces
        for resource in export.resource_spans
        for scope in resource.scope_spans
    )


class TestImports:
    def test_importing_tokenline_imports_no_opentelemetry(self) -> None:
        code = (
            "import sys, tokenline, tokenline.telemetry as t; t.default_telemetry();"
            "t.setup.current_telemetry();"
            "print([m for m in sys.modules if m.startswith(('opentelemetry', 'grpc', 'requests'))])"
        )
        assert python(code).strip() == "[]"

    def test_users_provider_needs_no_exporter(self) -> None:
        code = (
            "import sys; from tokenline.telemetry import OTelTelemetry; OTelTelemetry();"
            "print([m for m in sys.modules if m.startswith('opentelemetry.exporter')])"
        )
        assert python(code).strip() == "[]"

    def test_http_needs_no_grpc(self) -> None:
        code = (
            "import sys; from tokenline.telemetry import configure;"
            "configure(endpoint='http://127.0.0.1:1').shutdown(0.2); print('grpc' in sys.modules)"
        )
        assert python(code).splitlines()[0] == "False"


class TestConfigure:
    @pytest.mark.parametrize(
        "variable", ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE=9999", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=many"]
    )
    def test_values_that_the_sdk_does_not_take(self, variable: str) -> None:
        code = (
            "from tokenline.errors import ConfigError; from tokenline.telemetry import configure\n"
            "try: configure(endpoint='http://127.0.0.1:1')\n"
            "except ConfigError as error: print(error)"
        )
        name, _, value = variable.partition("=")
        assert "check the OTEL_* variables" in python(code, **{name: value})

    def test_exports_by_the_standard_variables(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        telemetry = configure()
        telemetry.start(run_info()).end(run_record())
        assert telemetry.shutdown(5.0)
        assert span_count(collector) == 4
        assert collector.metrics
        assert all(headers["x-key"] == "secret" for headers in collector.headers)
        resource = collector.traces[0].resource_spans[0].resource
        values = {pair.key: pair.value.string_value for pair in resource.attributes}
        assert values["service.name"] == "shop"

    def test_arguments_come_before_variables(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        telemetry = configure(
            endpoint=collector.endpoint + "/",
            service_name="argument",
            headers={"x-key": "argument"},
            options=TelemetryOptions(stages="off"),
        )
        telemetry.start(run_info()).end(run_record())
        assert telemetry.shutdown(5.0)
        assert span_count(collector) == 1
        assert collector.headers[0]["x-key"] == "argument"

    def test_is_closed_once(self, collector: Collector) -> None:
        telemetry = configure(endpoint=collector.endpoint)
        assert telemetry.flush(5.0)
        assert telemetry.shutdown(5.0)
        assert telemetry.shutdown(5.0)
        assert telemetry.flush(5.0)
        telemetry.start(run_info()).end(run_record())
        telemetry.flush(1.0)
        assert span_count(collector) == 0

    def test_flush_leaves_it_open(self, collector: Collector) -> None:
        telemetry = configure(endpoint=collector.endpoint)
        for expected in (4, 8):
            telemetry.start(run_info()).end(run_record())
            assert telemetry.flush(5.0)
            assert span_count(collector) == expected
        telemetry.shutdown(5.0)

    def test_signals_can_be_switched_off(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        telemetry = configure(endpoint=collector.endpoint)
        telemetry.start(run_info()).end(run_record())
        assert telemetry.shutdown(5.0)
        assert collector.traces
        assert not collector.metrics

    def test_endpoint_of_traces_alone_sends_no_metrics_elsewhere(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.endpoint + "/v1/traces")
        telemetry = configure()
        telemetry.start(run_info()).end(run_record())
        assert telemetry.shutdown(5.0)
        assert span_count(collector) == 4
        assert not collector.metrics

    def test_disabled_sdk_does_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        telemetry = configure(endpoint="http://127.0.0.1:1")
        assert isinstance(telemetry.start(run_info()), NoRunSpan)
        assert telemetry.shutdown(0.1)

    @pytest.mark.parametrize(
        ("variable", "value", "named"),
        [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml", "http/protobuf or grpc"),
            ("OTEL_TRACES_EXPORTER", "jeager", "OTEL_TRACES_EXPORTER"),
            ("OTEL_METRICS_EXPORTER", "nowhere", "OTEL_METRICS_EXPORTER"),
        ],
    )
    def test_mistakes_say_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
    ) -> None:
        monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigError, match=named) as caught:
            configure(endpoint="http://127.0.0.1:1")
        assert value in str(caught.value)

    def test_global_providers_are_left_alone(self, collector: Collector) -> None:
        before = trace.get_tracer_provider(), metrics.get_meter_provider()
        configure(endpoint=collector.endpoint).shutdown(5.0)
        assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before


@pytest.fixture
def forgetful() -> Iterator[None]:
    """The environment is read anew before and after the test."""
    setup._of_environment.cache_clear()
    yield
    setup._of_environment.cache_clear()


@pytest.mark.usefixtures("forgetful")
class TestDefault:
    def test_nothing_said_nothing_done(self) -> None:
        assert isinstance(setup.current_telemetry(), NoTelemetry)
        assert isinstance(default_telemetry().start(run_info()), NoRunSpan)
        assert default_telemetry().flush(0.1)

    def test_endpoint_variable_configures_once(
        self, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        telemetry = setup.current_telemetry()
        assert isinstance(telemetry, OwnTelemetry)
        assert setup.current_telemetry() is telemetry
        default_telemetry().start(run_info()).end(run_record())
        assert default_telemetry().flush(5.0)
        assert span_count(collector) == 4
        telemetry.shutdown(5.0)

    @pytest.mark.parametrize(
        "variables",
        [
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "None"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "True"},
        ],
    )
    def test_said_to_be_off(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
    ) -> None:
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        assert isinstance(setup.current_telemetry(), NoTelemetry)

    def test_mistake_is_logged_and_costs_no_run(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")
        assert isinstance(default_telemetry().start(run_info()), NoRunSpan)
        assert "carrier-pigeon" in caplog.text

    def test_global_provider_set_later_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        telemetry = default_telemetry()
        assert isinstance(telemetry.start(run_info()), NoRunSpan)
        provider = TracerProvider(shutdown_on_exit=False)
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        run = telemetry.start(run_info())
        assert run.task_context is not None
        run.end(run_record())
        assert telemetry.flush(1.0)
        provider.shutdown()

    def test_global_provider_set_later_is_found_by_users_telemetry(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        telemetry = OTelTelemetry()
        assert isinstance(telemetry.start(run_info()), NoRunSpan)
        provider = TracerProvider(shutdown_on_exit=False)
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        assert not isinstance(telemetry.start(run_info()), NoRunSpan)
        provider.shutdown()


SCRIPT = """
import asyncio, sys
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.telemetry import {name}
telemetry = {name}()
async def main():
    telemetry.start(run_info()).end(run_record())
asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["configure", "default_telemetry"])
def test_end_of_the_process_exports_what_is_left(collector: Collector, name: str) -> None:
    """The loop is gone before the stage spans are made; they come all the same."""
    printed = python(SCRIPT.format(name=name), OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert printed == ""
    assert span_count(collector) == 4
    assert collector.metrics


def test_console_exporter() -> None:
    variables: dict[str, Any] = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"}
    printed = python(SCRIPT.format(name="default_telemetry"), **variables)
    assert '"name": "stage parser"' in printed
