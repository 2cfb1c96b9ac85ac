"""Weights kept elsewhere: fetched once a machine, within what is allowed, proved before anybody sees them."""

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, ModelRejected, UriNotAllowed
from sr_tasks.registry import weights as files
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import write_model

DATA = b"weights of some size" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(Settings(), workdir=tmp_path / "workdir", models_dir=tmp_path / "models")


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A file on another disk, for all that the registry knows."""
    path = tmp_path / "far" / "alpha.onnx"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


def keep_elsewhere(settings: Settings, uri: str, name: str = "alpha", sha256: str = SHA256) -> None:
    write_model(
        settings.models_dir, name, weights={"file": "weights.onnx", "sha256": sha256, "uri": uri}, kind="network"
    )


def cached(settings: Settings) -> list[Path]:
    folder = settings.workdir / "weights"
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))


def test_weights_are_fetched_once_and_then_read_from_this_machine(settings: Settings, far: Path) -> None:
    keep_elsewhere(settings, f"file://{far}")
    assert Registry.of(settings).get("alpha").read_weights() == DATA
    far.unlink()
    entry = Registry.of(settings).get("alpha")
    assert entry.read_weights() == DATA
    assert entry.locate_weights().read_bytes() == DATA
    assert len(cached(settings)) == 1


def test_weights_come_from_a_bucket_and_only_from_an_allowed_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="models")
        client.put_object(Bucket="models", Key="alpha/1.onnx", Body=DATA)
        keep_elsewhere(settings, "s3://models/alpha/1.onnx")
        keep_elsewhere(settings, "s3://models/none.onnx", name="none")
        settings = dataclasses.replace(settings, s3_endpoint_url=endpoint, allowed_buckets=("models",))
        elsewhere = dataclasses.replace(settings, allowed_buckets=("other",))
        with pytest.raises(UriNotAllowed, match="'models'"):
            Registry.of(elsewhere).get("alpha").read_weights()
        with pytest.raises(InputNotFound, match=r"none\.onnx"):
            Registry.of(settings).get("none").read_weights()
        assert cached(settings) == []
        assert Registry.of(settings).get("alpha").read_weights() == DATA
        client.delete_object(Bucket="models", Key="alpha/1.onnx")
        assert Registry.of(settings).get("alpha").read_weights() == DATA
    finally:
        server.stop()


def test_a_local_place_outside_the_allowed_folders_is_refused(settings: Settings, far: Path) -> None:
    keep_elsewhere(settings, f"file://{far}")
    settings = dataclasses.replace(settings, allowed_roots=(settings.models_dir,))
    with pytest.raises(UriNotAllowed):
        Registry.of(settings).get("alpha").read_weights()


def test_another_file_than_the_cards_is_refused_and_not_kept(settings: Settings, far: Path) -> None:
    keep_elsewhere(settings, f"file://{far}")
    far.write_bytes(DATA + b"!")
    for read in ("read_weights", "locate_weights"):
        with pytest.raises(ModelRejected, match="sha256"):
            getattr(Registry.of(settings).get("alpha"), read)()
    assert cached(settings) == []


def test_a_kept_file_that_was_damaged_is_fetched_again(settings: Settings, far: Path) -> None:
    keep_elsewhere(settings, f"file://{far}")
    entry = Registry.of(settings).get("alpha")
    entry.read_weights()
    cached(settings)[0].write_bytes(b"bits rot")
    with pytest.raises(ModelRejected, match="sha256"):
        entry.locate_weights()
    assert entry.read_weights() == DATA
    assert cached(settings)[0].read_bytes() == DATA


def test_too_large_a_file_is_refused_before_it_is_read(
    settings: Settings, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", len(DATA) - 1)
    settings = dataclasses.replace(settings, max_weights_bytes=len(DATA) - 1)
    keep_elsewhere(settings, f"file://{far}")
    write_model(settings.models_dir, "near", network=DATA)
    for name in ("alpha", "near"):
        with pytest.raises(ModelRejected, match="the limit is"):
            Registry.of(settings).get(name).read_weights()
    assert cached(settings) == []


def test_a_registry_without_settings_fetches_nothing(settings: Settings, far: Path) -> None:
    keep_elsewhere(settings, f"file://{far}")
    with pytest.raises(ModelRejected, match=str(far)):
        Registry(settings.models_dir).get("alpha").read_weights()


def test_processes_that_want_the_same_weights_fetch_them_once(
    settings: Settings, far: Path, child: Callable[..., Any]
) -> None:
    keep_elsewhere(settings, f"file://{far}")
    prepare = (
        "from pathlib import Path; from sr_tasks.config import Settings\n"
        "from sr_tasks.registry.registry import Registry\n"
        "from sr_tasks.storage import transfer; fetch = transfer.fetch; fetched = []\n"
        "transfer.fetch = lambda *a: fetched.append(1) or fetch(*a)\n"
        "entry = Registry.of(Settings(workdir=Path(args[0]), models_dir=Path(args[1]))).get('alpha')"
    )
    body = "print(len(entry.read_weights()), len(fetched))"
    children = [child(prepare, body, settings.workdir, settings.models_dir) for _ in range(3)]
    for one in children:
        one.wait_ready()
    for one in children:
        one.go()
    answers = [one.answer().split() for one in children]
    assert {length for length, _ in answers} == {str(len(DATA))}
    assert sum(int(fetches) for _, fetches in answers) == 1


@pytest.fixture
def three(settings: Settings, tmp_path: Path) -> Callable[[Settings, int], bytes]:
    """Fetches the n-th of three files."""

    def fetch(settings: Settings, number: int) -> bytes:
        return Registry.of(settings).get(f"model{number}").read_weights()

    for number in range(3):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(bytes([number]) * 1000)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        keep_elsewhere(settings, f"file://{path}", name=f"model{number}", sha256=sha256)
    return fetch


def test_what_was_used_longest_ago_goes_first(settings: Settings, three: Callable[[Settings, int], bytes]) -> None:
    settings = dataclasses.replace(settings, cache_max_bytes=2500)
    for number, hours_ago in ((0, 3), (1, 2)):
        three(settings, number)
        folder = next(path.parent for path in cached(settings) if path.read_bytes()[0] == number)
        os.utime(folder, (0, time.time() - hours_ago * 3600))
    three(settings, 0)
    three(settings, 2)
    assert sorted(path.read_bytes()[0] for path in cached(settings)) == [0, 2]
    assert three(settings, 1)[0] == 1


def test_what_nobody_used_for_long_goes(settings: Settings, three: Callable[[Settings, int], bytes]) -> None:
    settings = dataclasses.replace(settings, cache_max_age_days=10)
    three(settings, 0)
    os.utime(cached(settings)[0].parent, (0, time.time() - 11 * 24 * 3600))
    three(settings, 1)
    assert [path.read_bytes()[0] for path in cached(settings)] == [1]
