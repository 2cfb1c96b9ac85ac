"""Settings: what a person who runs the product sets, and mistypes."""

import pytest

from sr_tasks.config import READ_ELSEWHERE, Settings
from sr_tasks.errors import UsageError


def test_a_mistyped_setting_is_refused_and_the_nearest_one_named() -> None:
    with pytest.raises(UsageError, match="There is no setting SR_THREDS") as caught:
        Settings.from_env({"SR_THREDS": "2"})
    assert caught.value.hint == "Did you mean SR_THREADS?"


def test_variables_of_launcher_containers_and_tests_are_no_settings_and_stay() -> None:
    assert Settings.from_env(dict.fromkeys(READ_ELSEWHERE, "1")) == Settings()
