"""The command that measures a network for its card, on a piece of one photograph."""

from pathlib import Path

import pytest
import yaml

from sr_tasks.config import REPOSITORY
from sr_tasks.records.cards import Quality
from sr_tasks.training import measure
from sr_tasks.training.evaluate import photographs

MODELS = REPOSITORY / "include" / "models"


@pytest.fixture(autouse=True)
def one_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = {"chelsea": photographs()["chelsea"][:96, :96]}
    monkeypatch.setattr(measure, "photographs", lambda: piece)


def measured(weights: Path, capsys: pytest.CaptureFixture[str]) -> list[Quality]:
    assert measure.main([str(weights)]) == 0
    return [Quality(**row) for row in yaml.safe_load(capsys.readouterr().out)["quality"]]


@pytest.mark.parametrize(("model", "scale"), [("compact-x2", 2), ("compact-x4", 4)])
def test_it_prints_rows_that_a_card_takes(model: str, scale: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = measured(MODELS / model / "1" / f"{model}.onnx", capsys)
    assert [(row.scale, row.down_scaling) for row in rows] == [(scale, k) for k in ("bicubic", "area", "aliased")]
    assert all(row.gain_over_bicubic_db > 0 for row in rows[:2])


def test_a_network_with_a_level_is_measured_on_degraded_sources_too(capsys: pytest.CaptureFixture[str]) -> None:
    rows = measured(MODELS / "restore-x2" / "1" / "restore-x2.onnx", capsys)
    noise = next(row for row in rows if row.degradation == "noise 6")
    assert noise.gain_over_bicubic_db > 0.2
    assert len({row.degradation for row in rows}) == 14
