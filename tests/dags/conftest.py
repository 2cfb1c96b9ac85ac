"""An Airflow of its own for the tests of the Dags: a fresh database in a temporary folder, no server."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.dags.fakes import STEPS, FakeSteps
from tests.dags.receivers import Mailbox, StatsD, Webhook

if TYPE_CHECKING:
    from tests.dags.api_server import Server

REPOSITORY = Path(__file__).resolve().parents[2]
_HOME = tempfile.TemporaryDirectory(prefix="sr-dags-")
"""Airflow reads its configuration when it is imported, so this has to be said before."""

os.environ |= {
    "AIRFLOW_HOME": _HOME.name,
    "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
    "SR_REPO": str(REPOSITORY),
}
for folder in (REPOSITORY / "plugins", REPOSITORY / "dags"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow's own use of what others deprecated is not ours to mend."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    yield
    _HOME.cleanup()


@pytest.fixture(scope="session")
def migrated() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "plugins")])}
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)


@pytest.fixture(scope="session")
def dag() -> Any:
    import upscale_video

    return upscale_video.upscale_video()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSteps:
    fake = FakeSteps()
    package = ModuleType("sr_tasks.steps")
    for name in STEPS:
        setattr(package, name, fake.module(name))
    package.estimate = SimpleNamespace(seconds=lambda *_: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sr_tasks.steps", package)
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    return fake


@pytest.fixture
def run_dag(dag: Any, migrated: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the whole Dag in this process, without waiting between tries; returns the finished run."""
    from datetime import timedelta

    for task in dag.tasks:
        monkeypatch.setattr(task, "retry_delay", timedelta(0))
        monkeypatch.setattr(task, "retry_exponential_backoff", 0.0)

    # With one, dag.test() ends in an error of its own once the tasks are done.
    monkeypatch.setattr(dag, "deadline", None)

    def run(**conf: Any) -> Any:
        return dag.test(run_conf={"source": "/media/clip.mp4", **conf})

    return run


@pytest.fixture(scope="module")
def server(migrated: None) -> Iterator["Server"]:
    """Airflow's API server, which knows the Dag of the jobs."""
    from tests.dags.api_server import Server  # loads Airflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s" * 64)
        found = Server()
        yield found
        found.close()


@pytest.fixture
def api_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path / "work"))
    monkeypatch.setenv("SR_ALLOWED_ROOTS", f"/media:{tmp_path}")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    yield server
    server.stop()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    server = Mailbox()
    yield server
    server.stop()


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsD]:
    with StatsD() as server:
        monkeypatch.setenv("SR_STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("SR_STATSD_PORT", str(server.port))
        yield server


@pytest.fixture
def alerted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, webhook: Webhook, mailbox: Mailbox) -> Path:
    """The scratch of a deployment that tells both."""
    values = {
        "SR_WORKDIR": str(tmp_path),
        "SR_STATE_DIR": str(tmp_path / "state"),
        "SR_ALERT_SLACK": "slack_alerts",
        "SR_ALERT_EMAIL": "night@example.org:day@example.org",
        "AIRFLOW_CONN_SLACK_ALERTS": webhook.connection,
        "AIRFLOW_CONN_SMTP_DEFAULT": mailbox.connection,
        "AIRFLOW__API__BASE_URL": "https://airflow.example.org/sr",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return tmp_path
