"""Training a stylisation: it gets closer to the filter, and a killed run goes on as if nothing had happened."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest

from sr_tasks import __main__ as cli
from sr_tasks.errors import InputNotFound, UsageError
from sr_tasks.training.course import CHECKPOINT, LOG, PLOT
from sr_tasks.training.style import train
from sr_tasks.training.style.recipe import is_style_recipe, load_style_recipe
from sr_tasks.training.style.train import run
from tests.training.style.style_recipes import STEPS, recipe_file, recipe_values


class KilledError(Exception):
    """Stands for the process being killed."""


def test_a_run_gets_closer_to_the_filter_and_leaves_everything_behind(tmp_path: Path) -> None:
    longer = recipe_values()["optimisation"] | {"steps": 60, "measure_every": 30}
    path = run(recipe_file(tmp_path, optimisation=longer), tmp_path / "out")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    with (tmp_path / "out" / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [30, 60]
    assert float(rows[1]["gain_db"]) > 0
    ElementTree.parse(tmp_path / "out" / PLOT)
    assert "gain" in (tmp_path / "out" / PLOT).read_text()


def test_the_command_trains_a_style_by_its_recipe(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli.main(["train", str(recipe_file(tmp_path)), "--out", str(out), "--workdir", str(tmp_path / "w")]) == 0
    assert (out / "tiny.onnx").is_file()


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_file(tmp_path)
    whole = run(recipe, tmp_path / "whole").read_bytes()

    real, steps = train.one_step, 0

    def killed(*args):  # type: ignore[no-untyped-def]
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KilledError
        return real(*args)

    monkeypatch.setattr(train, "one_step", killed)
    with pytest.raises(KilledError):
        run(recipe, tmp_path / "broken")
    monkeypatch.undo()
    assert run(recipe, tmp_path / "broken", resume=True).read_bytes() == whole
    with (tmp_path / "broken" / LOG).open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [6, STEPS]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    run(recipe_file(tmp_path), tmp_path / "out")
    assert (tmp_path / "out" / CHECKPOINT).is_file()
    with pytest.raises(UsageError, match="belongs to recipe"):
        run(recipe_file(tmp_path, seed=5), tmp_path / "out", resume=True)


def test_recipes_say_their_kind(tmp_path: Path) -> None:
    assert is_style_recipe(recipe_file(tmp_path))
    assert not is_style_recipe(Path("include/models/recipes/compact-x2.yaml"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"filter": {"radius": 0}}, "radius"),
        ({"optimisation": recipe_values()["optimisation"] | {"patch": 40}}, "pool.side of 50 px"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        load_style_recipe(recipe_file(tmp_path, **changes))


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="no recipe"):
        is_style_recipe(tmp_path / "none.yaml")
