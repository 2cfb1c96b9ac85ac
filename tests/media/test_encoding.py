"""The encoder of chunks: the same pictures are the same bytes, at every call."""

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from sr_tasks.media.encode import ChunkWriter
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.media import HdrInfo

WIDTH, HEIGHT, FRAMES = 320, 192, 24


def settings(codec: str, threads: int) -> EncodeSettings:
    return EncodeSettings(
        codec=codec,
        crf=0 if codec == "ffv1" else 18,
        preset="veryfast",
        threads=threads,
        width=WIDTH,
        height=HEIGHT,
        pix_fmt="yuv420p",
        time_base=Fraction(1, 25),
        average_rate=Fraction(25),
        color_range=1,
        color_primaries=1,
        color_trc=1,
        colorspace=1,
        chroma_location=1,
        sample_aspect_ratio=Fraction(1),
        hdr=HdrInfo(mastering_display=b"", content_light_level=b""),
    )


def fading(number: int) -> VideoFrame:
    """A picture that grows lighter and darker: what makes libx264 weigh frames against each other."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wave = (80 + 70 * np.sin(columns / 9) * np.cos(rows / 13))[..., None] * [1, 0.8, 0.6]
    picture = np.clip(wave * 1.2 * abs(np.sin(number * 0.2)), 0, 255).astype(np.uint8)
    return VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


@pytest.mark.parametrize(
    ("codec", "threads"), [("h264", 1), ("h264", 2), ("hevc", 2), ("av1", 2), ("vp9", 2), ("ffv1", 2)]
)
def test_the_same_pictures_are_the_same_bytes_at_every_call(tmp_path: Path, codec: str, threads: int) -> None:
    found = set()
    for attempt in range(6):
        path = tmp_path / f"{attempt}.nut"
        writer = ChunkWriter(path, settings(codec, threads), start_pts=0, frames=FRAMES)
        for number in range(FRAMES):
            writer.write(fading(number), number)
        writer.close()
        found.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(found) == 1
