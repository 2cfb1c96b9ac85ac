"""compose.yaml: it starts in order, hides its secrets, is open to this machine alone, and names what exists."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.config import Settings
from tests.docker.dockerfiles import REPOSITORY

DOCKER = REPOSITORY / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"migrate", "buckets"}
AIRFLOW = {name for name, service in SERVICES.items() if "/opt/sr/airflow.cfg" in str(service.get("environment"))}
VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}")
READ_BESIDE_SETTINGS = {"SR_GPU_SLOTS"}  # by init.sh

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def written(text: str) -> str:
    """What compose makes of a text when no variable is set."""
    return VARIABLE.sub(lambda match: match[2] or "", str(text))


def secrets_of(name: str) -> set[str]:
    return {secret if isinstance(secret, str) else secret["source"] for secret in SERVICES[name].get("secrets", ())}


def test_the_whole_topology_is_there() -> None:
    assert SERVICES.keys() == {
        *("postgres", "rabbitmq", "s3", "migrate", "buckets"),
        *("api-server", "scheduler", "dag-processor", "triggerer", "worker-cpu", "worker-gpu"),
        *("statsd-exporter", "prometheus", "alertmanager", "grafana"),
    }


@each_service
def test_an_image_has_a_full_version(name: str) -> None:
    assert re.search(r":v?\d+\.\d+", written(SERVICES[name]["image"])), SERVICES[name]["image"]
    assert "latest" not in SERVICES[name]["image"]


@each_service
def test_a_service_says_when_it_is_ready_and_waits_for_those_it_needs(name: str) -> None:
    service = SERVICES[name]
    if name in ONCE:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
    for other, how in service.get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how["condition"] == expected, f"{name} starts before {other} is ready"


def test_nobody_waits_for_himself_however_far_around() -> None:
    def needs(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        for other in SERVICES[name].get("depends_on", {}):
            needs(other, (*above, name))

    for name in SERVICES:
        needs(name, ())


@each_service
def test_a_service_comes_back_is_bounded_and_gains_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("on-failure:3" if name in ONCE else "unless-stopped")
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} <= limits.keys()
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service["logging"]["options"]["max-size"], "a log may not fill the disk"


@pytest.mark.parametrize("name", sorted(AIRFLOW))
def test_airflow_may_write_nowhere_but_where_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert {volume.split(":")[1] for volume in service["volumes"]} == {"/opt/airflow/logs", "/models", "/scratch"}


@each_service
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
        assert "front" in SERVICES[name]["networks"], "a network that is closed publishes nothing"


def test_what_keeps_state_has_no_way_out() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["rabbitmq"]["networks"] == ["data"]


def test_no_secret_is_written_into_a_file_or_an_environment() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8") + (DOCKER / "env.example").read_text(encoding="utf-8")
    assert not re.search(r"://[^/\s:]+:[^@\s$]+@", text), "a password in an address"
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|FERNET|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND|CREDENTIALS", variable):
                assert re.fullmatch(r"(cat )?/run/secrets/(\w+)", str(value)), f"{name}: {variable}={value}"
                assert str(value).rpartition("/")[2] in secrets_of(name), f"{name} is not given {value}"


def test_a_worker_can_reach_neither_airflows_database_nor_the_keys_by_which_others_are_believed() -> None:
    for name in ("worker-cpu", "worker-gpu"):
        assert secrets_of(name) == {"aws_credentials", "celery_broker_url", "celery_result_backend"}


def test_every_secret_is_used_and_made_by_the_script() -> None:
    script = (DOCKER / "make_secrets.sh").read_text(encoding="utf-8")
    assert COMPOSE["secrets"].keys() == set().union(*map(secrets_of, SERVICES))
    assert {name for name in SERVICES if "SR_AMQP_URL" in secrets_of(name)} == {"dag-processor", "triggerer"}
    for name, where in COMPOSE["secrets"].items():
        assert where == {"file": f"secrets/{name}"}
        assert re.search(rf"keep {name}\b", script), f"{name} is not made"


def test_every_image_of_ours_can_be_built_where_it_is_used() -> None:
    for name, service in SERVICES.items():
        assert ("build" in service) == service["image"].startswith("${SR_IMAGE_PREFIX"), name


@each_service
def test_every_file_and_volume_that_is_named_exists(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert service["build"]["context"] == ".."
        assert (REPOSITORY / service["build"]["dockerfile"]).is_file()
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        if not source.startswith("./"):
            assert source in COMPOSE["volumes"]
            continue
        assert volume.endswith(":ro"), volume
        assert (DOCKER / source).exists(), source
    for network in service["networks"]:
        assert network in COMPOSE["networks"]
    for command in (" ".join(service.get("command", ())), " ".join(service["healthcheck"].get("test", ()))):
        for script in re.findall(r"/opt/sr/(\S+)", command):
            assert (REPOSITORY / script).is_file(), script


def test_every_volume_is_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert set(COMPOSE["volumes"]) <= used


def test_every_setting_is_one_that_the_code_reads() -> None:
    known = {f"SR_{field.name.upper()}" for field in fields(Settings)} | READ_BESIDE_SETTINGS
    for name in AIRFLOW:
        environment = SERVICES[name]["environment"]
        given = {variable: written(value) for variable, value in environment.items() if variable.startswith("SR_")}
        assert given.keys() <= known, f"{name}: {given.keys() - known}"
        settings = Settings.from_env(given)
        assert settings.workdir == Path("/scratch")
        assert settings.allowed_roots == (Path("/scratch"),)
        assert settings.allowed_buckets == ("videos", "enhanced")


def test_the_example_names_every_variable_with_the_default_that_compose_has() -> None:
    defaults = dict(VARIABLE.findall((DOCKER / "compose.yaml").read_text(encoding="utf-8")))
    lines = (DOCKER / "env.example").read_text(encoding="utf-8").splitlines()
    assert dict(line.split("=", 1) for line in lines if line and not line.startswith("#")) == defaults


def test_every_queue_has_a_worker_with_and_without_a_gpu() -> None:
    cpu = written(" ".join(SERVICES["worker-cpu"]["command"]))
    gpu = " ".join(SERVICES["worker-gpu"]["command"])
    assert "--queues default,gpu" in cpu
    assert "--queues gpu --concurrency 1" in written(gpu)
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    devices = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]


def test_a_worker_is_given_longer_to_stop_than_a_chunk_takes() -> None:
    for name in ("worker-cpu", "worker-gpu"):
        minutes = int(SERVICES[name]["stop_grace_period"].removesuffix("m"))
        assert minutes * 60 >= 10 * Settings().chunk_target_s


def test_metrics_go_where_the_exporter_listens() -> None:
    listening = [word for word in SERVICES["statsd-exporter"]["command"] if "listen-udp" in word]
    assert listening == ["--statsd.listen-udp=:9125"]
    for name in AIRFLOW:
        environment = SERVICES[name]["environment"]
        assert environment["SR_STATSD_HOST"] == environment["AIRFLOW__METRICS__STATSD_HOST"] == "statsd-exporter"
        assert environment["SR_STATSD_PORT"] == environment["AIRFLOW__METRICS__STATSD_PORT"] == "9125"
