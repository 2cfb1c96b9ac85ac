"""Outputs with a fault: a source enlarged by cubic interpolation, spoilt, and encoded as a job would."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.quality.calibrate.faults import Spoil

SCALE = 2


def write_spoilt(path: Path, source: Path, spoil: Spoil) -> Path:
    """`source` is 8-bit 4:2:0 with 25 frames a second."""
    with av.open(str(source)) as container:
        frames = [
            [_enlarged(_values(plane), is_co_sited=number > 0) for number, plane in enumerate(frame.planes)]
            for frame in container.decode(video=0)
        ]
    with av.open(str(path), "w") as out:
        options = {"crf": "17", "preset": "veryfast", "x264-params": "cpu-independent=1"}
        stream = out.add_stream("libx264", rate=25, options=options)
        height, width = frames[0][0].shape
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count, context.time_base = 1, Fraction(1, 25)
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 6, 6, 6
        for number, planes in enumerate(spoil(frames)):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, values in zip(frame.planes, planes, strict=True):
                _values(plane)[:] = values
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _values(plane: av.video.plane.VideoPlane) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]


def _enlarged(plane: np.ndarray, *, is_co_sited: bool) -> np.ndarray:
    rows, columns = plane.shape
    own = 0.25 if is_co_sited else 0.5
    x = (np.arange(columns * SCALE) / SCALE + own / SCALE - own).astype(np.float32)
    y = (np.arange(rows * SCALE) / SCALE + 0.5 / SCALE - 0.5).astype(np.float32)
    places = np.tile(x, (len(y), 1)), np.tile(y[:, None], (1, len(x)))
    return cv2.remap(plane, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
