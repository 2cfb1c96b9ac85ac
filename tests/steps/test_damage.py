"""A source that is damaged in the middle keeps its time stamps, and says how much of it was lost."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import InputChanged, InputDamaged
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline, plan, prepare_model, upscale, validate
from sr_tasks.telemetry.progress import Observers
from tests.clips import Clip, make, pts_of, wipe_packet
from tests.steps.conftest import Enhance


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.avi"])
def test_a_damaged_frame_is_repeated_counted_and_reported(name: str, enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / name, Clip(frames=60, codec="mpeg4", options={"g": "12"}, noise=8))
    stamps = pts_of(source)
    wipe_packet(source, 31)
    result = enhance(source, "out.mkv" if name.endswith(".avi") else None)
    after = pts_of(Path(result["output"]))
    assert [float(pts - after[0]) for pts in after] == pytest.approx(
        [float(pts - stamps[0]) for pts in stamps], abs=1e-3
    )
    assert result["quality"]["damaged_frames"] == 1
    manifest = json.loads(Path(result["manifest"]).read_text())
    assert len(manifest["output"]["damaged_pts"]) == 1


def test_more_damage_than_allowed_fails_without_an_output(settings: Settings, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=60, codec="mpeg4", options={"g": "12"}, noise=8))
    for number in (5, 17, 31, 40):
        wipe_packet(source, number)
    strict = dataclasses.replace(settings, max_damaged_share=0.02)
    with pytest.raises(InputDamaged):
        pipeline.run(JobSpec(source=str(source), model="bicubic"), "job", strict, Observers())
    assert not (tmp_path / "clip_x2.mp4").exists()
    lenient = dataclasses.replace(settings, max_damaged_share=0.1)
    result = pipeline.run(JobSpec(source=str(source), model="bicubic"), "job", lenient, Observers())
    assert result["quality"]["damaged_frames"] == 4


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("a.mov", "mjpeg", "yuvj420p"), ("a.avi", "ffv1", "yuv420p")])
@pytest.mark.parametrize("number", [2, 6, 10])
def test_a_picture_that_comes_out_of_chance_is_refused_before_any_work(
    settings: Settings, tmp_path: Path, name: str, codec: str, pix_fmt: str, number: int
) -> None:
    """What these decoders do not reach stays as their memory was."""
    source = make(tmp_path / name, Clip(frames=12, width=64, height=48, codec=codec, pix_fmt=pix_fmt, noise=8))
    wipe_packet(source, number, kept=0.6)
    with pytest.raises(InputDamaged, match="differently each time"):
        validate.run(JobSpec(source=str(source), model="bicubic"), "job", settings)


def test_a_source_written_to_while_the_job_runs_is_noticed(settings: Settings, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", frames=12)
    validate.run(JobSpec(source=str(source), model="bicubic"), "job", settings)
    plan.run("job", settings)
    prepare_model.run("job", settings)
    os.utime(source, (1, 1))
    with pytest.raises(InputChanged):
        upscale.run("job", 0, settings)
