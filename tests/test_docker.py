"""The container files, checked statically: no Docker engine is needed, and none is used."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())


def test_every_process_of_the_architecture_has_a_service() -> None:
    assert {"web", "engine", "worker", "trainer", "beat", "postgres", "redis", "vllm"} <= set(
        COMPOSE["services"]
    )


def test_every_service_that_is_built_names_a_stage_of_the_dockerfile() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
    for name, service in COMPOSE["services"].items():
        if "build" in service:
            assert service["build"]["target"] in stages, name


def test_what_the_dockerfile_copies_exists() -> None:
    for sources in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def test_the_management_commands_the_containers_run_exist() -> None:
    from django.core.management import get_commands

    text = DOCKERFILE + (ROOT / "docker" / "compose.yaml").read_text()
    named = set(re.findall(r"manage\.py (\w+)", text))
    assert named
    assert named <= set(get_commands())


def test_no_secret_has_a_default_in_the_compose_file() -> None:
    environment = COMPOSE["x-environment"]
    for name in ("PARLEY_SECRET_KEY", "PARLEY_ENGINE_KEY"):
        assert ":?" in environment[name], name


def test_the_settings_the_containers_pass_are_known() -> None:
    known = (ROOT / "platform" / "config" / "settings.py").read_text()
    for name in COMPOSE["x-environment"]:
        assert f'"{name}"' in known, name
