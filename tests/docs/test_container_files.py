"""S-41 for what is committed: the image runs without rights, with a read-only file system, from the lock file."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from driver_adapters.http.server import STOP_S
from module.settings import NAMES, Settings
from tests.arch.source import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
FLOW: dict[str, Any] = COMPOSE["services"]["flow"]
SERVICES = sorted(COMPOSE["services"])
ROOT_ID = 0


def instructions(text: str) -> list[tuple[str, str]]:
    """Read a Dockerfile: (instruction, arguments) with lines that go on joined, comments left out."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    parted = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name.upper(), arguments.strip()) for name, _, arguments in parted]


def stages(text: str) -> list[list[tuple[str, str]]]:
    """Part the instructions at each FROM."""
    found: list[list[tuple[str, str]]] = []
    for name, arguments in instructions(text):
        if name == "FROM":
            found.append([])
        found[-1].append((name, arguments))
    return found


BUILD, FINAL = stages(DOCKERFILE)


def argument(stage: list[tuple[str, str]], name: str) -> str:
    """Give the arguments of an instruction that stands once."""
    [found] = [arguments for known, arguments in stage if known == name]
    return found


def environment() -> dict[str, str]:
    """Give what the image sets."""
    return dict(re.findall(r"(\w+)=(\S+)", argument(FINAL, "ENV")))


def test_image_ships_only_what_the_second_stage_takes_from_the_first() -> None:
    copies = [arguments for name, arguments in FINAL if name == "COPY"]

    assert ["--from=build /opt/flow /opt/flow"] == copies
    assert "AS build" in argument(BUILD, "FROM")
    assert "ADD" not in {name for name, _ in BUILD + FINAL}


def test_base_images_and_images_of_services_have_a_version() -> None:
    images = [argument(stage, "FROM").split()[0] for stage in (BUILD, FINAL)]
    images += [service["image"] for service in COMPOSE["services"].values()]

    assert [] == [image for image in images if not re.search(r":v?\d+\.\d+", image)]


def test_installation_takes_hashes_only_and_checks_itself() -> None:
    runs = " ".join(arguments for name, arguments in BUILD if name == "RUN")

    assert "--no-deps --require-hashes -r requirements.lock" in runs
    assert "pip check" in runs


def test_copied_sources_exist_and_are_those_of_the_wheel() -> None:
    sources = [part for name, arguments in BUILD if name == "COPY" for part in arguments.split()[:-1]]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    packages = set(wheel.get("packages") or wheel["only-include"])

    assert [] == [source for source in sources if not (ROOT / source).exists()]
    assert packages == {source for source in sources if (ROOT / source).is_dir()}


def test_process_runs_as_a_number_that_is_not_root() -> None:
    user, group = map(int, argument(FINAL, "USER").split(":"))

    assert user > ROOT_ID
    assert group > ROOT_ID
    names = [name for name, _ in FINAL]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_image_sets_settings_that_exist_and_is_for_production() -> None:
    given = {name: value for name, value in environment().items() if name.startswith(("FLOW_", "API_"))}

    assert set() == set(given) - set(NAMES)
    assert "production" == given["FLOW_ENV"]
    assert argument(FINAL, "VOLUME") == given["FLOW_DATA_DIR"]


def test_ports_are_those_of_the_settings_and_the_private_one_is_not_published() -> None:
    ports = {Settings().http_port, Settings().http_private_port}

    assert ports == {int(port) for port in argument(FINAL, "EXPOSE").split()}
    assert [f"127.0.0.1:{Settings().http_port}:{Settings().http_port}"] == FLOW["ports"]


def test_commands_are_lists_so_that_signals_reach_the_process() -> None:
    assert ["flow"] == json.loads(argument(FINAL, "ENTRYPOINT"))
    assert ["serve"] == json.loads(argument(FINAL, "CMD"))
    assert "SIGTERM" == argument(FINAL, "STOPSIGNAL")


def test_health_is_asked_at_the_private_port_by_image_and_service_alike() -> None:
    command = json.loads(argument(FINAL, "HEALTHCHECK").split("CMD ", 1)[1])

    assert ["CMD", *command] == FLOW["healthcheck"]["test"]
    assert f":{Settings().http_private_port}/health/ready" in command[-1]
    compile(command[-1], "healthcheck", "exec")


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_no_rights_and_writes_to_its_volume_only(name: str) -> None:
    service = COMPOSE["services"][name]

    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert service["read_only"] is True
    assert "privileged" not in service
    assert "healthcheck" in service
    assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
    assert [] == [port for port in service["ports"] if not port.startswith("127.0.0.1:")]


def test_service_gets_settings_that_exist_and_time_to_drain() -> None:
    given = FLOW["environment"]

    assert set() == set(given) - set(NAMES)
    grace_s = int(FLOW["stop_grace_period"].removesuffix("s"))
    assert float(given["FLOW_GRACE_S"]) + STOP_S < grace_s
