"""Whole jobs in tiles, and jobs at the source's own size: what comes out, and what a resume may keep."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from sr_tasks.__main__ import job_id_of
from sr_tasks.config import Settings
from sr_tasks.errors import ChunkFailed, ScaleUnsupported
from sr_tasks.inference import opened
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.job import ModelRecord
from sr_tasks.steps import pipeline, plan, prepare_model, validate
from sr_tasks.telemetry.progress import Observers
from tests.clips import Clip, make
from tests.graphs.sample_models import network_model, write_model
from tests.steps.conftest import Enhance

CLIP = Clip(frames=6, width=142, height=102, sound="aac")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "clip.mp4", CLIP)


def job(source: Path, output: Path, settings: Settings, **spec: Any) -> dict[str, Any]:
    request = JobSpec(source=str(source), output=str(output), **{"preset": "ultrafast", **spec})
    return pipeline.run(request, job_id_of(request), settings, Observers())


def test_a_job_in_tiles_delivers_the_bytes_of_one_in_whole_frames(
    source: Path, settings: Settings, tmp_path: Path
) -> None:
    outputs = []
    for tile_px in (0, 48):
        target = tmp_path / f"{tile_px}.mp4"
        job(source, target, dataclasses.replace(settings, tile_px=tile_px), model="compact-x2", scale=4)
        outputs.append(target.read_bytes())
    assert outputs[0] == outputs[1]


def prepared(source: Path, tmp_path: Path, settings: Settings, model: str = "compact-x2") -> ModelRecord:
    spec = JobSpec(source=str(source), output=str(tmp_path / "out.mp4"), model=model)
    validate.run(spec, "job", settings)
    plan.run("job", settings)
    prepare_model.run("job", settings)
    return JobFolder(settings.workdir, "job").load("model", ModelRecord)


def test_a_resume_keeps_its_chunks_in_other_tiles_only_if_they_would_be_the_same(
    source: Path, settings: Settings, tmp_path: Path
) -> None:
    records = [prepared(source, tmp_path, dataclasses.replace(settings, tile_px=side)) for side in (0, 48)]
    assert [record.tile_px for record in records] == [0, 48]
    assert records[0].fingerprint == records[1].fingerprint
    write_model(tmp_path / "models", "wide", network=blur(), scale=1, tiling={"mode": "overlap", "halo": 16})
    spec = JobSpec(source=str(source), output=str(tmp_path / "out.mp4"), model="wide", scale=1)
    found = []
    for side in (0, 48):
        own = dataclasses.replace(settings, tile_px=side, models_dir=tmp_path / "models")
        validate.run(spec, "job", own)
        plan.run("job", own)
        prepare_model.run("job", own)
        found.append(JobFolder(own.workdir, "job").load("model", ModelRecord).fingerprint)
    assert found[0] != found[1]


def test_a_job_that_runs_out_of_memory_goes_on_in_smaller_tiles(
    source: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(source, tmp_path / "undisturbed.mp4", settings, model="bicubic")
    inner, broken_off = opened.TiledSession.infer, []

    def infer(self: Any, *arguments: Any) -> Any:
        if self._grid.columns.window > 70:
            broken_off.append(self)
            raise ChunkFailed("OpenVINO broke off: std::bad_alloc")
        return inner(self, *arguments)

    monkeypatch.setattr(opened.TiledSession, "infer", infer)
    job(source, tmp_path / "out.mp4", dataclasses.replace(settings, tile_px=128), model="bicubic")
    assert broken_off
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "undisturbed.mp4").read_bytes()


def blur() -> onnx.ModelProto:
    """At the source's own size: a tenth of each px gives way to the mean of its 3x3 px, the border repeated."""
    kernel = np.full((1, 1, 3, 3), 0.1 / 9, np.float32)
    kernel[0, 0, 1, 1] += 0.9
    weights = [
        numpy_helper.from_array(np.array([0, 0, 1, 1] * 2, np.int64), "pads"),
        numpy_helper.from_array(kernel, "kernel"),
    ]
    nodes = [
        helper.make_node("Pad", ["luma", "pads"], ["extended"], mode="edge"),
        helper.make_node("Conv", ["extended", "kernel"], ["upscaled"]),
    ]
    return network_model(nodes, weights)


def blurred(plane: NDArray[np.uint8]) -> NDArray[np.float64]:
    wide = np.pad(plane.astype(float), 1, mode="edge")
    rows, columns = plane.shape
    mean = np.mean([wide[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0)
    return np.asarray(0.9 * plane + 0.1 * mean)


def planes(path: Path) -> list[list[NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        return [
            [
                np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()
                for plane in frame.planes
            ]
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize(("tile_px", "width"), [(0, 142), (48, 141)])
def test_a_model_of_scale_1_restores_at_the_same_size(
    settings: Settings, tmp_path: Path, tile_px: int, width: int
) -> None:
    source = make(tmp_path / "clip.mkv", dataclasses.replace(CLIP, width=width, codec="ffv1"))
    write_model(tmp_path / "models", "soft", network=blur(), scale=1, receptive_field=3)
    own = dataclasses.replace(settings, tile_px=tile_px, models_dir=tmp_path / "models")
    request = JobSpec(source=str(source), model="soft", scale=1, codec="ffv1")
    result = pipeline.run(request, job_id_of(request), own, Observers())
    assert (result["width"], result["height"]) == (width, 102)
    assert result["output"] == str(tmp_path / "clip_x1.mkv")
    for (y, u, v), (old_y, old_u, old_v) in zip(planes(tmp_path / "clip_x1.mkv"), planes(source), strict=True):
        assert np.abs(y - blurred(old_y)).max() <= 0.5 + 1e-3, "luma is the network's"
        assert np.array_equal(u, old_u), "chroma is left as it was"
        assert np.array_equal(v, old_v)


def test_the_quality_of_a_restored_output_is_measured_without_down_scaling(
    settings: Settings, tmp_path: Path, source: Path
) -> None:
    write_model(tmp_path / "models", "soft", network=blur(), scale=1, receptive_field=3)
    own = dataclasses.replace(settings, models_dir=tmp_path / "models")
    result = job(source, tmp_path / "out.mkv", own, model="soft", scale=1, codec="ffv1")
    before, after = planes(source), planes(tmp_path / "out.mkv")
    pairs = zip(before, after, strict=True)
    errors = [np.mean((new[0].astype(float) - old[0]) ** 2) for old, new in pairs]
    expected = np.mean([10 * np.log10(255**2 / error) for error in errors])
    assert result["quality"]["psnr_db"] == pytest.approx(expected, abs=0.02)
    manifest = json.loads(Path(str(result["manifest"])).read_text(encoding="utf-8"))
    assert manifest["verdict"]["decision"] == "passed"


def test_scale_1_is_refused_for_a_model_that_enlarges(enhance: Enhance, source: Path) -> None:
    with pytest.raises(ScaleUnsupported, match="bicubic"):
        enhance(source, "out.mp4", scale=1)
