"""Training: the loss falls, a killed run goes on as if nothing had happened, the exported file is the network."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml

from sr_tasks.errors import InputNotFound, UsageError
from sr_tasks.training import train
from sr_tasks.training.course import CHECKPOINT, LOG, PLOT, Course, learning_rate
from sr_tasks.training.export import export_onnx
from sr_tasks.training.network import LumaNet, receptive_field
from sr_tasks.training.recipe import load_recipe
from sr_tasks.training.train import Progress, run

STEPS = 30


class KilledError(Exception):
    """Stands for the process being killed."""


def recipe_file(folder: Path, **changes: object) -> Path:
    recipe = {
        "name": "tiny",
        "seed": 4,
        "network": {"channels": 4, "layers": 1, "width": 8},
        "pool": {
            "images": 3,
            "held_out": 1,
            "side": 64,
            "scenes": {"leaves": 1.0, "lines": 1.0},
            "lens_blur_probability": 0.5,
            "lens_blur_sigma_max": 2.0,
            "defocus_probability": 0.0,
            "faint_probability": 0.0,
            "grain_probability": 0.0,
            "grain_sigma_max": 0.0,
        },
        "down_scaling": {"bicubic": 0.5, "area": 0.2, "aliased": 0.2, "blurred": 0.1},
        "optimisation": {
            "steps": STEPS,
            "batch": 4,
            "patch": 16,
            "learning_rate": 0.01,
            "warm_up_steps": 3,
            "ema_decay": 0.9,
            "checkpoint_every": 7,
            "measure_every": 10,
        },
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe | changes), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(recipe_file(folder), folder)
    return folder


def log_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_short_training_lowers_the_loss(undisturbed: Path) -> None:
    rows = log_rows(undisturbed)
    assert [int(row["step"]) for row in rows] == [10, 20, 30]
    assert float(rows[-1]["loss"]) < 0.9 * float(rows[0]["loss"])


@pytest.mark.parametrize("killed_at", [5, 12, 17])
def test_a_killed_run_goes_on_to_the_same_weights(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    real_step = train.one_step

    def fatal_step(state: Course[LumaNet], *rest: object) -> float:
        if state.step == killed_at:
            raise KilledError
        return real_step(state, *rest)

    recipe = recipe_file(tmp_path)
    monkeypatch.setattr(train, "one_step", fatal_step)
    with pytest.raises(KilledError):
        run(recipe, tmp_path)
    monkeypatch.setattr(train, "one_step", real_step)
    weights = run(recipe, tmp_path, resume=True)
    assert weights.read_bytes() == (undisturbed / "tiny.onnx").read_bytes()
    measured = [{**row, "seconds": ""} for row in log_rows(tmp_path)]
    assert measured == [{**row, "seconds": ""} for row in log_rows(undisturbed)]


def test_a_run_without_resume_starts_anew(undisturbed: Path, tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path)
    seen: list[Progress] = []
    run(recipe, tmp_path)
    run(recipe, tmp_path, report=seen.append)
    assert [progress.step for progress in seen] == [10, 20, 30]
    assert (tmp_path / "tiny.onnx").read_bytes() == (undisturbed / "tiny.onnx").read_bytes()


def test_a_run_that_stops_early_went_the_same_way_so_far(undisturbed: Path, tmp_path: Path) -> None:
    optimisation = yaml.safe_load(recipe_file(tmp_path).read_text())["optimisation"]
    run(recipe_file(tmp_path, optimisation=optimisation | {"stop_at": 10}), tmp_path)
    (row,) = log_rows(tmp_path)
    assert {**row, "seconds": ""} == {**log_rows(undisturbed)[0], "seconds": ""}


def test_the_plot_shows_every_curve_of_the_log(undisturbed: Path) -> None:
    drawing = ElementTree.parse(undisturbed / PLOT).getroot()
    curves = drawing.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(curve.attrib["points"].split()) for curve in curves] == [3, 3, 3, 3]
    heights = [float(point.split(",")[1]) for curve in curves for point in curve.attrib["points"].split()]
    assert 0 < min(heights) < max(heights) < 360


def test_another_seed_gives_other_weights(undisturbed: Path, tmp_path: Path) -> None:
    weights = run(recipe_file(tmp_path, seed=5), tmp_path)
    assert weights.read_bytes() != (undisturbed / "tiny.onnx").read_bytes()


def test_a_checkpoint_of_another_recipe_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes((undisturbed / CHECKPOINT).read_bytes())
    with pytest.raises(UsageError, match="belongs to recipe"):
        run(recipe_file(tmp_path, seed=6), tmp_path, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": 1}, "sede"),
        ({"down_scaling": {"bicubic": 0}}, "positive sum"),
        ({"down_scaling": {"lanczos": 1}}, "lanczos"),
        ({"network": {"channels": 4, "layers": 20, "width": 8}}, "pool.side"),
    ],
)
def test_an_invalid_recipe_is_refused_by_name(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(recipe_file(tmp_path, **changes))


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="nothing.yaml"):
        load_recipe(tmp_path / "nothing.yaml")


def test_the_learning_rate_warms_up_and_ends_at_its_final_share(tmp_path: Path) -> None:
    plan = load_recipe(recipe_file(tmp_path)).optimisation
    rates = [learning_rate(plan, step) for step in range(plan.steps + 1)]
    assert rates[0] < rates[1] < rates[2] == max(rates)
    assert rates[-1] == pytest.approx(plan.learning_rate * plan.final_share)


@pytest.mark.parametrize("size", [(1, 1), (9, 14), (40, 33)])
def test_the_exported_file_answers_as_the_network(tmp_path: Path, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = LumaNet(16, 4, 32)
    torch.nn.init.normal_(net.convolutions[-1].project, std=0.05)
    path = export_onnx(net, tmp_path / "net.onnx")
    luma = np.random.default_rng(0).random((1, 1, *size), dtype=np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(["upscaled"], {"luma": luma})
    with torch.no_grad():
        expected = net(torch.from_numpy(luma)).numpy()
    assert answer.shape == (1, 1, 2 * size[0], 2 * size[1])
    assert np.abs(answer - expected).max() < 1e-5


def test_the_exported_file_holds_plain_operators_only(tmp_path: Path) -> None:
    model = onnx.load(export_onnx(LumaNet(16, 4, 32), tmp_path / "net.onnx"))
    assert {node.op_type for node in model.graph.node} == {"Pad", "Conv", "Relu", "Add", "DepthToSpace"}
    assert [imported.version for imported in model.opset_import] == [17]


def test_an_untrained_network_is_close_to_bilinear() -> None:
    luma = torch.rand(1, 1, 12, 15)
    oracle = torch.nn.functional.interpolate(luma, scale_factor=2, mode="bilinear", align_corners=False)
    net = LumaNet(8, 2, 8)
    torch.nn.init.zeros_(net.convolutions[-1].project)
    with torch.no_grad():
        assert torch.allclose(net(luma), oracle, atol=1e-6)


def test_a_tile_with_its_margin_answers_as_the_whole_frame() -> None:
    torch.manual_seed(1)
    net = LumaNet(8, 2, 8)
    luma = torch.rand(1, 1, 40, 40)
    with torch.no_grad():
        whole, tile = net(luma), net.interior(luma[:, :, 5:30, 7:35])
    assert receptive_field(2) == 2 * net.margin + 1
    corner = (5 + net.margin) * 2, (7 + net.margin) * 2
    expected = whole[:, :, corner[0] : corner[0] + tile.shape[2], corner[1] : corner[1] + tile.shape[3]]
    assert torch.allclose(tile, expected, atol=1e-5)
