"""Fields to frames: interlaced pictures are deinterlaced before the network, each by its neighbours alone, so that a
chunk holds what the whole film holds. Time stamps are worked out here too, from those of the file."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from sr_tasks.demux.scan import FramePoint
from sr_tasks.errors import InputUnsupported
from sr_tasks.media import film
from sr_tasks.media.combing import codes, combing
from sr_tasks.media.decoded import DecodedFrame, neighbours
from sr_tasks.planes.formats import pixel_format
from sr_tasks.records.media import Chunk, PicturePlan

_FILTERED: Final = re.compile(
    r"^(?:yuv4(?:1[01]|2[02]|4[04])p|yuvj4(?:11|2[02]|4[04])p|yuv4(?:2[02]|44)p(?:9|14|16)le|yuv4(?:2[02]|4[04])p1[02]le"
    r"|yuva4(?:2[02]|44)p(?:(?:9|10|16)le)?|gbrp(?:(?:9|1[0246])le)?|gbrap(?:16le)?|gray(?:16le)?)$"
)
"""Pixel formats that bwdif takes as they are."""
_EXACT: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

_BEGINNING: Final = -(1 << 62)

_TICKS: Final = {"none": 1, "single": 1, "double": 2, "film": film.KEPT}
_PARITY: Final = {"": "auto", "tff": "tff", "bff": "bff"}


def ticks(plan: PicturePlan) -> int:
    """Into how many ticks one of the file's is divided, so that every presented frame has a time stamp of its own."""
    return _TICKS[plan.deinterlace]


def stored_pts(pts: int, plan: PicturePlan) -> int:
    """The file's time stamp at or before a presented one."""
    return pts // ticks(plan)


def first_stored(chunk: Chunk, plan: PicturePlan) -> int:
    """The file's time stamp to present frames from, so that the chunk's are among them: blocks of film are counted from
    where they begin, which a chunk's start need not be."""
    if plan.deinterlace != "film":
        return stored_pts(chunk.start_pts, plan)
    return _BEGINNING if chunk.seek_pts is None else stored_pts(chunk.seek_pts, plan)


def presented_points(points: Iterable[FramePoint], plan: PicturePlan) -> Iterator[FramePoint]:
    """The presented frames of a file's frames: time stamps and durations in presented ticks."""
    if plan.deinterlace == "film":
        yield from film.points(points)
    elif plan.deinterlace == "double":
        step = 1
        for _, point, following in neighbours(points):
            step = following.pts - point.pts if following is not None else step
            yield replace(point, pts=2 * point.pts, duration=step)
            yield FramePoint(pts=2 * point.pts + step, duration=step, is_keyframe=False)
    else:
        yield from points


def deinterlaced(frames: Iterable[DecodedFrame], plan: PicturePlan, start_pts: int) -> Iterator[DecodedFrame]:
    """The presented frames of a file's frames, from `start_pts` of the file on. Those before are context alone.

    Frames in pixel formats that are not planar come out in planar ones that hold the same.
    """
    frames = (replace(item, frame=_planar(item.frame)) for item in frames)
    if plan.deinterlace == "film":
        yield from film.frames(_film(frames, plan), start_pts)
        return
    step = 1
    for _, item, following in neighbours(_whole(frames, plan)):
        step = following.pts - item.pts if following is not None else step
        for place, picture in enumerate(item.pictures):
            pts = ticks(plan) * item.pts + place * step
            if pts >= ticks(plan) * start_pts:
                yield replace(item.stored, pts=pts, frame=picture)


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """A frame of the file with the pictures it is presented by, none of which combs."""

    stored: DecodedFrame
    pictures: list[VideoFrame]

    @property
    def pts(self) -> int:
        return self.stored.pts


def _whole(frames: Iterable[DecodedFrame], plan: PicturePlan) -> Iterator[_Whole]:
    """Every frame as it is where it is of one moment, else as bwdif makes it."""
    bwdif = _Bwdif(plan)
    looked_at = ((item, codes(item.frame)) for item in frames)
    for before, (item, luma), behind in neighbours(looked_at):
        pictures = bwdif.pictures(item.frame, behind[0].frame if behind else None)
        found = combing(before[1] if before else None, luma, behind[1] if behind else None)
        is_interlaced = plan.trust_flags and item.frame.interlaced_frame and not found.is_whole
        if not (found.is_combed or is_interlaced):
            pictures = [item.frame] * len(pictures)
        yield _Whole(stored=replace(item, is_corrupt=item.is_corrupt or item.frame.is_corrupt), pictures=pictures)


def _film(frames: Iterable[DecodedFrame], plan: PicturePlan) -> Iterator[DecodedFrame]:
    """Every frame of telecined film with its own other field, and with bwdif's where it has none."""
    bwdif = _Bwdif(plan)
    looked_at = ((item, codes(item.frame)) for item in frames)
    for before, (item, luma), behind in neighbours(looked_at):
        (picture,) = bwdif.pictures(item.frame, behind[0].frame if behind else None)
        found = combing(before[1] if before else None, luma, behind[1] if behind else None)
        if found.is_woven and before is not None and _shape(before[0].frame) == _shape(item.frame):
            picture = film.woven(item.frame, before[0].frame, found.order)
        elif not (found.combs_beyond_doubt and (found.order or found.is_mixed)):
            picture = item.frame
        yield replace(item, frame=picture, is_corrupt=item.is_corrupt or item.frame.is_corrupt)


class _Bwdif:
    """FFmpeg's bwdif, asked for frame after frame."""

    def __init__(self, plan: PicturePlan) -> None:
        mode = "send_field" if plan.deinterlace == "double" else "send_frame"
        self._options = f"mode={mode}:parity={_PARITY[plan.field_order]}:deint=all"
        self._graph: Graph | None = None

    def pictures(self, frame: VideoFrame, following: VideoFrame | None) -> list[VideoFrame]:
        """The pictures of `frame`, which was `following` in the call before: one, or one a field."""
        if self._graph is None:
            self._graph = self._opened(frame)
            self._graph.push(frame)
        is_last = following is None or _shape(following) != _shape(frame)
        self._graph.push(None if is_last else following)
        pictures = list(_pulled(self._graph))
        if is_last:
            self._graph = None
        for picture in pictures:
            if _shape(picture) != _shape(frame):
                raise InputUnsupported(
                    f"bwdif does not deinterlace pictures in the pixel format {frame.format.name}.",
                    hint="Convert the video to planar YUV, e.g. yuv422p.",
                )
        return pictures

    def _opened(self, like: VideoFrame) -> Graph:
        graph = Graph()
        tick = Fraction(1, 1000)  # bwdif looks at no time stamp
        source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=tick)
        graph.link_nodes(source, graph.add("bwdif", self._options), graph.add("buffersink")).configure()
        return graph


def _planar(frame: VideoFrame) -> VideoFrame:
    """A frame as bwdif takes it. No row is mixed with another."""
    if _FILTERED.match(frame.format.name):
        return frame
    kind = pixel_format(frame.format.name)
    alpha = "a" if kind.has_alpha else ""
    if kind.is_rgb:
        name = f"gbr{alpha}p"
    elif kind.sampling == "gray":
        name = "gray"
    else:
        name = f"yuv{alpha}{kind.sampling}p"
    if kind.bit_depth > 8:
        name += f"{kind.bit_depth if name.startswith('yuv') and not alpha else 16}le"
    return frame.reformat(format=name, interpolation=_EXACT)


def _shape(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
