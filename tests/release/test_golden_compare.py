"""A candidate against production on the golden set: what is accepted, what is refused and why, and the report page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from sr_tasks.errors import UsageError
from sr_tasks.release.golden.compare import Comparison, compare
from sr_tasks.release.golden.items import GoldenScores, ItemScore
from sr_tasks.release.golden.lpips import Lpips
from sr_tasks.release.golden.report import render, sight
from sr_tasks.release.policy import GoldenMargins

SCENES = ("coffee", "page", "leaves")


def scores(scale: int = 2, *, only: str = "", scene: str = "", **changes: float) -> GoldenScores:
    """Figures of a version; `changes` are added to those of one degradation and scene, or of all."""
    items = []
    for degradation in ("bicubic", "noise-3", "clip"):
        for name in SCENES:
            figures: dict[str, Any] = {"psnr": 32.0, "ssim": 0.9, "gmsd": 0.05, "chroma_psnr": 38.0}
            if degradation == "clip":
                figures |= {"flicker": 2.0, "bicubic_flicker": 2.0}
            if only in ("", degradation) and scene in ("", name):
                figures |= {key: figures[key] + value for key, value in changes.items() if key in figures}
            items.append(ItemScore(degradation=degradation, scene=name, kind="drawn", bicubic_psnr=31.0, **figures))
    return GoldenScores(scale=scale, items=tuple(items))


def against(candidate: GoldenScores, *others: GoldenScores) -> Comparison:
    return compare(("net@2", [candidate]), ("net@1", list(others or [scores()])), GoldenMargins())


def test_an_equal_version_and_a_better_one_are_accepted() -> None:
    assert against(scores()).accepted
    better = against(scores(psnr=0.4))
    assert better.accepted
    assert better.mean_difference_db == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"psnr": -0.05}, "Over all degradations"),
        ({"only": "noise-3", "psnr": -0.2}, "Noise of 3 codes"),
        ({"only": "bicubic", "scene": "page", "psnr": -0.9}, "scene page"),
        ({"only": "bicubic", "ssim": -0.01}, "SSIM"),
        ({"only": "bicubic", "gmsd": 0.01}, "edge error"),
        ({"only": "noise-3", "chroma_psnr": -2.0}, "chroma"),
        ({"only": "clip", "flicker": 0.3}, "flicker"),
    ],
)
def test_a_version_that_stays_behind_in_any_figure_is_refused_by_its_name(changes: dict[str, Any], named: str) -> None:
    found = against(scores(**changes))
    assert not found.accepted
    assert any(named in reason for reason in found.reasons)


def test_margins_decide_what_counts_as_behind() -> None:
    generous = GoldenMargins(mean_loss_db=1.0, class_loss_db=1.0)
    assert compare(("net@2", [scores(psnr=-0.2)]), ("net@1", [scores()]), generous).accepted


def test_a_version_without_a_scale_of_production_is_refused() -> None:
    assert any("4 times" in reason for reason in against(scores(), scores(), scores(scale=4)).reasons)


def test_a_first_version_is_held_against_bicubic_and_refused_only_if_it_is_broken() -> None:
    first = compare(("net@1", [scores(psnr=-2.0)]), None, GoldenMargins())
    assert first.accepted
    assert any("below bicubic" in note for note in first.notes)
    broken = compare(("net@1", [scores(psnr=-12.0)]), None, GoldenMargins())
    assert not broken.accepted


def test_the_report_is_one_page_that_loads_nothing_and_escapes_what_it_is_told() -> None:
    found = against(scores(only="noise-3", psnr=-0.2)).model_copy(update={"candidate": "<script>@2"})
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (192, 288, 3)).astype(np.uint8)
    wrong = truth.copy()
    wrong[100:150, 200:250] = 0
    shown = sight("Noise", "-0.2 dB", truth[::2, ::2].copy(), wrong, truth, truth)
    page = render(found, [shown], created="2026-01-01", facts={"Device": "a <CPU>"})
    assert "Refused as candidate" in page
    assert "<script>" not in page
    assert "&lt;CPU&gt;" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    for row in found.rows:
        assert row.title in page


def test_a_style_is_not_judged_by_the_truth_it_departs_from() -> None:
    found = compare(("ink@1", [scores(psnr=-15.0)]), None, GoldenMargins(), is_stylised=True)
    assert found.accepted
    assert found.notes == ("A style is not held against the truth: look at the pictures.",)


def test_lpips_is_measured_by_the_network_that_is_given(tmp_path: Path) -> None:
    """A network that gives the mean absolute difference stands in for one of LPIPS."""
    shape = [1, 3, "rows", "columns"]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("a", "b")]
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["d"]),
        helper.make_node("Abs", ["d"], ["m"]),
        helper.make_node("ReduceMean", ["m"], ["distance"], keepdims=0),
    ]
    out = helper.make_tensor_value_info("distance", TensorProto.FLOAT, [])
    model = helper.make_model(
        helper.make_graph(nodes, "d", ports, [out]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    path = tmp_path / "lpips.onnx"
    path.write_bytes(model.SerializeToString())
    black, grey = np.zeros((16, 24, 3), np.uint8), np.full((16, 24, 3), 51, np.uint8)
    assert Lpips(path)(black, grey) == pytest.approx(51 / 127.5, abs=1e-6)
    path.write_bytes(b"no network")
    with pytest.raises(UsageError, match=r"lpips\.onnx"):
        Lpips(path)
