"""Before and after: crops of source and output for the report, picked as frames pass by. Keeps crops, never frames."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.color import LUMA_SHARES
from sr_tasks.quality.cells import BLOCK, Located
from sr_tasks.quality.figures import FrameFigures, Picture
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.reducing import Scales
from sr_tasks.quality.tallies import Place
from sr_tasks.records.assessment import PicturePair
from sr_tasks.records.colour import BT709
from sr_tasks.records.media import VideoInfo

CROP_WIDTH, CROP_HEIGHT = 128, 96
"""Source px shown of a frame, where it has so many."""
DETAILED_PICTURES = 4
"""The most detailed frame of each such part of the video is shown, there where it gained most."""
JPEG_QUALITY = 93

_MORE = 1.03
"""A frame must have so many times the detail of the one kept to take its place, so that few crops are made in vain."""
_ALIGN = 4
"""Crops start at multiples of this, so that chroma is cut where luma is."""
_FULL_RANGE = 2

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a frame, in px of the source."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class _Crop:
    """The same region of both files' planes."""

    place: Place
    score: float
    """What it was kept for: detail, or how bad it is."""
    region: Region
    source: Frame
    output: Frame
    gain: float = 0.0
    """How far its output is from bicubic, in 8-bit codes of luma on average."""

    @property
    def shows(self) -> tuple[int, int, int]:
        return self.place.frame, self.region.x, self.region.y


class Album:
    """Picks the most detailed frame of each part of a video, its worst frame and its worst block.

    Hand one to the assessment; `pairs` has the pictures afterwards.
    """

    def __init__(self, video: VideoInfo) -> None:
        self._video = video
        self._part = max(1, -(-video.frames // DETAILED_PICTURES))
        self._detailed: dict[int, _Crop] = {}
        self._worst: dict[str, _Crop] = {}

    def offer(self, place: Place, source: Picture, output: Picture, figures: FrameFigures) -> None:
        """Look at the next pair of frames and keep crops of it if it is worth it."""
        if figures.geometry is not None:
            part, detail = place.frame // self._part, figures.geometry.detail
            if part not in self._detailed or detail > self._detailed[part].score * _MORE:
                gained = gained_most(source, output)
                self._detailed[part] = self._crop(place, detail, gained, source, output, gain=gained.value)
        for kind, score in (("frame", figures.psnr), ("block", figures.block_psnr.value)):
            if kind not in self._worst or score < self._worst[kind].score:
                self._worst[kind] = self._crop(place, score, figures.block_psnr, source, output)

    def _crop(
        self, place: Place, score: float, at: Located, source: Picture, output: Picture, *, gain: float = 0.0
    ) -> _Crop:
        """A crop around a block."""
        region = region_around(at, source.luma.shape)
        return _Crop(
            place=place,
            score=score,
            region=region,
            source=cut_out(source.frame, region),
            output=cut_out(output.frame, enlarged(region, output.scales)),
            gain=gain,
        )

    def pairs(self) -> list[PicturePair]:
        """The pictures, none of them twice: those that gained most first, then the worst, which are never left out."""
        return list(self._pairs())

    def _pairs(self) -> Iterator[PicturePair]:
        worst = {crop.shows: crop for _, crop in sorted(self._worst.items())}
        by_gain = sorted(self._detailed.values(), key=lambda crop: (-crop.gain, crop.place.frame))
        detailed = {crop.shows: crop for crop in by_gain}
        for shows, crop in detailed.items():
            if shows not in worst:
                yield self._pair("detailed", crop)
        for crop in worst.values():
            yield self._pair("worst", crop)

    def _pair(self, reason: Literal["detailed", "worst"], crop: _Crop) -> PicturePair:
        before, after = to_rgb(crop.source, self._video), to_rgb(crop.output, self._video)
        size = after.shape[1], after.shape[0]
        bicubic = cv2.resize(before, size, interpolation=cv2.INTER_CUBIC)
        source, bicubic, output = (turned(image, self._video.rotation) for image in (before, bicubic, after))
        aspect = pixel_aspect(self._video)
        height, width = output.shape[:2]
        return PicturePair(
            reason=reason,
            frame=crop.place.frame,
            time_s=crop.place.time_s,
            x=crop.region.x,
            y=crop.region.y,
            width=round(width / aspect if self._video.rotation % 180 else width * aspect),
            height=height,
            source=as_uri(source, ".png"),
            bicubic=as_uri(bicubic, ".jpg"),
            output=as_uri(output, ".jpg"),
        )


def pixel_aspect(video: VideoInfo) -> float:
    """Width of a px of the video over its height; 1 where nothing is said."""
    across, down = (int(part) for part in video.sample_aspect_ratio.split(":"))
    return across / down if across and down else 1.0


def to_rgb(frame: Frame, video: VideoInfo) -> Rgb:
    """The frame as `[rows, columns, 3]` uint8 RGB, by the video's matrix and range; unspecified ones by its size."""
    luma = frame.planes[0]
    rows, columns = luma.shape
    by_size = LUMA_SHARES[6 if video.height <= 576 else BT709]
    red, blue = LUMA_SHARES.get(video.colorspace, by_size)
    step = 2.0 ** (frame.bit_depth - 8)
    is_full = video.color_range == _FULL_RANGE or video.pix_fmt.startswith("yuvj")
    black, span, chroma_span = (0.0, 255.0, 255.0) if is_full else (16.0, 219.0, 224.0)
    y = (luma.astype(np.float32) / step - black) / span
    if len(frame.planes) == 1:
        return np.asarray(np.clip(np.repeat(y[..., None], 3, axis=2) * 255.0 + 0.5, 0, 255), np.uint8)
    u, v = (
        (cv2.resize(plane.astype(np.float32), (columns, rows)) / step - 128.0) / chroma_span
        for plane in frame.planes[1:]
    )
    r, b = y + 2.0 * (1.0 - red) * v, y + 2.0 * (1.0 - blue) * u
    g = (y - red * r - blue * b) / (1.0 - red - blue)
    return np.asarray(np.clip(np.stack([r, g, b], axis=2) * 255.0 + 0.5, 0, 255), np.uint8)


def gained_most(source: Picture, output: Picture) -> Located:
    """The block in the middle of the region where the output is furthest from bicubic, and by how many 8-bit codes."""
    rows, columns = source.luma.shape
    step = 2.0 ** (8 - output.frame.bit_depth)
    luma = cv2.convertScaleAbs(output.frame.planes[0], alpha=step)
    bicubic = cv2.resize(source.luma, (luma.shape[1], luma.shape[0]), interpolation=cv2.INTER_CUBIC)
    gain = cv2.resize(cv2.absdiff(luma, bicubic), (columns, rows), interpolation=cv2.INTER_AREA)
    size = min(CROP_WIDTH, columns), min(CROP_HEIGHT, rows)
    means: Any = cv2.boxFilter(gain, cv2.CV_32F, size, anchor=(0, 0))[: rows - size[1] + 1, : columns - size[0] + 1]
    y, x = (int(place) for place in np.unravel_index(int(np.argmax(means)), means.shape))
    return Located(value=float(means[y, x]), x=x + (size[0] - BLOCK) // 2, y=y + (size[1] - BLOCK) // 2)


def gradient(image: NDArray[Any]) -> float:
    """Mean of the absolute differences to the neighbours below and to the right, in codes."""
    codes = image.astype(np.int16)
    return float(np.abs(np.diff(codes, axis=0)).mean() + np.abs(np.diff(codes, axis=1)).mean())


def region_around(at: Located, shape: tuple[int, ...]) -> Region:
    """What is shown of a frame of `shape` (rows, columns) to show the block `at`."""
    height, width = shape
    columns, rows = min(CROP_WIDTH, width), min(CROP_HEIGHT, height)
    x = max(0, min(at.x - (columns - BLOCK) // 2, width - columns)) // _ALIGN * _ALIGN
    y = max(0, min(at.y - (rows - BLOCK) // 2, height - rows)) // _ALIGN * _ALIGN
    return Region(x=x, y=y, width=columns, height=rows)


def enlarged(region: Region, scales: Scales) -> Region:
    """The same part of an output. It begins where chroma begins."""
    down, across = scales
    return Region(
        x=round(region.x * across / 2) * 2,
        y=round(region.y * down / 2) * 2,
        width=round(region.width * across),
        height=round(region.height * down),
    )


def cut_out(frame: Frame, region: Region) -> Frame:
    """A copy of a region of all planes."""
    x, y, width, height = region.x, region.y, region.width, region.height
    rows, columns = frame.planes[0].shape
    planes = []
    for plane in frame.planes:
        down, across = -(-rows // plane.shape[0]), -(-columns // plane.shape[1])
        part = plane[y // down : -(-(y + height) // down), x // across : -(-(x + width) // across)]
        planes.append(part.copy())
    return Frame(pts=frame.pts, planes=tuple(planes), bit_depth=frame.bit_depth)


def turned(image: Any, degrees: int) -> Rgb:
    """Turn counterclockwise, as a display matrix says, if it is by quarters."""
    return np.ascontiguousarray(np.rot90(image, degrees // 90 % 4 if degrees % 90 == 0 else 0))


def as_uri(image: Rgb, suffix: Literal[".png", ".jpg"]) -> str:
    """The picture as a `data:` URI: exact as PNG, smaller as JPEG."""
    kind = "jpeg" if suffix == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(encoded(image, suffix)).decode('ascii')}"


def encoded(image: Rgb, suffix: Literal[".png", ".jpg"]) -> bytes:
    """A file that holds the picture."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    _, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return bytes(data.tobytes())
