"""`python -m sr_tasks models ...` as somebody at a terminal meets it."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnxruntime as ort
import pytest
import yaml

from sr_tasks.__main__ import main
from tests.graphs.sample_models import random_network, write_model

Run = Callable[..., tuple[int, str]]
Answer = Callable[..., dict[str, Any]]


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with a network in two versions, the first in production, and the baseline."""
    models = tmp_path / "models"
    monkeypatch.setenv("SR_MODELS_DIR", str(models))
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path / "work"))
    monkeypatch.setenv("SR_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SR_LOG_LEVEL", "ERROR")
    write_model(models, "bicubic")
    for version in ("1", "2"):
        changes = {"title": "Alpha the first", "precisions": ["fp32"], "licence": "MIT", "parameters": 1}
        write_model(models, "alpha", version, network=random_network(seed=int(version)), **changes)
    return models


@pytest.fixture
def run(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, and what was printed."""

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["models", *arguments])
        printed = capsys.readouterr()
        return code, printed.err + printed.out

    return run


@pytest.fixture
def answer(run: Run) -> Answer:
    """The JSON object of a command that succeeds."""

    def answer(*arguments: str) -> dict[str, Any]:
        code, printed = run(*arguments, "--json")
        assert code == 0, printed
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    return answer


def test_a_version_is_released_and_taken_back_by_command(run: Run, answer: Answer, models_dir: Path) -> None:
    assert answer("promote", "alpha@1", "--reason", "known good")["production"] == "1"
    assert answer("candidate", "alpha@2", "--share", "0.25", "--shadow", "0.02")["candidate"] == "2"
    code, printed = run("list")
    row = next(line for line in printed.splitlines() if line.startswith("alpha"))
    assert code == 0
    assert "1, 2" in row
    assert "2 at 25 %, shadow 2 %" in row
    assert answer("rollback", "alpha")["candidate"] is None
    assert answer("promote", "alpha@2")["production"] == "2"
    assert answer("rollback", "alpha@2", "--reason", "soft")["production"] == "1"
    assert answer("rollback", "alpha@2")["production"] == "1"
    retired = answer("retire", "alpha@2")
    assert retired["retired"] == ["2"]
    history = yaml.safe_load((models_dir / "alpha" / "channels.yaml").read_text())["history"]
    assert [change["action"] for change in history] == [
        "start", "promote", "candidate", "rollback", "promote", "rollback", "retire",
    ]  # fmt: skip
    assert {change["by"] for change in history[1:]} == {pwd.getpwuid(os.getuid()).pw_name}
    assert history[1]["reason"] == "known good"


def test_a_candidacy_that_a_person_ends_leaves_the_record_of_a_release(
    run: Run, answer: Answer, tmp_path: Path
) -> None:
    answer("promote", "alpha@1")
    for verb, reference in (("rollback", "alpha"), ("promote", "alpha@2")):
        answer("candidate", "alpha@2", "--share", "0.5")
        answer(verb, reference, "--reason", f"{verb} by hand")
        assert any(f"{verb} by hand" in path.read_text() for path in (tmp_path / "state").rglob("*.json"))


def test_list_tells_which_models_jobs_may_use(run: Run, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_ALLOWED_LICENCES", "Apache-2.0")
    rows = {row["name"]: row for row in answer("list")["models"]}
    assert (rows["alpha"]["allowed"], rows["bicubic"]["allowed"]) == (False, True)
    assert rows["alpha"]["production"] == "2"
    assert rows["bicubic"]["scales"] == [2, 4]
    printed = run("list")[1].splitlines()
    assert next(line for line in printed if line.startswith("alpha")).split()[-2:] == ["MIT", "no"]


def test_a_plot_has_a_point_for_each_version_whose_card_says_how_good_it_is(
    run: Run, answer: Answer, models_dir: Path, tmp_path: Path
) -> None:
    code, printed = run("list", "--plot", str(tmp_path / "none.svg"))
    assert code != 0
    assert "No model's card says how good it is" in printed
    measured = {"test_set": "ours", "scale": 2, "down_scaling": "bicubic", "psnr_db": 30.0}
    for name, gain_db, cost in (("beta", 1.25, 0.1), ("gamma", 2.5, 1.0)):
        quality = [{**measured, "gain_over_bicubic_db": gain_db}]
        write_model(models_dir, name, network=random_network(), quality=quality, relative_cost=cost)
    path = tmp_path / "models.svg"
    plot = answer("list", "--plot", str(path))["plot"]
    assert plot["drawn"] == ["beta@1", "gamma@1"]
    assert plot["left_out"] == ["alpha@1", "alpha@2", "bicubic@1"]
    svg = ElementTree.parse(path)
    space = "{http://www.w3.org/2000/svg}"
    worse, better = sorted((float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in svg.iter(f"{space}circle"))
    assert better[0] > worse[0], "what costs more is further right"
    assert better[1] < worse[1], "what gains more is higher"
    texts = [text.text for text in svg.iter(f"{space}text")]
    assert {"beta@1 +1.25", "gamma@1 +2.50", "seconds per source megapixel"} <= set(texts)


def test_a_broken_model_does_not_hide_the_others(run: Run, models_dir: Path) -> None:
    (models_dir / "alpha" / "2" / "card.yaml").write_text("name: [")
    code, printed = run("list")
    assert code == 0
    assert "bicubic" in printed
    assert "broken: The card" in printed


def test_show_tells_the_card_the_channels_and_the_state_of_the_files(
    run: Run, answer: Answer, models_dir: Path
) -> None:
    shown = answer("show", "alpha")
    assert shown["card"]["title"] == "Alpha the first"
    assert shown["files"] == [{"file": "weights.onnx", "is": "weights", "state": "hash is right"}]
    assert shown["channels"]["production"] == "2"
    (models_dir / "alpha" / "2" / "weights.onnx").write_bytes(b"other")
    code, printed = run("show", "alpha@2")
    assert code == 0
    assert "weights weights.onnx: damaged" in printed
    assert "alpha: production 2" in printed
    (models_dir / "alpha" / "2" / "weights.onnx").unlink()
    assert "weights weights.onnx: missing" in run("show", "alpha@2")[1]


def test_export_writes_the_network_that_jobs_run(run: Run, answer: Answer, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert answer("export", "alpha@1", str(out))["output"] == str(out)
    picture = np.random.default_rng(0).random((1, 1, 12, 20), dtype=np.float32)
    found = ort.InferenceSession(str(out)).run(None, {"luma": picture})[0]
    expected = ort.InferenceSession(random_network(seed=1).SerializeToString()).run(None, {"luma": picture})[0]
    np.testing.assert_array_equal(found, expected)
    assert run("export", "alpha@1", str(out))[0] == 0
    code, printed = run("export", "alpha@2", str(out))
    assert (code, printed.split(":")[0]) == (3, "TARGET_EXISTS")
    assert run("export", "alpha@2", str(out), "--overwrite")[0] == 0
    assert out.read_bytes() == random_network(seed=2).SerializeToString()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["promote", "alpha@7"], 3, "MODEL_UNKNOWN: There is no model 'alpha@7'."),
        (["promote", "alpha"], 2, "USAGE: 'alpha' names no version."),
        (["retire", "alpha@2"], 2, "USAGE: Version 2 is production and cannot be retired."),
        (["candidate", "alpha@1", "--share", "2"], 2, "USAGE: The share 2 is no share."),
        (["candidate", "alpha@1"], 2, "USAGE: The following arguments are required: --share."),
        (["export", "bicubic", "out.onnx"], 2, "USAGE: The model bicubic@1 is a formula"),
        (["export", "alpha", "out.txt"], 2, "USAGE: 'out.txt' does not end in .onnx."),
        (["show", "../alpha"], 3, "MODEL_UNKNOWN"),
        (["bench", "alpha", "--frame", "640"], 2, "USAGE: '640' is no size of a frame."),
        (["bench", "alpha", "--frame", "8x8"], 2, "USAGE: 8x8 for 2 s cannot be measured."),
        (["polish", "alpha"], 2, "USAGE: Argument COMMAND: invalid choice: 'polish'"),
        ([], 2, "USAGE: The following arguments are required: COMMAND."),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    run: Run, arguments: list[str], code: int, said: str
) -> None:
    found, printed = run(*arguments)
    assert found == code
    assert said in printed
    assert "Traceback" not in printed


def test_verify_proves_hash_form_and_the_prepared_model(run: Run, answer: Answer) -> None:
    for reference, checks in (
        ("alpha@1", ["weights", "form", "prepared for 2x"]),
        ("bicubic", ["prepared for 2x", "prepared for 4x"]),
    ):
        found = answer("verify", reference)
        assert [finding["check"] for finding in found["findings"]] == checks
        assert found["passed"]
    code, printed = run("verify", "alpha@1")
    assert code == 0
    assert "found in the cache" in printed


def test_verify_finds_damaged_weights(run: Run, models_dir: Path) -> None:
    (models_dir / "alpha" / "2" / "weights.onnx").write_bytes(random_network(seed=9).SerializeToString())
    code, printed = run("verify", "alpha@2")
    assert code == 4
    assert "FAIL  refused" in printed
    assert "sha256" in printed


def test_verify_finds_a_network_that_is_not_what_its_card_says(run: Run, models_dir: Path) -> None:
    write_model(models_dir, "beta", network=random_network(), color="rgb")
    write_model(models_dir, "gamma", network=random_network(), scale=3)
    assert run("verify", "beta")[0] == 4
    assert "FAIL  form: luma is [1, 1, any, any], not [1, 3, any, any]" in run("verify", "beta")[1]
    code, printed = run("verify", "gamma")
    assert code == 4
    assert "Correct the scale in its card." in printed


def test_bench_shows_each_precision_beside_bicubic(run: Run, answer: Answer) -> None:
    found = answer("bench", "alpha@1", "--frame", "64x48", "--seconds", "0.1")
    assert [(row["model"], row["precision"]) for row in found["rows"]] == [("alpha@1", "fp32"), ("bicubic@1", "fp32")]
    assert all(row["fps"] > 0 for row in found["rows"])
    assert found["rows"][1]["bicubic_times"] == 1.0
    assert "64x48" in run("bench", "bicubic", "--frame", "64x48", "--seconds", "0.1")[1]


def test_routes_are_shown_with_what_they_lead_to_now(run: Run, models_dir: Path) -> None:
    table = {
        "routes": [{"name": "small", "when": {"scale": 2, "height": {"max": 480}}, "model": "alpha"}],
        "defaults": {2: "bicubic", 4: "bicubic"},
    }
    (models_dir / "routing.yaml").write_text(yaml.safe_dump(table))
    code, printed = run("routes")
    assert code == 0
    assert "small    scale 2, height below 480  alpha    alpha@2" in printed
    (models_dir / "routing.yaml").write_text(yaml.safe_dump(table | {"defaults": {2: "bicubic", 4: "alpha"}}))
    code, printed = run("routes")
    assert (code, printed.split(":")[0]) == (3, "ROUTES_INVALID")


def test_looking_at_the_registry_loads_no_runtime(models_dir: Path) -> None:
    script = (
        "import sys; from sr_tasks.__main__ import main; code = main(['models', 'list', '--json']); "
        "print(code, sorted({'onnx', 'onnxruntime', 'openvino', 'torch', 'av', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
