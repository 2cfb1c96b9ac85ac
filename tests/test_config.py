"""Settings: what a person who runs the product sets, and mistypes."""

import json
import re
from pathlib import Path

import pytest
from sr_embedded.home import HomeSettings

from sr_tasks import __main__ as cli
from sr_tasks.commands.settings import page
from sr_tasks.config import READ_ELSEWHERE, REPOSITORY, Settings
from sr_tasks.environment import variables_of
from sr_tasks.errors import UsageError


def test_a_mistyped_setting_is_refused_and_the_nearest_one_named() -> None:
    with pytest.raises(UsageError, match="There is no setting SR_THREDS") as caught:
        Settings.from_env({"SR_THREDS": "2"})
    assert caught.value.hint == "Did you mean SR_THREADS?"


def test_variables_of_launcher_containers_and_tests_are_no_settings_and_stay() -> None:
    assert Settings.from_env(dict.fromkeys(READ_ELSEWHERE, "1")) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("SR_THREADS", "-1", "a whole number from 0 up"),
        ("SR_THREADS", "two", "a whole number from 0 up"),
        ("SR_THREADS", "", "a whole number from 0 up"),
        ("SR_JOBS_AT_ONCE", "0", "a whole number from 1 up"),
        ("SR_MAX_DAMAGED_SHARE", "1.5", "a number from 0 to 1"),
        ("SR_MAX_DAMAGED_SHARE", "nan", "a number from 0 to 1"),
        ("SR_GPU_WAIT_S", "inf", "a number from 0 up"),
        ("SR_CHUNK_TARGET_S", "0", "a number above 0"),
        ("SR_STATSD_PORT", "70000", "a whole number from 0 to 65535"),
        ("SR_LOG_JSON", "maybe", "0 or 1"),
    ],
)
def test_a_value_out_of_range_is_refused_with_what_was_given_and_what_is_taken(
    name: str, value: str, takes: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.from_env({name: value})
    assert caught.value.message == f"{name}={value!r} is not accepted: it takes {takes}."


def test_values_are_read_as_they_are_written() -> None:
    found = Settings.from_env(
        {
            "SR_ALLOWED_ROOTS": "/a:/b c", "SR_ALLOWED_BUCKETS": "", "SR_PURGE_CONFIRMED": "yes", "SR_LOG_JSON": "",
            "SR_KEEP_DAYS": "0.5", "SR_MAX_PIXELS": "1000", "SR_WORKDIR": "rel",
        }
    )  # fmt: skip
    assert found.allowed_roots == (Path("/a"), Path("/b c"))
    assert (found.allowed_buckets, found.purge_confirmed, found.log_json) == ((), True, False)
    assert (found.keep_days, found.max_pixels, found.workdir) == (0.5, 1000, Path("rel"))


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_the_launcher_refuses_a_port_that_cannot_be(port: str) -> None:
    with pytest.raises(UsageError, match=f"SR_AIRFLOW_PORT='{port}' .* a whole number from 0 to 65535"):
        HomeSettings.from_env({"SR_AIRFLOW_PORT": port})
    assert HomeSettings.from_env({"SR_AIRFLOW_PORT": ""}).airflow_port == 8080


def test_the_page_of_settings_is_current_and_says_something_of_each() -> None:
    written = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m sr_tasks settings --page > docs/settings.md"
    for name in (*variables_of(Settings), *READ_ELSEWHERE):
        assert len(re.findall(rf"^\| `{name}` \| .*\w.* \|$", written, flags=re.MULTILINE)) == 1


def test_settings_in_effect_are_shown_without_their_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SR_AMQP_URL", "amqp://user:hunter2@broker/")
    monkeypatch.setenv("SR_THREADS", "3")
    assert cli.main(["settings", "--json"]) == 0
    rows = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)["settings"]}
    assert rows["SR_THREADS"] == "3"
    assert "broker" in rows["SR_AMQP_URL"]
    assert "hunter2" not in rows["SR_AMQP_URL"]
