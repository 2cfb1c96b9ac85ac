"""The scripts of docker/, run with stand-ins for the programs they call."""

import base64
import json
import os
import re
import runpy
import shutil
import stat
import subprocess
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from tests.docker.dockerfiles import REPOSITORY

DOCKER = REPOSITORY / "docker"


def sh(script: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(script)], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=False
    )


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    shutil.copy(DOCKER / "make_secrets.sh", tmp_path)
    answer = sh(tmp_path / "make_secrets.sh")
    assert answer.returncode == 0, answer.stderr
    return tmp_path / "secrets"


def test_secrets_are_long_enough_and_of_the_form_that_their_readers_want(secrets: Path) -> None:
    read = {path.name: path.read_text() for path in secrets.iterdir()}
    assert len(base64.urlsafe_b64decode(read["fernet_key"])) == 32
    assert len(read["jwt_secret"]) >= 64
    assert json.loads(read["s3_identities"])["identities"][0]["credentials"][0]["secretKey"] in read["aws_credentials"]
    assert re.fullmatch(r"postgresql\+psycopg2://airflow:[\w-]+@postgres/airflow", read["sql_alchemy_conn"])
    assert re.fullmatch(r"db\+postgresql\+psycopg2://celery:[\w-]+@postgres/celery", read["celery_result_backend"])
    assert read["postgres_password"] in read["sql_alchemy_conn"]
    assert read["celery_db_password"] in read["celery_result_backend"]
    assert read["rabbitmq_password"] in read["rabbitmq_user"]
    assert f"sr:{read['rabbitmq_password']}@" in read["celery_broker_url"]


def test_nobody_else_on_the_machine_can_reach_the_secrets(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700


def test_secrets_are_made_once_and_a_new_one_beside_them_later(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    (secrets / "grafana_admin_password").unlink()
    assert sh(secrets.parent / "make_secrets.sh").returncode == 0
    after = {path.name: path.read_text() for path in secrets.iterdir()}
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"grafana_admin_password"}


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("tini -- airflow scheduler", "airflow jobs check --job-type SchedulerJob --local"),
        ("tini -- bash -c exec airflow dag-processor", "airflow jobs check --job-type DagProcessorJob --local"),
        ("tini -- airflow triggerer", "airflow jobs check --job-type TriggererJob --local"),
        ("tini -- airflow celery worker --queues gpu", "inspect --timeout 15 --destination celery@box ping"),
        ("tini -- airflow api-server", "http://127.0.0.1:8080/api/v2/version"),
    ],
)
def test_the_health_of_each_process_is_asked_of_itself(tmp_path: Path, command: str, asked: str) -> None:
    for name in ("airflow", "celery", "python"):
        program(tmp_path / "bin", name, f'echo {name} "$@"')
    program(tmp_path / "bin", "hostname", "echo box")
    (tmp_path / "cmdline").write_text(command.replace(" ", "\0"))
    answer = sh(
        DOCKER / "healthcheck.sh",
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        SR_HEALTH_CMDLINE=str(tmp_path / "cmdline"),
    )
    assert answer.returncode == 0, answer.stderr
    assert asked in answer.stdout


def test_a_process_that_nobody_knows_is_not_healthy(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("bash")
    answer = sh(DOCKER / "healthcheck.sh", SR_HEALTH_CMDLINE=str(tmp_path / "cmdline"))
    assert answer.returncode == 1
    assert "bash" in answer.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What an image has at /opt/sr, with one model in two versions and the routes."""
    for version in ("1", "2"):
        folder = tmp_path / "image/include/models/sharp" / version
        folder.mkdir(parents=True)
        (folder / "card.yaml").write_text(f"version: {version}")
    (tmp_path / "image/include/models/routing.yaml").write_text("shipped")
    (tmp_path / "models").mkdir()
    program(tmp_path / "bin", "airflow", f'echo "$@" >> {tmp_path}/asked')
    return tmp_path


def initialised(image: Path) -> subprocess.CompletedProcess[str]:
    return sh(
        DOCKER / "init.sh",
        PATH=f"{image / 'bin'}:{os.environ['PATH']}",
        SR_REPO=str(image / "image"),
        SR_MODELS_DIR=str(image / "models"),
        SR_STATE_DIR=str(image / "work/state"),
        SR_GPU_SLOTS="3",
        SECRETS=str(image / "secrets"),
    )


def test_a_start_brings_database_pool_and_registry_to_the_version(image: Path) -> None:
    assert initialised(image).returncode == 0
    assert (image / "asked").read_text().splitlines() == [
        "db migrate",
        "pools set gpu 3 Devices that enlarge frames",
    ]
    assert (image / "models/sharp/2/card.yaml").read_text() == "version: 2"
    assert (image / "models/routing.yaml").read_text() == "shipped"
    assert (image / "work/state").is_dir()


def test_the_first_login_may_have_a_password_that_begins_with_a_dash(image: Path) -> None:
    (image / "secrets").mkdir()
    (image / "secrets/admin_password").write_text("-x3 y")
    program(image / "bin", "airflow", f'printf "%s\\n" "$@" >> {image}/asked')
    assert initialised(image).returncode == 0
    assert "--password=-x3 y" in (image / "asked").read_text().splitlines()


def test_an_upgrade_brings_new_versions_and_changes_neither_old_ones_nor_the_operators_routes(image: Path) -> None:
    (image / "models/sharp/1").mkdir(parents=True)
    (image / "models/sharp/1/card.yaml").write_text("ours")
    (image / "models/routing.yaml").write_text("ours")
    assert initialised(image).returncode == 0
    assert (image / "models/sharp/1/card.yaml").read_text() == "ours"
    assert (image / "models/sharp/2/card.yaml").read_text() == "version: 2"
    assert (image / "models/routing.yaml").read_text() == "ours"


def test_a_start_that_was_killed_while_copying_is_made_good_by_the_next(image: Path) -> None:
    (image / "models/.staged").mkdir()
    (image / "models/.staged/half").write_text("")
    assert initialised(image).returncode == 0
    assert not (image / "models/.staged").exists()
    assert sorted(path.name for path in (image / "models/sharp/1").iterdir()) == ["card.yaml"]


def test_a_setting_with_a_password_comes_from_a_file_and_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / "SR_AMQP_URL").write_text("amqp://sr:a b$c@rabbitmq/")
    (tmp_path / "SR_OTLP_ENDPOINT").write_text("")
    (tmp_path / "jwt_secret").write_text("no setting")
    answer = subprocess.run(
        ["sh", str(DOCKER / "entrypoint.sh"), "env"],
        env={"PATH": os.environ["PATH"], "SECRETS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    given = dict(line.split("=", 1) for line in answer.stdout.splitlines())
    assert given["SR_AMQP_URL"] == "amqp://sr:a b$c@rabbitmq/"
    assert "SR_OTLP_ENDPOINT" not in given
    assert "no setting" not in answer.stdout


def test_buckets_are_made_once_and_patterns_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    make_buckets = runpy.run_path(str(DOCKER / "make_buckets.py"))["make_buckets"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        assert make_buckets(s3, ["videos", "enhanced", "team-*"]) == ["videos", "enhanced"]
        assert make_buckets(s3, ["videos", "later"]) == ["later"]
        assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == {"videos", "enhanced", "later"}


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_stops_at_the_first_thing_that_fails_and_any_shell_can_read_it(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
