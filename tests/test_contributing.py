"""The worked examples of CONTRIBUTING.md, followed to the letter."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

from sr_tasks import __main__ as cli
from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.inference.backend import backend_for
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import validate
from tests.clips import Clip, make
from tests.graphs.sample_models import noise_planes, random_network, resampler_entry, variant
from tests.readers import streams

GUIDE = (REPOSITORY / "CONTRIBUTING.md").read_text()


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


def code(title: str, language: str = "python") -> str:
    """The one block of code of a section, without the indent of the list that it is in."""
    (found,) = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", section(title), re.MULTILINE | re.DOTALL)
    indent, text = found
    return re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def module_of(title: str) -> Any:
    module = ModuleType("example")
    exec(compile(code(title), "CONTRIBUTING.md", "exec"), module.__dict__)
    return module


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make(tmp_path / "clip.mp4", Clip(frames=6, width=64, height=48))


def library(folder: Path, change: Callable[[Path], None]) -> Callable[..., str]:
    """A copy of the library after a change, and a way to run its command line in `folder`."""
    shutil.copytree(REPOSITORY / "sr_tasks", folder / "sr_tasks", ignore=shutil.ignore_patterns("__pycache__"))
    change(folder / "sr_tasks")

    def run(*arguments: object) -> str:
        env = {**os.environ, "SR_MODELS_DIR": str(REPOSITORY / "include" / "models"), "SR_LOG_LEVEL": "ERROR"}
        command = [sys.executable, "-m", "sr_tasks", *(str(word) for word in arguments)]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_codec_is_one_row(tmp_path: Path, clip: Path) -> None:
    def add_row(package: Path) -> None:
        table = package / "records" / "codecs.py"
        text = table.read_text()
        (end,) = [node.end_lineno for node in ast.parse(text).body if ast.unparse(node).startswith("_ROWS = ")]
        assert end is not None
        lines = text.splitlines(keepends=True)
        lines.insert(end - 1, f"{code('Add a codec').rstrip()},\n")
        table.write_text("".join(lines).replace('Codec = Literal["h264"', 'Codec = Literal["v210", "h264"'))

    run = library(tmp_path / "copy", add_row)
    assert "v210" in run("enhance", "--help")
    output = tmp_path / "out.mov"
    run("enhance", clip, output, "--model", "bicubic", "--codec", "v210", "--workdir", tmp_path / "work")
    assert [(one["codec_name"], one["width"], one["height"]) for one in streams(output)][:1] == [("v210", 128, 96)]
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_a_step_runs_on_a_clip_and_twice_ends_in_the_same_place(tmp_path: Path, clip: Path) -> None:
    settings = Settings(workdir=tmp_path / "work")
    step = module_of("Add a step")
    spec = JobSpec(source=str(clip), output=str(tmp_path / "out.mp4"), model="bicubic")
    validate.run(spec, "job", settings)
    weight = step.run("job", settings)
    assert weight["bytes_per_s"] == pytest.approx(clip.stat().st_size / (6 / 25), rel=0.01)
    assert step.run("job", settings) == weight == JobFolder(settings.workdir, "job").load_json("weight")


def test_a_backend_is_a_slot_for_the_pool(tmp_path: Path) -> None:
    from sr_tasks.graphs.prepare import prepare

    kind = variant()
    prepared, _ = prepare(resampler_entry(tmp_path), kind, backend_for("onnxruntime"), "fp32", tmp_path / "cache",
                          width=32, height=24)  # fmt: skip
    backend = module_of("Add a backend").ReferenceBackend()
    assert all(hasattr(backend, name) for name in ("name", "version", "device", "architecture", "compiles_ahead"))
    planes = noise_planes(kind, 32, 24)
    found = backend.open(prepared, 32, 24, streams=2).infer((planes,))
    expected = backend_for("onnxruntime").open(prepared, 32, 24).infer((planes,))
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_a_model_is_brought_proved_and_used_by_three_commands(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sharp.onnx").write_bytes(random_network(strength=0.01).SerializeToString())
    monkeypatch.chdir(clip.parent)
    for name in ("models_dir", "workdir", "state_dir"):
        monkeypatch.setenv(f"SR_{name.upper()}", str(tmp_path / name))
    commands = code("Add a model", "sh").splitlines()
    assert len(commands) == 3
    for command in commands:
        python, option, program, *words = command.split()
        assert (python, option, program) == ("python", "-m", "sr_tasks")
        cli.main(words)
    assert streams(tmp_path / "clip_x2.mp4")[0]["width"] == 128


@pytest.mark.parametrize("title", ["Add a model", "Add a step", "Add a codec", "Add a setting", "Add a backend"])
def test_names_in_the_recipes_exist(title: str) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", section(title), flags=re.MULTILINE | re.DOTALL)
    paths = [path for path in re.findall(r"`([\w./-]+/[\w./-]+|[\w-]+\.toml)`", text) if "<" not in path]
    assert paths
    assert [path for path in paths if not any((REPOSITORY / root / path).exists() for root in ("", "sr_tasks"))] == []
    for name, path in re.findall(r"`(_?[A-Z]\w+)`[^`]*? (?:in|of)\s+`(sr_tasks/[\w/]+\.py)`", text):
        assert re.search(rf"^(class )?{name}\b", (REPOSITORY / path).read_text(), re.MULTILINE), (name, path)
