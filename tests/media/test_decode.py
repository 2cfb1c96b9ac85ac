"""Reading the frames of a chunk keeps none of them."""

import gc
from pathlib import Path

import pytest

from sr_tasks.media.decode import ChunkReader, whole
from sr_tasks.media.probe import probe
from tests.clips import Clip, make


@pytest.mark.parametrize("codec", ["h264", "ffv1", "mjpeg"])
def test_memory_of_a_frame_is_free_for_others_once_it_is_let_go(codec: str, tmp_path: Path) -> None:
    """Without the search for circles, which may come any time later."""
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make(tmp_path / "clip.mkv", Clip(frames=60, codec=codec, pix_fmt=pix_fmt))
    media = probe(path)
    places = set()
    gc.disable()
    try:
        for item in ChunkReader(path=path, chunk=whole(media), picture=media.picture).frames():
            places.add(item.frame.planes[0].buffer_ptr)
    finally:
        gc.enable()
    assert len(places) <= 20
