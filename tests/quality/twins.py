"""Makes output twins of generated clips: genuine ones, and ones spoilt on purpose before the encode."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from sr_tasks.media.probe import probe
from sr_tasks.quality import gate, integrity
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.pictures import Album
from sr_tasks.records.assessment import Assessment, IntegrityReport, Verdict
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.records.sizes import output_size
from sr_tasks.streams.plan import plan_streams

LIMITS = GateLimits(global_psnr_min=26, frame_psnr_min=24, block_psnr_min=20, ssim_min=0.5)
"""The limits that these tests prove; the shipped cards carry the same."""

Planes = list[np.ndarray]
Spoil = Callable[[list[Planes]], list[Planes]]


@dataclass(kw_only=True)
class Picture:
    """A moving picture for a source: RGB frames made by `draw(number)`, encoded with the tags given."""

    draw: Callable[[int], np.ndarray]
    frames: int = 24
    pix_fmt: str = "yuv420p"
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "18", "preset": "veryfast"})


def photograph(name: str, width: int = 320, height: int = 192, step: float = 1.7) -> Callable[[int], np.ndarray]:
    """A pan over a photograph."""
    import skimage.data

    image = np.atleast_3d(getattr(skimage.data, name)())
    image = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]
    sharp = cv2.resize(image, (width + 80, height + 40), interpolation=cv2.INTER_AREA)

    def draw(number: int) -> np.ndarray:
        move = np.array([[1, 0, 5 + step * number % 60], [0, 1, 4 + 0.3 * number % 30]], np.float32)
        return cv2.warpAffine(sharp, move, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)

    return draw


def write_source(path: Path, picture: Picture) -> Path:
    """A BT.601 clip at 25 frames a second."""
    planes = []
    for number in range(picture.frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.draw(number)), format="rgb24")
        planes.append(frame.reformat(format=picture.pix_fmt, dst_colorspace="ITU601", dst_color_range="MPEG"))
    _encode(path, planes, list(range(picture.frames)), Fraction(1, 25), picture.codec, picture.options)
    return path


def write_twin(
    path: Path,
    source: Path,
    *,
    scale: int = 2,
    spoil: Spoil | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: Callable[[int], int] = lambda pts: pts,
) -> Path:
    """The source enlarged by cubic interpolation, spoilt, and encoded with its time stamps and tags. No sound."""
    with av.open(str(source)) as container:
        frames = list(container.decode(video=0))
    tick = frames[0].time_base
    stamps = [pts(frame.pts) for frame in frames]
    planes = [[_enlarge(plane, scale) for plane in _arrays(frame)] for frame in frames]
    planes = spoil(planes) if spoil else planes
    made = [_frame(each, frames[0].format.name) for each in planes]
    _encode(path, made, stamps[: len(made)], tick, codec, options or {"crf": "17", "preset": "veryfast"})
    return path


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the whole room says of a twin."""

    assessment: Assessment
    integrity: IntegrityReport
    verdict: Verdict
    album: Album
    source_info: MediaInfo
    output_info: MediaInfo
    fates: list[StreamPlan]

    @property
    def why(self) -> str:
        return " ".join(self.verdict.reasons)


def judge(source: Path, output: Path, scale: int = 2, damaged_pts: frozenset[int] = frozenset()) -> Judged:
    """Assess, check and judge with the shipped limits."""
    before, after = probe(source), probe(output)
    album, size = Album(before.video), output_size(before.video, scale, None)
    assessment = assess(
        source, output, before, after, size, report_progress=lambda _: None, damaged_pts=damaged_pts, album=album
    )
    fates = plan_streams(source, before, output.suffix, "h264")
    report = integrity.check(
        source, output, before, after,
        size=size, fates=fates, decode=assessment.decode, timing=assessment.timing,
    )  # fmt: skip
    return Judged(
        assessment=assessment,
        integrity=report,
        verdict=gate.judge(assessment, report, LIMITS),
        album=album,
        source_info=before,
        output_info=after,
        fates=fates,
    )


def _enlarge(plane: np.ndarray, scale: int) -> np.ndarray:
    return cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _arrays(frame: av.VideoFrame) -> Planes:
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    return [np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width].copy() for p in frame.planes]


def _frame(planes: Planes, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    for plane, values in zip(frame.planes, planes, strict=True):
        np.frombuffer(plane, values.dtype).reshape(plane.height, -1)[:, : plane.width] = values
    return frame


def _encode(
    path: Path, frames: list[av.VideoFrame], stamps: list[int], tick: Fraction, codec: str, options: dict[str, str]
) -> None:
    with av.open(str(path), "w") as out:
        # Elsewise libx264 gives other bytes at every call.
        steady = {"x264-params": "cpu-independent=1"} if codec == "libx264" else {}
        stream = out.add_stream(codec, rate=25, options=dict(options) | steady)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        context = stream.codec_context
        context.time_base = stream.time_base = tick
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 6, 6, 6
        for frame, pts in zip(frames, stamps, strict=True):
            frame.pts, frame.time_base = pts, tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
