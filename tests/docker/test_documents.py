"""The guides for operators: what they name exists."""

import re
from dataclasses import fields

import pytest
import yaml

from sr_tasks.config import Settings
from tests.docker.dockerfiles import REPOSITORY

GUIDES = {name: (REPOSITORY / "docs" / name).read_text(encoding="utf-8") for name in ("operations.md", "security.md")}
NOT_SETTINGS = {"SR_GPU_SLOTS", "SR_AIRFLOW_HOME", "SR_CPU_QUEUES", "SR_BASE_URL", "SR_VERSION"}
each_guide = pytest.mark.parametrize("name", GUIDES)


@each_guide
def test_every_file_that_is_named_exists(name: str) -> None:
    made = {"docker/.env", "docker/sr.env", "docker/secrets"}  # by the operator
    named = set(re.findall(r"\b(?:docker|docs|sr_tasks|tests|plugins|dags|include)/[\w./-]*\w", GUIDES[name]))
    assert len(named) > 10
    missing = {path for path in named if not (REPOSITORY / path).exists()}
    assert {path for path in missing if not path.startswith(tuple(made))} == set()


@each_guide
def test_every_setting_that_is_named_is_one(name: str) -> None:
    known = {f"SR_{field.name.upper()}" for field in fields(Settings)} | NOT_SETTINGS
    assert set(re.findall(r"\bSR_[A-Z0-9_]+", GUIDES[name])) <= known


def test_every_service_that_is_stopped_or_asked_is_one() -> None:
    services = yaml.safe_load((REPOSITORY / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]
    lines = re.findall(r"docker compose -f docker/compose.yaml (stop|exec|exec -T) (.+)", GUIDES["operations.md"])
    assert lines
    for verb, rest in lines:
        words = rest.partition("`")[0].split()
        named = words if verb == "stop" else words[:1] if words[0] != "-T" else words[1:2]
        assert set(named) <= services.keys(), rest


def test_every_policy_is_explained() -> None:
    for path in (REPOSITORY / "docker/iam").glob("*.json"):
        assert f"`docker/iam/{path.name}`" in GUIDES["security.md"], path.name


def test_the_same_chart_is_meant_everywhere() -> None:
    texts = [
        GUIDES["operations.md"],
        *((path.read_text(encoding="utf-8")) for path in (REPOSITORY / "docker/helm").iterdir()),
    ]
    assert {version for text in texts for version in re.findall(r"--version ([\d.]+)", text)} == {"1.22.0"}


def test_make_has_every_command_that_is_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", GUIDES["operations.md"], re.M)) <= targets
