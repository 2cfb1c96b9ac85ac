"""Registry: what is found, what is refused, and that nothing leaves the folder or loads a runtime."""

import subprocess
import sys
from pathlib import Path

import pytest

from sr_tasks.errors import ModelRejected, ModelUnknown
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import random_network, write_model


def test_a_bare_name_gives_the_newest_version_and_numbers_compare_as_numbers(tmp_path: Path) -> None:
    for version in ("9", "10", "2.1"):
        write_model(tmp_path, "cubic", version)
    registry = Registry(tmp_path)
    assert registry.versions("cubic") == ("2.1", "9", "10")
    assert registry.get("cubic").card.version == "10"
    assert registry.get("cubic@9").card.version == "9"


def test_names_lists_only_models_with_a_card(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic")
    write_model(tmp_path, "alpha", network=random_network())
    (tmp_path / "recipes").mkdir()
    (tmp_path / "empty" / "1").mkdir(parents=True)
    assert Registry(tmp_path).names() == ("alpha", "cubic")
    assert [entry.label for entry in Registry(tmp_path).entries()] == ["alpha@1", "cubic@1"]


def test_an_unknown_model_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic")
    with pytest.raises(ModelUnknown) as caught:
        Registry(tmp_path).get("cubik")
    assert "'cubik'" in caught.value.message
    assert "cubic" in caught.value.hint


@pytest.mark.parametrize("reference", ["cubic@2", "cubic@", "cubic@1@1"])
def test_an_unknown_version_is_refused_and_the_known_ones_are_named(tmp_path: Path, reference: str) -> None:
    write_model(tmp_path, "cubic")
    with pytest.raises(ModelUnknown) as caught:
        Registry(tmp_path).get(reference)
    assert "cubic@1" in caught.value.hint


@pytest.mark.parametrize("reference", ["../outside", "..", ".", "", "/etc", "cubic@../../outside/1", "a/b", "cubic\0"])
def test_a_name_never_reaches_outside_the_models_folder(tmp_path: Path, reference: str) -> None:
    write_model(tmp_path, "outside")
    write_model(tmp_path / "models", "cubic")
    with pytest.raises(ModelUnknown):
        Registry(tmp_path / "models").get(reference)


def test_a_link_out_of_the_models_folder_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "outside")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "outside").symlink_to(tmp_path / "outside")
    with pytest.raises(ModelRejected, match="leads out"):
        Registry(tmp_path / "models").get("outside")


def test_an_empty_registry_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown) as caught:
        Registry(tmp_path / "nowhere").get("cubic")
    assert str(tmp_path / "nowhere") in caught.value.hint


def test_weights_are_read_only_if_their_hash_is_that_of_the_card(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "alpha", network=b"the very bytes")
    entry = Registry(tmp_path).get("alpha")
    assert entry.read_weights() == b"the very bytes"
    (folder / "weights.onnx").write_bytes(b"the very byteS")
    with pytest.raises(ModelRejected, match="sha256"):
        entry.read_weights()


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "alpha", network=b"x")
    (folder / "weights.onnx").unlink()
    with pytest.raises(ModelRejected, match=r"weights\.onnx"):
        Registry(tmp_path).get("alpha").read_weights()


@pytest.mark.parametrize("file", ["../1/weights.onnx", "/etc/hostname", "deep/weights.onnx"])
def test_a_card_cannot_name_weights_outside_its_folder(tmp_path: Path, file: str) -> None:
    write_model(tmp_path, "alpha", network=b"x", weights={"file": file, "sha256": "0" * 64})
    with pytest.raises(ModelRejected, match="outside"):
        Registry(tmp_path).get("alpha")


@pytest.mark.parametrize("changes", [{"name": "beta"}, {"version": "2"}, {"scale": 0}, {"weights": None}])
def test_a_card_that_does_not_fit_its_place_is_rejected(tmp_path: Path, changes: dict[str, object]) -> None:
    write_model(tmp_path, "alpha", network=b"x", **changes)
    with pytest.raises(ModelRejected, match=r"card\.yaml"):
        Registry(tmp_path).get("alpha")


def test_the_registry_loads_no_runtime() -> None:
    script = (
        "import sys; import sr_tasks.registry.registry, sr_tasks.records.cards, sr_tasks.records.prepared; "
        "print(sorted({'onnx', 'onnxruntime', 'openvino', 'torch', 'av', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
