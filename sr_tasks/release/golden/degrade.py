"""The degradations of the golden set: how a truth becomes a source. Deterministic; encodes in memory alone."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sr_tasks.errors import ChunkFailed
from sr_tasks.planes.frames import frame_of, planes_of
from sr_tasks.planes.scaling import ALIASED_A, Codes, Floats, area, cubic, to_codes
from sr_tasks.records.layout import PlaneLayout
from sr_tasks.release.golden.planes import Planes

DownScaling = Literal["bicubic", "area", "aliased"]
_LAYOUT: Final = PlaneLayout(chroma="420", bit_depth=8)


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """One class of sources: how the truth is made small, and what is done to it then."""

    name: str
    title: str
    subject: Literal["picture", "clip"] = "picture"
    down_scaling: DownScaling = "bicubic"
    noise: float = 0.0
    """Standard deviation in codes."""
    jpeg: int | None = None
    crf: int | None = None

    def is_for(self, scale: int) -> bool:
        """At the same size there is one clean class, not one for each way to make a picture small."""
        return scale > 1 or self.down_scaling == "bicubic"

    @property
    def is_clean(self) -> bool:
        return not self.noise and self.jpeg is None and self.crf is None


CLASSES: Final[tuple[Degradation, ...]] = (
    Degradation(name="bicubic", title="Clean, made small by antialiased bicubic"),
    Degradation(name="area", title="Clean, made small by area", down_scaling="area"),
    Degradation(name="aliased", title="Clean, made small without antialiasing", down_scaling="aliased"),
    Degradation(name="noise-3", title="Noise of 3 codes", noise=3.0),
    Degradation(name="noise-6", title="Noise of 6 codes", noise=6.0),
    Degradation(name="jpeg-80", title="JPEG at quality 80", jpeg=80),
    Degradation(name="jpeg-50", title="JPEG at quality 50", jpeg=50),
    Degradation(name="clip", title="Clean clips, still and panning", subject="clip"),
    Degradation(name="clip-noise-3", title="Clips with fresh noise of 3 codes", subject="clip", noise=3.0),
    Degradation(name="h264-26", title="Clips in H.264 at crf 26", subject="clip", crf=26),
    Degradation(name="h264-32", title="Clips in H.264 at crf 32", subject="clip", crf=32),
)


def degraded(
    truths: Sequence[Sequence[Floats]], degradation: Degradation, scale: int, *, seed: int
) -> tuple[Planes, ...]:
    """Sources of unrounded truths, in order."""
    rng = np.random.default_rng(seed)
    small = [make_small(truth, scale, degradation.down_scaling) for truth in truths]
    if degradation.noise:
        small = [_noisy(planes, degradation.noise, rng) for planes in small]
    if degradation.jpeg is not None:
        small = [_jpeg(planes, degradation.jpeg) for planes in small]
    if degradation.crf is not None:
        small = _h264(small, degradation.crf)
    return tuple(small)


def make_small(truth: Sequence[NDArray[np.float64] | Codes], scale: int, how: DownScaling = "bicubic") -> Planes:
    """The planes of a truth at a `scale`-th of its size. Chroma is always made small by area."""
    luma = np.asarray(truth[0], np.float64)
    rows, columns = luma.shape[0] // scale, luma.shape[1] // scale
    if scale == 1:
        y = luma
    elif how == "area":
        y = area(luma, scale)
    elif how == "aliased":
        y = cubic(luma, rows, columns, a=ALIASED_A, antialias=False)
    else:
        y = cubic(luma, rows, columns)
    u, v = (area(np.asarray(plane, np.float64), scale) for plane in truth[1:])
    return to_codes(y), to_codes(u), to_codes(v)


def _noisy(planes: Planes, sigma: float, rng: np.random.Generator) -> Planes:
    """Chroma gets half of luma's, as video's chroma has been averaged."""
    y, u, v = (
        to_codes(plane + rng.normal(0.0, sigma if index == 0 else sigma / 2, plane.shape))
        for index, plane in enumerate(planes)
    )
    return y, u, v


def _jpeg(planes: Planes, quality: int) -> Planes:
    """Each plane through JPEG by itself, so that no colour conversion adds to its loss."""

    def through(plane: Codes) -> Codes:
        _, data = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)

    y, u, v = (through(plane) for plane in planes)
    return y, u, v


def _h264(frames: Sequence[Planes], crf: int) -> list[Planes]:
    """Through libx264, by one thread and without what it does differently on each CPU and, measured, at each call."""
    rows, columns = frames[0][0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="nut") as container:
        options = {"crf": str(crf), "preset": "medium", "threads": "1", "x264-params": "cpu-independent=1"}
        stream = container.add_stream("libx264", rate=25, options=options)
        if not isinstance(stream, VideoStream):
            raise ChunkFailed("FFmpeg has no H.264 encoder.")
        stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, planes in enumerate(frames):
            frame = frame_of(planes, _LAYOUT)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r", format="nut") as container:
        return [_planes(frame) for frame in container.decode(video=0)]


def _planes(frame: VideoFrame) -> Planes:
    y, u, v = (np.array(plane, np.uint8) for plane in planes_of(frame))
    return y, u, v
