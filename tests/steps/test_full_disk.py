"""A disk that fills up is DISK_FULL at whichever byte it does, and the job goes on once there is room again."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sr_tasks.errors import DiskFull
from sr_tasks.steps import assemble, upscale
from tests.clips import Clip, make
from tests.steps.conftest import Enhance

SUFFIXES = {"h264": ".mp4", "hevc": ".mkv", "av1": ".webm", "vp9": ".webm", "prores": ".mov", "ffv1": ".mkv"}


@contextmanager
def files_up_to(limit_bytes: int) -> Iterator[None]:
    """No file of this process may grow past it: writing on fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit_bytes", [64, 3000, 20_000])
@pytest.mark.parametrize("step", [upscale, assemble], ids=["upscale", "assemble"])
@pytest.mark.parametrize("codec", list(SUFFIXES))
def test_a_disk_that_fills_up_is_said_and_the_job_goes_on(
    codec: str, step: object, limit_bytes: int, enhance: Enhance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mkv", Clip(frames=20, codec="ffv1", noise=20, sound="flac"))
    target = f"out{SUFFIXES[codec]}"
    run = step.run  # type: ignore[attr-defined]

    def crowded(*given: object, **named: object) -> object:
        with files_up_to(limit_bytes):
            return run(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(step, "run", crowded)
        with pytest.raises(DiskFull, match="is full"):
            enhance(source, target, codec=codec, gate=False)
    assert enhance(source, target, codec=codec, gate=False)["status"] == "COMPLETED"
