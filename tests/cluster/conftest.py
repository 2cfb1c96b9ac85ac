"""The cluster that the tests of this folder share, started once."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from tests import clips
from tests.cluster.backing import postgres_programs
from tests.cluster.stack import Cluster, running
from tests.cluster.work import ARRIVALS, submit
from tests.dags import rabbitmq


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if postgres_programs() is None or not rabbitmq.is_installed():
        pytest.skip("Debian's postgresql or rabbitmq-server is not installed")
    with running(Path(tmp_path_factory.mktemp("cluster")), ARRIVALS, SR_CHUNK_TARGET_S="0.004") as up:
        yield up


@pytest.fixture(scope="package")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of no constant rate, with sound, and with keyframes that it can be cut at."""
    pts = [number * 40 + (number * 7) % 15 for number in range(48)]
    return clips.make(
        tmp_path_factory.mktemp("film") / "film.mp4",
        frames=48, pts=pts, time_base=Fraction(1, 1000), sound="aac", options={"g": "12"},
    )  # fmt: skip


@pytest.fixture(scope="package")
def enlarged(cluster: Cluster, film: Path) -> str:
    """A job that was given that film."""
    submit(cluster, "job-film", film)
    return "job-film"
