"""Adding versions: whole or not at all, never changed afterwards, and without effect on jobs until released."""

import hashlib
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, ModelInvalid, UsageError, VersionExists
from sr_tasks.records.cards import ModelCard, Weights, load_card
from sr_tasks.registry import registration
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import write_model

NETWORK = b"a network, for all the registry knows"


def card_of(tmp_path: Path, version: str = "1", network: bytes = NETWORK, **changes: Any) -> ModelCard:
    """A card of `alpha`, as somebody wrote it elsewhere."""
    shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
    folder = write_model(tmp_path / "elsewhere", "alpha", version, network=network)
    return load_card(folder / "card.yaml").model_copy(update=changes)


def files_of(tmp_path: Path, network: bytes = NETWORK) -> dict[str, Path]:
    path = tmp_path / "brought.onnx"
    path.write_bytes(network)
    return {"weights.onnx": path}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_added_version_is_found_with_its_card_and_its_files(registry: Registry, tmp_path: Path) -> None:
    files = files_of(tmp_path)
    picture = tmp_path / "sample.png"
    picture.write_bytes(b"picture")
    card = card_of(tmp_path, samples=("sample.png",))
    entry = registry.add(card, {**files, "sample.png": picture})
    assert entry.card == card
    assert entry.read_weights() == NETWORK
    assert (entry.folder / "sample.png").read_bytes() == b"picture"
    assert registry.get("alpha").label == "alpha@1"
    assert registry.names() == ("alpha",)


def test_adding_the_same_again_changes_nothing_even_if_it_was_measured_anew(registry: Registry, tmp_path: Path) -> None:
    registry.add(card_of(tmp_path), files_of(tmp_path))
    before = everything(tmp_path / "models")
    again = registry.add(card_of(tmp_path, relative_cost=7.0), files_of(tmp_path))
    assert again.label == "alpha@1"
    assert everything(tmp_path / "models") == before


@pytest.mark.parametrize("change", ["card", "weights", "more files"])
def test_a_version_never_changes(registry: Registry, tmp_path: Path, change: str) -> None:
    registry.add(card_of(tmp_path), files_of(tmp_path))
    before = everything(tmp_path / "models")
    card, files = card_of(tmp_path), files_of(tmp_path)
    if change == "card":
        card = card.model_copy(update={"licence": "MIT"})
    elif change == "weights":
        card, files = card_of(tmp_path, network=b"other"), files_of(tmp_path, b"other")
    else:
        files["notes.txt"] = files["weights.onnx"]
    with pytest.raises(VersionExists, match="alpha@1"):
        registry.add(card, files)
    assert everything(tmp_path / "models") == before


def test_a_further_version_gets_no_job_until_it_is_released(registry: Registry, tmp_path: Path) -> None:
    registry.add(card_of(tmp_path), files_of(tmp_path))
    for version in ("2", "10"):
        registry.add(card_of(tmp_path, version), files_of(tmp_path))
        assert registry.get("alpha").label == "alpha@1"
    assert registry.versions("alpha") == ("1", "2", "10")
    assert registry.channels("alpha").history[0].reason == "production when 2 was added"
    registry.promote("alpha@10", by="ann")
    registry.add(card_of(tmp_path, "11"), files_of(tmp_path))
    assert registry.get("alpha").label == "alpha@10"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"name": "Alpha"}, UsageError, "'Alpha'"),
        ({"name": "../alpha"}, UsageError, "'../alpha'"),
        ({"name": "auto"}, UsageError, "'auto'"),
        ({"name": "recipes"}, UsageError, "'recipes'"),
        ({"version": "1/2"}, UsageError, "'1/2'"),
        ({"version": "v" * 33}, UsageError, "vvv"),
        ({"samples": ("sample.png",)}, UsageError, "'sample.png'"),
        ({"samples": ("../../evil",)}, UsageError, "evil"),
        ({"weights": Weights(file="weights.onnx", sha256="0" * 64)}, ModelInvalid, "sha256"),
        ({"original": Weights(file="a.pth", sha256="0" * 64)}, UsageError, "'a.pth'"),
        ({"original": Weights(file="../a.pth", sha256="0" * 64, uri="s3://b/a.pth")}, UsageError, "a.pth"),
    ],
)
def test_what_cannot_be_a_version_is_refused_and_leaves_nothing(
    registry: Registry, tmp_path: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        registry.add(card_of(tmp_path, **changes), files_of(tmp_path))
    assert registry.names() == ()
    assert not [path for path in tmp_path.glob("models/*") if path.name != ".lock"]


@pytest.mark.parametrize("name", ["card.yaml", "../weights", "deep/weights", ".hidden"])
def test_a_file_cannot_lie_anywhere_but_beside_the_card(registry: Registry, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot lie beside"):
        registry.add(card_of(tmp_path), {**files_of(tmp_path), name: tmp_path / "brought.onnx"})


def test_a_file_that_is_not_there_is_refused_by_name(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match=r"gone\.onnx"):
        registry.add(card_of(tmp_path), {"weights.onnx": tmp_path / "gone.onnx"})
    assert registry.names() == ()


def test_weights_kept_elsewhere_need_no_file(registry: Registry, tmp_path: Path) -> None:
    digest = hashlib.sha256(NETWORK).hexdigest()
    card = card_of(tmp_path, weights=Weights(file="weights.onnx", sha256=digest, uri="s3://models/weights.onnx"))
    assert registry.add(card, {}).weights_path is None


def test_large_files_go_to_the_deployments_store_and_are_fetched_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "BESIDE_MAX_BYTES", len(NETWORK) - 1)
    settings = Settings(
        models_dir=tmp_path / "models", workdir=tmp_path / "work", store_uri=str(tmp_path / "the store")
    )
    registry = Registry.of(settings)
    notes = tmp_path / "notes.txt"
    notes.write_text("small")
    files = {**files_of(tmp_path), "notes.txt": notes}
    entry = registry.add(card_of(tmp_path), files)
    assert sorted(path.name for path in entry.folder.iterdir()) == ["card.yaml", "notes.txt"]
    assert entry.card.weights is not None
    assert entry.card.weights.uri.startswith(f"file://{tmp_path}/the%20store/")
    (tmp_path / "brought.onnx").unlink()
    assert Registry.of(settings).get("alpha").read_weights() == NETWORK
    before = everything(tmp_path / "models")
    registry.add(card_of(tmp_path), {**files_of(tmp_path), "notes.txt": notes})
    assert everything(tmp_path / "models") == before
    with pytest.raises(ModelInvalid, match="sha256"):
        registry.add(card_of(tmp_path, "2"), {**files_of(tmp_path, NETWORK + b"!"), "notes.txt": notes})
    assert registry.versions("alpha") == ("1",)


def test_killed_while_it_is_added_a_version_is_not_there_and_can_be_added_again(
    registry: Registry, tmp_path: Path, child: Callable[..., Any]
) -> None:
    registry.add(card_of(tmp_path), files_of(tmp_path))
    card_path = tmp_path / "card.json"
    card_path.write_text(card_of(tmp_path, "2").model_dump_json())
    prepare = (
        "import os, signal; from pathlib import Path; from sr_tasks.registry import registration\n"
        "from sr_tasks.records.cards import ModelCard; from sr_tasks.registry.registry import Registry\n"
        "card = ModelCard.model_validate_json(Path(args[1]).read_text())\n"
        "registration.os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    )
    body = "Registry(Path(args[0])).add(card, {'weights.onnx': Path(args[2])})"
    killed = child(prepare, body, tmp_path / "models", card_path, tmp_path / "brought.onnx")
    killed.wait_ready()
    killed.go()
    killed.process.wait(timeout=300)
    assert killed.process.returncode == -signal.SIGKILL
    assert registry.versions("alpha") == ("1",)
    assert registry.get("alpha").label == "alpha@1"
    registry.add(card_of(tmp_path, "2"), files_of(tmp_path))
    assert registry.versions("alpha") == ("1", "2")
    assert registry.get("alpha").label == "alpha@1"


def test_of_two_who_add_different_content_at_once_one_wins_and_one_is_told(
    registry: Registry, tmp_path: Path, child: Callable[..., Any]
) -> None:
    prepare = (
        "from pathlib import Path; from sr_tasks.errors import VersionExists\n"
        "from sr_tasks.records.cards import ModelCard; from sr_tasks.registry.registry import Registry\n"
        "card = ModelCard.model_validate_json(Path(args[1]).read_text())"
    )
    body = (
        "try: Registry(Path(args[0])).add(card, {'weights.onnx': Path(args[2])}); print('added')\n"
        "except VersionExists: print('told')"
    )
    children = []
    for network in (b"one", b"two"):
        card, brought = tmp_path / f"{network.decode()}.json", tmp_path / f"{network.decode()}.onnx"
        card.write_text(card_of(tmp_path, network=network).model_dump_json())
        brought.write_bytes(network)
        children.append(child(prepare, body, tmp_path / "models", card, brought))
    for one in children:
        one.wait_ready()
    for one in children:
        one.go()
    assert sorted(one.answer() for one in children) == ["added", "told"]
    assert registry.get("alpha@1").read_weights() in (b"one", b"two")
