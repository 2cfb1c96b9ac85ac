"""Training on photographs: patches are what they should be, killed runs go on, a start is kept, wrong folders are
refused."""

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from sr_tasks.errors import InputInvalid, InputNotFound, UsageError
from sr_tasks.planes.scaling import area, to_codes
from sr_tasks.training import train
from sr_tasks.training.course import LOG
from sr_tasks.training.downscale import KINDS, axis_matrix, downscale
from sr_tasks.training.evaluate import evaluate, onnx_upscaler, summarise
from sr_tasks.training.export import export_onnx
from sr_tasks.training.network import LumaNet
from sr_tasks.training.photo_train import Options, run_all
from sr_tasks.training.photos import read_list, validation_photos
from sr_tasks.training.recipe import PhotosRecipe, load_recipe
from sr_tasks.training.stepper import Stepper
from sr_tasks.training.stock import cut, draw_places, stocked

STEPS = 24
SIDE = 72


class KilledError(Exception):
    """Stands for the process being killed."""


def scene(seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)), (0, 0), 1.2)
    return np.clip((picture - 127) * 4 + 127, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rows = ["file,split,source,path,licence"]
    for index in range(5):
        split, size = ("train", (SIDE, SIDE)) if index < 3 else ("validation", (50, 67))
        cv2.imwrite(str(folder / f"{index}.png"), scene(index, *size))
        rows.append(f"{index}.png,{split},tests,{index}.png,CC0-1.0")
    (folder / "photos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def list_hash(photos: Path) -> str:
    return hashlib.sha256((photos / "photos.csv").read_bytes()).hexdigest()


def recipe_file(folder: Path, photos: Path, name: str = "tiny", **changes: object) -> Path:
    recipe: dict[str, object] = {
        "name": name,
        "seed": 4,
        "network": {"channels": 4, "layers": 1, "width": 8},
        "pool": {
            "images": 2,
            "held_out": 1,
            "side": 64,
            "scenes": {"leaves": 1.0},
            "lens_blur_probability": 0.5,
            "lens_blur_sigma_max": 2.0,
            "defocus_probability": 0.0,
            "faint_probability": 0.0,
            "grain_probability": 0.0,
            "grain_sigma_max": 0.0,
        },
        "photos": {"list_sha256": list_hash(photos), "share": 0.8, "validation": 2},
        "down_scaling": {"bicubic": 0.5, "area": 0.2, "aliased": 0.2, "blurred": 0.1},
        "optimisation": {
            "steps": STEPS,
            "batch": 4,
            "patch": 12,
            "learning_rate": 0.01,
            "warm_up_steps": 3,
            "ema_decay": 0.9,
            "fourier_weight": 0.1,
            "last_stage": {"share": 0.25},
            "checkpoint_every": 7,
            "measure_every": 8,
        },
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe | changes), encoding="utf-8")
    return path


def log_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG).open(newline="", encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run_all([recipe_file(folder, photos)], folder, Options(photos=photos))
    return folder


def test_a_training_ends_after_its_steps_and_its_log_tells_what_the_exported_network_gains(
    undisturbed: Path, photos: Path
) -> None:
    rows = log_rows(undisturbed)
    assert [int(row["step"]) for row in rows] == [7, 8, 14, 16, 21, 24]
    recipe = PhotosRecipe(list_sha256=list_hash(photos), share=0.8)
    measured = evaluate(onnx_upscaler(undisturbed / "tiny.onnx"), validation_photos(recipe, photos), KINDS)
    for summary in summarise(measured):
        assert float(rows[-1][f"gain_{summary.down_scaling}_db"]) == pytest.approx(summary.gain_db, abs=0.01)


def test_the_network_learns(undisturbed: Path, photos: Path, tmp_path: Path) -> None:
    optimisation = yaml.safe_load((undisturbed / "tiny.yaml").read_text())["optimisation"]
    longer = optimisation | {"steps": 160, "measure_every": 80, "checkpoint_every": 80}
    run_all([recipe_file(tmp_path, photos, optimisation=longer)], tmp_path, Options(photos=photos))
    assert float(log_rows(tmp_path)[-1]["gain_blurred_db"]) > float(log_rows(undisturbed)[0]["gain_blurred_db"]) + 0.3


@pytest.mark.parametrize("killed_at", [5, 15, 20])
def test_a_killed_run_goes_on_to_the_same_weights(
    undisturbed: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    real_step = Stepper.step

    def fatal_step(stepper: Stepper, progress: float) -> None:
        if stepper.course.step == killed_at:
            raise KilledError
        real_step(stepper, progress)

    recipe = recipe_file(tmp_path, photos)
    monkeypatch.setattr(Stepper, "step", fatal_step)
    with pytest.raises(KilledError):
        run_all([recipe], tmp_path, Options(photos=photos))
    monkeypatch.setattr(Stepper, "step", real_step)
    (weights,) = run_all([recipe], tmp_path, Options(photos=photos, resume=True))
    assert weights.read_bytes() == (undisturbed / "tiny.onnx").read_bytes()
    assert [row["step"] for row in log_rows(tmp_path)] == [row["step"] for row in log_rows(undisturbed)]


def test_several_recipes_train_side_by_side_into_a_folder_each(undisturbed: Path, photos: Path, tmp_path: Path) -> None:
    recipes = [recipe_file(tmp_path, photos), recipe_file(tmp_path, photos, "tiny-x4", scale=4)]
    recipes[1].write_text(recipes[1].read_text().replace("patch: 12", "patch: 8"), encoding="utf-8")
    first, second = run_all(recipes, tmp_path / "out", Options(photos=photos))
    assert first == tmp_path / "out" / "tiny" / "tiny.onnx"
    assert onnx_upscaler(second)(np.zeros((9, 7), dtype=np.float32)).shape == (36, 28)
    assert first.read_bytes() == (undisturbed / "tiny.onnx").read_bytes()


def test_a_training_by_the_clock_ends(photos: Path, tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, photos, optimisation={"steps": 10**6, "patch": 8, "learning_rate": 0.001})
    run_all([recipe], tmp_path, Options(photos=photos, seconds=0.5))
    assert 0 < int(log_rows(tmp_path)[-1]["step"]) < 10**6


def test_a_training_goes_on_from_the_network_it_starts_with(photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = LumaNet(4, 1, 8)
    torch.nn.init.normal_(before.convolutions[-1].project, std=0.3)
    start = export_onnx(before, tmp_path / "start.onnx")
    sha256 = hashlib.sha256(start.read_bytes()).hexdigest()
    recipe = recipe_file(
        tmp_path,
        photos,
        start={"file": "start.onnx", "sha256": sha256},
        optimisation={"steps": 1, "patch": 8, "learning_rate": 1e-9},
    )
    (after,) = run_all([recipe], tmp_path / "out", Options(photos=photos))
    luma = np.random.default_rng(0).random((1, 1, 11, 13), dtype=np.float32)
    answers = [onnxruntime.InferenceSession(path).run(None, {"luma": luma})[0] for path in (start, after)]
    assert np.abs(answers[0] - answers[1]).max() < 1e-5
    recipe_file(tmp_path, photos, start={"file": "start.onnx", "sha256": "0" * 64})
    with pytest.raises(UsageError, match="sha256"):
        run_all([recipe], tmp_path / "other", Options(photos=photos))


def test_patches_are_the_large_picture_and_the_same_place_made_small(photos: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path, photos, down_scaling={"area": 1.0}))
    planes = np.stack([scene(index)[..., 0] for index in range(3)])
    stock = stocked(recipe, planes, planes[:2, :64, :64].copy(), "cpu")
    places = draw_places(stock, recipe, 0, margin=3)
    for step in range(6):
        small, large = cut(stock, torch.from_numpy(places[step]), 18, 24)
        assert small.shape == (4, 1, 18, 18)
        assert large.shape == (4, 1, 24, 24)
        for one, other in zip(small[:, 0].double().numpy(), large[:, 0].double().numpy(), strict=True):
            assert np.abs(one[3:-3, 3:-3] * 255 - to_codes(area(other * 255, 2))).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_an_axis_are_the_down_scaling(kind: str) -> None:
    plane = scene(8, 48, 64)[..., 0].astype(np.float64)
    rows, columns = (axis_matrix(size, kind, 2, sigma=0.7) for size in plane.shape)
    assert np.abs(rows @ plane @ columns.T - downscale(plane, kind, 2, sigma=0.7)).max() < 1e-9


def test_photographs_that_are_others_than_the_recipes_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sha256"):
        read_list(photos, "0" * 64)
    with pytest.raises(InputNotFound, match="photos.csv"):
        run_all([recipe_file(tmp_path, photos)], tmp_path, Options(photos=tmp_path / "nowhere"))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "photos.csv").write_bytes((photos / "photos.csv").read_bytes())
    for name in ("0.png", "1.png", "2.png"):
        (copy / name).write_bytes(b"no picture")
    with pytest.raises(InputInvalid, match=r"\.png"):
        run_all([recipe_file(tmp_path, photos)], tmp_path, Options(photos=copy))


def test_a_recipe_with_photographs_and_one_without_are_not_mistaken(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="trains on photographs"):
        train.run(recipe_file(tmp_path, photos), tmp_path)
    plain = load_recipe(recipe_file(tmp_path, photos)).model_dump(mode="json", exclude_none=True)
    plain.pop("photos")
    path = tmp_path / "plain.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    with pytest.raises(UsageError, match=r"optimisation\.fourier_weight needs photos"):
        load_recipe(path)
    plain["optimisation"] = {"steps": 2, "patch": 8, "learning_rate": 0.01}
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    with pytest.raises(UsageError, match="no photographs"):
        run_all([path], tmp_path, Options(photos=photos))


def test_a_device_that_is_not_there_is_refused(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="cuda"):
        run_all([recipe_file(tmp_path, photos)], tmp_path, Options(photos=photos, device="cuda"))


def test_a_network_of_the_size_of_its_source_learns_to_restore_photographs_by_the_clock(tmp_path: Path) -> None:
    rows = ["file,split,source,path,licence"]
    for index in range(5):
        split, size = ("train", (SIDE, SIDE)) if index < 3 else ("validation", (SIDE + 4, SIDE + 20))
        cv2.imwrite(str(tmp_path / f"{index}.png"), scene(index, *size))
        rows.append(f"{index}.png,{split},tests,{index}.png,CC0-1.0")
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    plain = yaml.safe_load(recipe_file(tmp_path, tmp_path).read_text())
    changes = {
        "scale": 1,
        "pool": plain["pool"] | {"side": SIDE},
        "down_scaling": {"bicubic": 1.0},
        "degradation": {"variants": 2, "kinds": {"noise": 1.0}, "noise_sigma_max": 25.0, "clean_share": 0.1},
        "optimisation": {"steps": 400, "batch": 4, "patch": 12, "learning_rate": 0.01, "measure_every": 40},
    }
    recipe = recipe_file(tmp_path, tmp_path, **changes)
    weights = train.run(recipe, tmp_path / "out", photos=tmp_path, seconds=1.5)
    rows_logged = log_rows(tmp_path / "out")
    assert float(rows_logged[-1]["gain_degraded_db"]) > 0
    assert rows_logged[-1]["gain_area_db"] == ""
    level = 12.0
    assert onnx_upscaler(weights, level=level)(np.zeros((9, 11), np.float32)).shape == (9, 11)
    with pytest.raises(UsageError, match="does not train beside others"):
        run_all([recipe], tmp_path / "many", Options(photos=tmp_path))
