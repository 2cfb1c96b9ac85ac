"""Interlaced sources become progressive, the same frames whether decoded in chunks or whole."""

from pathlib import Path

import pytest

from sr_tasks.media.chunks import plan_chunks
from sr_tasks.media.decode import ChunkReader
from sr_tasks.records.media import PicturePlan
from tests.clips import Clip, make

CODECS = {
    "h264 open GOP": (
        ".mkv",
        Clip(frames=40, options={"x264-params": "tff=1:open-gop=1:keyint=8:bframes=3:scenecut=0"}),
    ),
    "mpeg2 in ts": (".ts", Clip(frames=40, codec="mpeg2video", options={"g": "6", "bf": "2", "flags": "+ildct+ilme"})),
    "all intra": (".mkv", Clip(frames=20, codec="ffv1", pix_fmt="yuv422p10le")),
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("deinterlace", ["single", "double"])
def test_chunks_hold_the_same_deinterlaced_frames_as_the_whole_film(
    deinterlace: str, name: str, tmp_path: Path
) -> None:
    suffix, clip = CODECS[name]
    path = make(tmp_path / f"clip{suffix}", clip)
    plan = PicturePlan(deinterlace=deinterlace, field_order="tff")
    whole = read(path, plan, target=1000)
    per_frame = 2 if deinterlace == "double" else 1
    assert len(whole) == clip.frames * per_frame
    for target in (1, 9, 17):
        assert read(path, plan, target=target) == whole


def read(path: Path, plan: PicturePlan, target: int) -> list[tuple[int, bytes]]:
    """Time stamps and pictures, through chunks of at least `target` frames."""
    chunks = plan_chunks(path, target_frames=target, total_frames=40, picture=plan)
    frames = [item for chunk in chunks for item in ChunkReader(path=path, chunk=chunk, picture=plan).frames()]
    return [(item.pts, item.frame.to_ndarray().tobytes()) for item in frames]
