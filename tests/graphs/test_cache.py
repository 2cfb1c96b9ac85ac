"""The cache within its limits: what goes, what stays, and what is shared between machines."""

import dataclasses
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from sr_tasks.config import Settings
from sr_tasks.graphs import cache
from sr_tasks.graphs.cache import ModelCache
from sr_tasks.graphs.prepare import prepare
from sr_tasks.records.prepared import PreparedModel
from tests.graphs.sample_models import random_network, variant, write_model
from tests.object_store import serving

DAY_S = 86400.0


def entry_of(cache: Path, number: int, *, unused_days: float, size: int = 1000) -> str:
    """A finished entry that was last used so many days ago."""
    key = f"{number:064x}"
    path = ModelCache(cache).put_graph(key, bytes(size))
    ModelCache(cache).finish(
        PreparedModel(
            name="sample", version="1", weights_sha256="", variant=variant(), backend="openvino", precision="fp32",
            onnx_path=path, key=key, device="a CPU",
        )
    )  # fmt: skip
    used = time.time() - unused_days * DAY_S
    os.utime(path.with_name("ready.json"), (used, used))
    return key


def left(cache: Path) -> set[int]:
    return {int(path.parent.name, 16) for path in cache.glob("*/ready.json")}


def test_what_was_not_used_for_long_goes_and_the_rest_stays(tmp_path: Path) -> None:
    for number, days in enumerate((100, 91, 89, 3, 0)):
        entry_of(tmp_path, number, unused_days=days)
    removed = ModelCache(tmp_path).evict(max_bytes=1 << 30, max_age_days=90)
    assert {int(key, 16) for key in removed} == {0, 1}
    assert left(tmp_path) == {2, 3, 4}


def test_what_was_unused_longest_makes_room_and_no_more_than_needed(tmp_path: Path) -> None:
    for number, days in enumerate((5, 20, 10, 3)):
        entry_of(tmp_path, number, unused_days=days)
    ModelCache(tmp_path).evict(max_bytes=2500, max_age_days=90)
    assert left(tmp_path) == {0, 3}


def test_entries_in_use_stay_however_little_room_there_is(tmp_path: Path) -> None:
    entry_of(tmp_path, 1, unused_days=1)
    entry_of(tmp_path, 2, unused_days=4)
    found = entry_of(tmp_path, 3, unused_days=50)
    assert ModelCache(tmp_path).find(found) is not None
    ModelCache(tmp_path).evict(max_bytes=0, max_age_days=0.5)
    assert left(tmp_path) == {1, 3}


def test_an_entry_that_another_process_builds_is_let_alone(tmp_path: Path) -> None:
    entry_of(tmp_path, 1, unused_days=50)
    with ModelCache(tmp_path).locked(f"{1:064x}"):
        assert ModelCache(tmp_path).evict(max_bytes=0, max_age_days=1) == ()
    assert left(tmp_path) == {1}
    assert len(ModelCache(tmp_path).evict(max_bytes=0, max_age_days=1)) == 1


def test_unfinished_entries_of_the_dead_go_as_well(tmp_path: Path) -> None:
    path = ModelCache(tmp_path).put_graph("a" * 64, b"half")
    os.utime(path.parent, (time.time() - 50 * DAY_S,) * 2)
    ModelCache(tmp_path).evict(max_bytes=1 << 30, max_age_days=10)
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_evict_at_once_each_entry_is_removed_by_one(tmp_path: Path) -> None:
    keys = [entry_of(tmp_path, number, unused_days=50) for number in range(40)]
    removed: list[str] = []

    def evict() -> None:
        removed.extend(ModelCache(tmp_path).evict(max_bytes=0, max_age_days=1))

    threads = [threading.Thread(target=evict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(removed) == keys
    assert list(tmp_path.iterdir()) == []


def test_what_vanishes_while_sizes_are_added_up_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process finishes a file of its entry, or evicts one, between a listing and a look."""
    entry_of(tmp_path, 1, unused_days=4, size=0)
    entry_of(tmp_path, 2, unused_days=3, size=0)
    listed = cache.files_of
    monkeypatch.setattr(cache, "files_of", lambda entry: [*listed(entry), entry / "renamed meanwhile"])
    assert ModelCache(tmp_path).evict(max_bytes=1000, max_age_days=90) == ()


def test_what_a_killed_eviction_left_does_not_stop_the_next(tmp_path: Path) -> None:
    key = entry_of(tmp_path, 1, unused_days=50)
    (tmp_path / f".evicted.{key}").mkdir()
    (tmp_path / f".evicted.{key}" / "half").touch()
    assert ModelCache(tmp_path).evict(max_bytes=0, max_age_days=1) == (key,)
    assert list(tmp_path.iterdir()) == []


def test_locks_leave_nothing_behind_and_keep_others_out_all_the_same(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(5):
            with ModelCache(tmp_path).locked("b" * 64):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_was_removed_meanwhile_keeps_nobody_away(tmp_path: Path) -> None:
    path = tmp_path / f".{'c' * 64}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    path.unlink()
    with ModelCache(tmp_path).locked("c" * 64):
        assert path.exists()
    os.close(handle)


def test_a_file_that_a_runtime_keeps_is_part_of_the_entry(tmp_path: Path) -> None:
    key = entry_of(tmp_path, 1, unused_days=0)
    engine = tmp_path / key / "engines" / "64x32" / "context.onnx"
    engine.parent.mkdir(parents=True)
    engine.write_bytes(b"engine")
    (engine.parent.parent / ".64x64.partial").mkdir()
    (engine.parent.parent / ".64x64.partial" / "half").write_bytes(b"half an engine")
    found = ModelCache(tmp_path).find(key)
    assert found is not None
    ModelCache(tmp_path).finish(found)
    engine.write_bytes(b"damaged")
    assert ModelCache(tmp_path).find(key) is None
    engine.write_bytes(b"engine")
    shutil.rmtree(engine.parent.parent / ".64x64.partial")
    assert ModelCache(tmp_path).find(key) is not None


@pytest.fixture(params=["folder", "bucket"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Settings, Path | None]]:
    """Settings of machines that share models, and the folder they do it in."""
    if request.param == "folder":
        yield Settings(store_uri=str(tmp_path / "store")), tmp_path / "store"
        return
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with serving() as address:
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="models")
        yield Settings(store_uri="s3://models/prepared", s3_endpoint_url=address), None


def ready(tmp_path: Path, machine: str, settings: Settings) -> tuple[PreparedModel, bool]:
    from sr_tasks.inference.backend import backend_for
    from sr_tasks.registry.registry import Registry

    models = tmp_path / "models"
    if not models.exists():
        write_model(models, "sample", network=random_network(), max_passes=2)
    entry, backend = Registry(models).get("sample"), backend_for("onnxruntime")
    return prepare(
        entry, variant(), backend, "auto", tmp_path / machine, width=64, height=48, settings=settings
    )  # fmt: skip


def test_another_machine_finds_what_one_has_prepared(tmp_path: Path, shared: tuple[Settings, Path | None]) -> None:
    settings, _ = shared
    first, hit = ready(tmp_path, "one", settings)
    assert not hit
    second, hit = ready(tmp_path, "two", settings)
    assert hit
    assert second == dataclasses.replace(first, onnx_path=second.onnx_path)
    assert second.onnx_path.is_relative_to(tmp_path / "two")
    assert second.onnx_path.read_bytes() == first.onnx_path.read_bytes()
    assert [path.name for path in (tmp_path / "two").iterdir()] == [first.key]


@pytest.mark.parametrize(
    "damage", ["graph changed", "graph gone", "marker cut off", "marker leads out", "other marker"]
)
def test_a_damaged_store_only_costs_time(tmp_path: Path, damage: str) -> None:
    settings = Settings(store_uri=str(tmp_path / "store"))
    first, _ = ready(tmp_path, "one", settings)
    stored = tmp_path / "store" / "prepared" / first.key
    marker = (stored / "ready.json").read_text()
    if damage == "graph changed":
        (stored / "model.onnx").write_bytes(first.onnx_path.read_bytes()[:-1] + b"?")
    elif damage == "graph gone":
        (stored / "model.onnx").unlink()
    elif damage == "marker cut off":
        (stored / "ready.json").write_text(marker[:-20])
    elif damage == "marker leads out":
        (stored / "ready.json").write_text(
            marker.replace('"model.onnx": "', f'"../../out": "{"0" * 64}", "model.onnx": "', 1)
        )
    else:
        (stored / "ready.json").write_text(marker.replace(first.key, "0" * 64))
    again, hit = ready(tmp_path, "two", settings)
    assert not hit
    assert again.onnx_path.read_bytes() == first.onnx_path.read_bytes()
    assert ready(tmp_path, "three", settings)[1], "what was built after the damage is shared in its place"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("uri", ["s3://models/prepared", "ftp://models", "/proc/nothing/here"])
def test_a_store_that_cannot_be_reached_only_warns(tmp_path: Path, uri: str) -> None:
    settings = Settings(store_uri=uri, s3_endpoint_url="http://127.0.0.1:9", allowed_buckets=())
    assert ready(tmp_path, "one", settings)[1] is False
    assert ready(tmp_path, "one", settings)[1] is True


def test_preparing_keeps_the_cache_within_its_limits(tmp_path: Path) -> None:
    entry_of(tmp_path / "one", 1, unused_days=30)
    entry_of(tmp_path / "one", 2, unused_days=5)
    ready(tmp_path, "one", Settings(cache_max_age_days=10))
    assert f"{1:064x}" not in {path.name for path in (tmp_path / "one").iterdir()}
    assert f"{2:064x}" in {path.name for path in (tmp_path / "one").iterdir()}
