"""A disk that fills up while a job runs: the job stops before it is full, and goes on once there is room."""

from dataclasses import replace
from pathlib import Path

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import DiskFull
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.storage import space
from sr_tasks.storage.transfer import free_bytes
from sr_tasks.telemetry.progress import Observers
from tests.clips import Clip, make


def test_a_job_stops_before_the_disk_is_full_and_goes_on_when_there_is_room(settings: Settings, tmp_path: Path) -> None:
    source, output = make(tmp_path / "clip.mp4", Clip(frames=12)), tmp_path / "out.mp4"
    spec = JobSpec(source=str(source), output=str(output), model="bicubic", preset="ultrafast")
    too_little = replace(settings, min_free_bytes=free_bytes(tmp_path) * 2)
    with pytest.raises(DiskFull, match="must stay free") as stopped:
        pipeline.run(spec, "job", too_little, Observers())
    assert stopped.value.retryable
    assert "purge" in stopped.value.hint
    assert not output.exists()
    assert not list(settings.workdir.rglob("*.nut")), "nothing half written is left"
    pipeline.run(spec, "job", settings, Observers())
    assert output.is_file()


def test_the_disk_is_looked_at_again_while_frames_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "EVERY_S", 0.0)
    rooms = iter([3000, 2001, 1999])
    monkeypatch.setattr(space, "free_bytes", lambda folder: next(rooms))
    watch = space.SpaceWatch(tmp_path, 2000)
    watch()
    watch()
    with pytest.raises(DiskFull):
        watch()
