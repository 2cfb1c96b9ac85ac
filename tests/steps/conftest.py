"""One way to run a job as the command line does, with its scratch in the test's own folder."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sr_tasks import __main__ as cli
from sr_tasks.__main__ import job_id_of
from sr_tasks.config import Settings
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers

Enhance = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def prepared_models(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store of prepared models for all tests: a network is prepared once for a kind of frame, not once a test."""
    return str(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(Settings(), workdir=tmp_path / "workdir", state_dir=tmp_path / "state", precision="fp32")


@pytest.fixture
def enhance(settings: Settings, tmp_path: Path, prepared_models: str) -> Enhance:
    """`enhance(source, "out.mkv", **spec)` runs a whole job, with the bicubic model unless told otherwise."""

    def run(source: Path, output: str | None = None, **spec: Any) -> dict[str, Any]:
        target = "" if output == "" else str(tmp_path / (output or f"out{source.suffix}"))
        request = JobSpec(source=str(source), output=target, **{"model": "bicubic", "preset": "ultrafast", **spec})
        with_store = dataclasses.replace(settings, store_uri=prepared_models)
        return pipeline.run(request, job_id_of(request), with_store, Observers())

    return run


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, prepared_models: str
) -> Any:
    """`run(source, "--codec", "ffv1")` runs a job by the command line: the output, and the JSON that is printed."""

    monkeypatch.setenv("SR_STORE_URI", prepared_models)

    def enhanced(
        path: Path, *options: str, model: str = "bicubic", suffix: str = ".mkv"
    ) -> tuple[Path, dict[str, Any]]:
        output = tmp_path / f"out{suffix}"
        arguments = ["enhance", str(path), str(output), "--model", model, "--workdir", str(tmp_path / "work"), "--json"]
        cli.main([*arguments, "--overwrite", *options])
        answer: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        return output, answer

    return enhanced
