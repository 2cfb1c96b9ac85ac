"""Adding a model as a user does: what must be said, what is found, what is left behind, and the same file again."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from sr_tasks.errors import (
    InputNotFound,
    InputTooLarge,
    ModelInvalid,
    UriNotAllowed,
    UsageError,
    VersionExists,
)
from sr_tasks.intake.add import add_model
from sr_tasks.intake.request import AddRequest
from sr_tasks.registry.registry import Registry
from tests.intake.brought import added, convolutional, saved, settings_of


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return saved(convolutional(), tmp_path / "net.onnx")


def card_file(tmp_path: Path, **fields: object) -> Path:
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def test_what_was_said_and_what_was_found_stand_in_the_card(weights: Path, tmp_path: Path) -> None:
    entry = added(weights, tmp_path, name="sharp", title="Sharp", source="https://example.com/net.onnx")
    card = entry.card
    assert (card.name, card.version, card.title, card.licence) == ("sharp", "1", "Sharp", "MIT")
    assert card.source == "https://example.com/net.onnx"
    assert "Not stated" in card.training_data
    assert card.weights is not None
    assert card.original is not None
    assert card.weights.file == "sharp.onnx"
    assert card.original.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert card.relative_cost > 0
    assert card.precisions[0] == "fp32"


def test_a_card_gives_what_the_file_cannot(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "sample.png").write_bytes(b"picture")
    path = card_file(
        tmp_path, licence="CC-BY-4.0", training_data="DIV2K", intended_content="Photographs.", max_passes=2,
        samples=["sample.png"],
        gate={"global_psnr_min": 30, "frame_psnr_min": 28, "block_psnr_min": 20, "ssim_min": 0.6},
    )  # fmt: skip
    card = added(weights, tmp_path, licence=None, card_path=path).card
    assert (card.licence, card.training_data, card.gate.global_psnr_min) == ("CC-BY-4.0", "DIV2K", 30)
    assert card.scales == (2, 4)
    assert card.tiles.halo == 2 * 3  # the second pass needs px that the first made
    assert (tmp_path / "models" / "brought" / "1" / "sample.png").read_bytes() == b"picture"


def test_without_a_licence_nothing_is_added(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without a licence") as caught:
        added(weights, tmp_path, licence=None)
    assert "--licence" in caught.value.hint
    assert not (tmp_path / "models").exists()


def test_what_is_said_twice_must_be_the_same(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="licence is 'MIT' in the request and 'GPL-3.0-only' in the card"):
        added(weights, tmp_path, card_path=card_file(tmp_path, licence="GPL-3.0-only"))
    with pytest.raises(UsageError, match="color is said to be 'luma'"):
        added(weights, tmp_path, card_path=card_file(tmp_path, color="luma"))
    with pytest.raises(UsageError, match="nonsense"):
        added(weights, tmp_path, card_path=card_file(tmp_path, nonsense=1))
    assert not (tmp_path / "models").exists()


def test_a_style_needs_its_own_licence_and_is_of_its_own_kind(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="style 'ink'"):
        added(weights, tmp_path, style_name="ink")
    card = added(weights, tmp_path, style_name="ink", style_licence="CC0-1.0").card
    assert card.kind == "style"
    assert card.style is not None
    assert (card.style.name, card.style.licence) == ("ink", "CC0-1.0")


def test_the_next_version_is_the_next_number_and_the_same_file_is_the_same_version(tmp_path: Path) -> None:
    first, second = (saved(convolutional(seed=seed), tmp_path / f"{seed}.onnx") for seed in (1, 2))
    assert added(first, tmp_path).label == "brought@1"
    assert added(second, tmp_path).label == "brought@2"
    assert added(first, tmp_path).label == "brought@1"
    assert added(second, tmp_path, version="2").label == "brought@2"
    assert sorted(path.name for path in (tmp_path / "models" / "brought").iterdir() if path.is_dir()) == ["1", "2"]
    with pytest.raises(VersionExists):
        added(first, tmp_path, version="2")


def test_nothing_is_left_behind_whether_it_is_added_or_refused(weights: Path, tmp_path: Path) -> None:
    added(weights, tmp_path)
    assert list((tmp_path / "work").iterdir()) == []
    (tmp_path / "page.pth").write_text("<html>")
    before = sorted((tmp_path / "models").rglob("*"))
    with pytest.raises(ModelInvalid, match="HTML"):
        added(tmp_path / "page.pth", tmp_path)
    assert list((tmp_path / "work").iterdir()) == []
    assert sorted((tmp_path / "models").rglob("*")) == before


def test_what_a_killed_attempt_left_is_cleared_away_and_what_a_live_one_has_is_not(
    weights: Path, tmp_path: Path
) -> None:
    dead, live = (tmp_path / "work" / f"adding-{name}" for name in ("dead", "live"))
    for folder in (dead, live):
        folder.mkdir(parents=True)
        (folder / "weights.pth").write_bytes(b"half")
    os.utime(dead, (0, 0))
    added(weights, tmp_path)
    assert not dead.exists()
    assert live.exists()


def test_places_and_sizes_that_are_not_allowed_are_refused(weights: Path, tmp_path: Path) -> None:
    def add(text: str, **changes: object) -> None:
        settings = settings_of(tmp_path, **changes)
        add_model(text, AddRequest(name="a", licence="MIT"), Registry.of(settings), settings)

    (tmp_path / "allowed").mkdir()
    with pytest.raises(UriNotAllowed):
        add(str(weights), allowed_roots=(tmp_path / "allowed",))
    with pytest.raises(InputTooLarge):
        add(str(weights), max_weights_bytes=1000)
    with pytest.raises(InputNotFound):
        add(str(tmp_path / "none.onnx"))
    with pytest.raises(UriNotAllowed):
        add("ftp://example.com/net.onnx")
    assert not (tmp_path / "models").exists()


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Touches:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'flag'}",)

    torch.save({"params_ema": Touches()}, tmp_path / "evil.pth")
    with pytest.raises(ModelInvalid, match="code, not weights"):
        added(tmp_path / "evil.pth", tmp_path)
    assert not (tmp_path / "flag").exists()


def test_an_onnx_file_is_added_without_loading_torch(weights: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from sr_tasks.__main__ import main\n"
        f"sys.argv[1:] = ['models', 'add', {str(weights)!r}, '--name', 'a', '--licence', 'MIT', '--json']\n"
        "try:\n    code = main()\nexcept SystemExit as exc:\n    code = exc.code\n"
        "print('torch' in sys.modules, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    env = {**os.environ, "SR_MODELS_DIR": str(tmp_path / "models"), "SR_WORKDIR": str(tmp_path / "work")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"a@1"' in done.stdout
    assert done.stderr.strip().splitlines()[-1] == "False"
