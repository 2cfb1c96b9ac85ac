"""Two hundred mutated files, the first of those that `make fuzz` tries: each comes out whole or is refused at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from tests.fuzz import jobs
from tests.fuzz.seeds import SEEDS

COUNT = 200


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return jobs.make_seeds(tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for all, so that a network is prepared once for a kind of frame."""
    logger.disable("sr_tasks")
    yield tmp_path_factory.mktemp("jobs")
    logger.enable("sr_tasks")


@pytest.mark.parametrize("seed", range(len(SEEDS)), ids=[f"{seed.name}{seed.suffix}" for seed in SEEDS])
def test_a_mutated_file_comes_out_whole_or_is_refused_before_any_work(
    seed: int, seeds: dict[str, Path], folder: Path
) -> None:
    endings = [jobs.run(number, seeds, folder) for number in range(seed, COUNT, len(SEEDS))]
    assert not [str(ending) for ending in endings if not ending.is_fine]


def test_every_whole_file_comes_out(seeds: dict[str, Path], folder: Path) -> None:
    """Without it the test above would pass if every file were refused."""
    endings = [jobs.job(path, folder / f"whole-{number}.mkv", folder) for number, path in enumerate(seeds.values())]
    assert not [str(ending) for ending in endings if ending.code]


def test_the_same_number_gives_the_same_file(seeds: dict[str, Path], tmp_path: Path) -> None:
    for number in range(0, 40, 3):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "b").mkdir(exist_ok=True)
        (first, done), (second, again) = (jobs.file_of(number, seeds, tmp_path / name) for name in "ab")
        assert (first.read_bytes(), done) == (second.read_bytes(), again)
