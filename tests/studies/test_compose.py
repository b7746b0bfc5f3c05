"""docker-compose.yml, as far as it can be checked without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text()
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def test_ports_are_open_to_this_machine_alone(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    built = [
        service["build"]["dockerfile_inline"]
        for service in compose["services"].values()
        if "build" in service
    ]
    images += [line.split()[1] for text in built for line in text.splitlines() if "FROM" in line]
    assert len(images) > len(built)
    assert all(re.fullmatch(r"[\w/.]+:[\w.-]*\d[\w.-]*", image) for image in images)


def test_the_store_is_kept_checked_and_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["store"]["volumes"][0].split(":")[0] in compose["volumes"]
    assert "pg_isready" in services["store"]["healthcheck"]["test"]
    assert services["setup"]["depends_on"]["store"]["condition"] == "service_healthy"
    ended = "service_completed_successfully"
    assert services["worker"]["depends_on"]["setup"]["condition"] == ended


def test_the_password_is_a_secret_and_in_no_url(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["secrets"] == ["postgres_password"]
        for value in service["environment"].values():
            assert not re.search(r"//[^/@]*:[^/@]*@", value)


def test_the_image_gets_every_package(compose: dict[str, Any]) -> None:
    dockerfile = compose["services"]["worker"]["build"]["dockerfile_inline"]
    copied = set(re.findall(r"^COPY (\w+) \./\1$", dockerfile, flags=re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
    assert copied == packages
