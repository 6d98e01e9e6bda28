"""The compose file and what it mounts, as far as that can be checked without starting it.

Every file parses, every mounted path is there, every name that one file has for something in
another is known there; Prometheus' own tool reads its configuration.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
FOLDER = DASHBOARDS / "compose"
HOST = re.compile(r"^(?:http://)?([a-z]+):(\d+)(?:/|$)")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


COMPOSE = read("docker-compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
PORTS = {"collector": {4317, 4318}, "tempo": {3200, 4317}, "prometheus": {9090}, "grafana": {3000}}
"""Where each listens inside the network of the compose file."""


def mounts() -> Iterator[tuple[str, str, str]]:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source, target, *mode = volume.split(":")
            yield source, target, "".join(mode)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def test_what_is_mounted_is_there_and_read_only() -> None:
    for source, _, mode in mounts():
        if source.startswith("."):
            assert (FOLDER / source).exists(), source
            assert mode == "ro", source
        else:
            assert source in COMPOSE["volumes"]


def test_services_know_each_other() -> None:
    assert SERVICES.keys() == PORTS.keys()
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
    files = ("collector.yaml", "prometheus.yaml", "grafana/datasources/datasources.yaml")
    hosts = [HOST.match(text) for name in files for text in strings(read(name))]
    named = [(match[1], int(match[2])) for match in hosts if match is not None]
    assert named
    for host, port in named:
        assert port in PORTS[host], f"{host}:{port}"


def test_images_have_a_version_and_ports_are_of_this_machine_only() -> None:
    for service in SERVICES.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_commands_name_mounted_files() -> None:
    targets = {target for _, target, _ in mounts()}
    for service in SERVICES.values():
        files = [word.partition("=")[2] for word in service.get("command", ()) if "config" in word]
        assert set(files) <= targets
    assert set(read("prometheus.yaml")["rule_files"]) <= targets
    for provider in read("grafana/dashboards/dashboards.yaml")["providers"]:
        assert provider["options"]["path"] in targets


def test_pipelines_of_the_collector_use_what_it_defines() -> None:
    collector = read("collector.yaml")
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= collector[kind].keys()


def test_exemplars_lead_to_a_data_source() -> None:
    sources = {
        each["uid"]: each for each in read("grafana/datasources/datasources.yaml")["datasources"]
    }
    for link in sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]:
        assert link["datasourceUid"] in sources


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    config = read("prometheus.yaml")
    config["rule_files"] = [str(DASHBOARDS / "prometheus" / "alerts.yaml")]
    path = tmp_path / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config))
    checked = subprocess.run(
        ["promtool", "check", "config", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS" in checked.stdout
