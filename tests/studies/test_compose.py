"""docker-compose.yml, as far as it can be checked without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "tests" / "schemas" / "compose-spec.json"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text()
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile(services: dict[str, Any]) -> str:
    text: str = services["worker"]["build"]["dockerfile_inline"]
    return text


def test_it_is_a_compose_file(compose: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(compose)


def test_ports_are_open_to_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_pinned(services: dict[str, Any], dockerfile: str) -> None:
    images = [service["image"] for service in services.values()]
    images += re.findall("^FROM (.*)$", dockerfile, flags=re.MULTILINE)
    assert len(images) == len(services) + 1
    assert all(re.fullmatch(r"[\w/.]+:[\w.-]*\d[\w.-]*", image) for image in images)


def test_the_store_is_kept_checked_and_waited_for(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    store = services["store"]
    assert store["volumes"][0].split(":")[0] in compose["volumes"]
    assert "pg_isready" in store["healthcheck"]["test"][1]
    for name in ("setup", "worker", "dashboard"):
        assert services[name]["depends_on"]["store"]["condition"] == "service_healthy"
    for name in ("worker", "dashboard"):
        ended = services[name]["depends_on"]["setup"]["condition"]
        assert ended == "service_completed_successfully"


def test_no_container_has_rights_that_it_does_not_need(
    services: dict[str, Any], dockerfile: str
) -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", dockerfile, flags=re.MULTILINE)
    assert services["store"]["user"] == "postgres"
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        # Compose cannot copy a configuration into a root filesystem that is read-only.
        assert service.get("read_only", False) != ("configs" in service)


def test_each_container_gets_the_secrets_of_its_role(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    roles = dict.fromkeys(("setup", "worker", "remote"), "fdrnn_url")
    for name, secret in (roles | {"dashboard": "dashboard_url"}).items():
        assert services[name]["secrets"] == [{"source": secret, "target": "storage"}]
        assert services[name]["environment"] == {"FDRNN_STORAGE": "@/run/secrets/storage"}


def test_no_password_stands_where_docker_shows_it(services: dict[str, Any]) -> None:
    for service in services.values():
        shown = json.dumps([service["environment"], service["command"]])
        assert not re.search(r"//[^/@\"]*:[^/@\"]*@", shown)
        assert "PASSWORD" not in shown.replace("PASSWORD_FILE", "")


def test_a_worker_ends_for_good_with_the_study_alone(services: dict[str, Any]) -> None:
    for name in ("worker", "remote"):
        # Another policy would restart one that ended with 0.
        assert re.fullmatch(r"on-failure:\d+", services[name]["restart"])
        assert services[name]["init"]
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > 10


def test_the_image_gets_every_package(dockerfile: str) -> None:
    copied = set(re.findall(r"^COPY (\w+) \./\1$", dockerfile, flags=re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
    assert copied == packages
