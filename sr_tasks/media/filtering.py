"""FFmpeg's filters on the frames of a source, before the network sees them. Each frame stands alone, so that a chunk
holds what the whole film holds."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Final

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.decoded import DecodedFrame

Shape = tuple[int, int, str]

_ANY_TICK: Final = Fraction(1, 25)
"""Filters want one, and make no use of it."""


def filtered(frames: Iterator[DecodedFrame], chain: str) -> Iterator[DecodedFrame]:
    """The frames as a chain of FFmpeg's filters leaves them, e.g. `deband,unsharp=5:5:1`. Empty: untouched.

    Only filters that make one frame of one, by itself. Raises InputUnsupported for a pixel format that a filter cannot
    work in.
    """
    if not chain:
        return frames
    filters = _Filters(chain)
    return (
        replace(item, frame=filters.run(item.frame), is_corrupt=item.is_corrupt or item.frame.is_corrupt)
        for item in frames
    )


def require_format(chain: str, pix_fmt: str) -> None:
    """Raises InputUnsupported if a filter of the chain cannot work in a pixel format."""
    if chain:
        _Filters(chain).run(VideoFrame(64, 64, pix_fmt))


class _Filters:
    """A graph for frames of one size and format, made anew when they change."""

    def __init__(self, chain: str) -> None:
        self._chain = chain
        self._shape: Shape | None = None
        self._graph = Graph()

    def run(self, frame: VideoFrame) -> VideoFrame:
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._shape, self._graph = shape, self._opened(frame)
        pts = frame.pts
        frame.time_base = frame.time_base or _ANY_TICK
        self._graph.push(frame)
        result = self._graph.pull()
        if not isinstance(result, VideoFrame) or result.format.name != frame.format.name:
            raise InputUnsupported(
                f"FFmpeg's filters {self._chain} cannot work in the pixel format {frame.format.name}.",
                hint="Leave denoise, deblock, deband and sharpen off, or convert the source to yuv420p or yuv420p10le.",
            )
        result.pts, result.time_base = pts, frame.time_base
        result.colorspace, result.color_range = frame.colorspace, frame.color_range
        return result

    def _opened(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        last = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or _ANY_TICK
        )
        try:
            for part in self._chain.split(","):
                name, _, options = part.partition("=")
                following = graph.add(name, options)
                last.link_to(following)
                last = following
            last.link_to(graph.add("buffersink"))
            graph.configure()
        except (ValueError, av.error.FFmpegError) as exc:
            raise InputUnsupported(
                f"FFmpeg's filters {self._chain} cannot be set up for {frame.format.name}: {exc}.",
                hint="Leave denoise, deblock, deband and sharpen off.",
            ) from exc
        return graph
