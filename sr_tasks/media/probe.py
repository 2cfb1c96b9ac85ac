"""Probe: reads what a file is, by demuxing all of it and decoding its first frames. Decides nothing."""

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sr_tasks.demux.changes import look_of
from sr_tasks.demux.described import codec_name, cropping
from sr_tasks.demux.reading import Shown, Times, chosen_stream, read_times
from sr_tasks.demux.scan import StreamTally
from sr_tasks.demux.source import ENDLESS_S, NOT_DECODED, decoder_of, open_source, picture_stream, translated
from sr_tasks.errors import InputInvalid, InputTooLarge, InputUnsupported
from sr_tasks.media.colour import chroma_location, contradictions, lost_side_data, refuse_own_colours, tags_of
from sr_tasks.media.side_data import side_data_of
from sr_tasks.media.views import view_of
from sr_tasks.planes import rgb
from sr_tasks.planes.formats import pixel_format
from sr_tasks.planes.targets import pixel_facts
from sr_tasks.records.colour import FULL
from sr_tasks.records.media import AS_IT_SAYS, HdrInfo, MediaInfo, ReadOptions, Repair, StreamInfo, VideoInfo

_FIELD_ORDER_INTERLACED = frozenset({2, 3, 4, 5})
_LOOK_AT_FRAMES = 8
_LOOK_AT_PACKETS = 1000


@dataclass(kw_only=True)
class FirstFrames:
    """What only decoding tells."""

    frame: VideoFrame
    shown: Shown
    interlaced: bool
    rotation: int
    display_matrix: tuple[int, ...] | None
    hdr: HdrInfo
    lost: set[str] = field(default_factory=set)
    """What the frames carry beside pixels that the output will not."""
    repairs: tuple[Repair, ...] = ()


def probe(
    path: Path, first: FirstFrames | None = None, *, options: ReadOptions = AS_IT_SAYS, table: Path | None = None
) -> MediaInfo:
    """`first` is what `glance` gave, if that was asked already. `table` is where the table of a source is written whose
    packets do not say what is shown when; without it, such a source is refused.

    Raises InputRefused errors for files that cannot be read to their end, hold no picture, or break off.
    """
    first = first or glance(path, options=options)
    times = read_times(path, options, first.shown, table)
    with open_source(path) as container:
        video = picture_stream(container, path, times.picture.stream)
        facts = _video_info(video, first, times, chroma_location(container, video))
        crop = cropping(container, video.index)
        facts = facts.model_copy(
            update={"width": facts.width - crop[0] - crop[2], "height": facts.height - crop[1] - crop[3]}
        )
        _refuse_cut_off(container, video, path, times)
        return MediaInfo(
            path=str(path),
            format=container.format.name,
            size_bytes=path.stat().st_size,
            duration_s=facts.duration_s,
            video=facts,
            streams=tuple(_stream_info(stream, times.tallies.get(stream.index)) for stream in container.streams),
            chapters=len(container.chapters()),
            metadata=dict(container.metadata),
            picture=times.picture.model_copy(
                update={
                    "pix_fmt": facts.pix_fmt,
                    "size": (facts.width, facts.height),
                    "crop": crop,
                    "chroma_location": facts.chroma_location,
                    "is_rgb": pixel_format(facts.source_pix_fmt).is_rgb,
                }
            ),
            repairs=(*first.repairs, *times.repairs),
        )


def glance(
    path: Path, *, max_pixels: int | None = None, max_duration_s: float | None = None,
    options: ReadOptions = AS_IT_SAYS,
) -> FirstFrames:  # fmt: skip
    """Decode the first few frames only. Raises InputTooLarge, by the container's word, before anything is decoded."""
    with open_source(path) as container:
        video = picture_stream(container, path, chosen_stream(container, path, options))
        width, height = video.codec_context.width, video.codec_context.height
        if max_pixels is not None and width * height > max_pixels:
            raise InputTooLarge(
                f"The picture of {path.name} is {width}x{height}, past the limit of {max_pixels} pixels.",
                hint="Raise SR_MAX_PIXELS if this machine can hold it.",
            )
        # What times say that jump is no duration; how long the source really lasts is seen when it was read.
        stated_s = 0.0 if container.format.name in ("mpegts", "mpeg") else (container.duration or 0) / 1_000_000
        if max_duration_s is not None and max_duration_s < stated_s < ENDLESS_S:
            raise InputTooLarge(
                f"{path.name} lasts {stated_s:.0f} s, past the limit of {max_duration_s:.0f} s.",
                hint="Cut it, or raise SR_MAX_DURATION_S.",
            )
        return _first_frames(container, video, path)


def _first_frames(container: InputContainer, video: VideoStream, path: Path) -> FirstFrames:
    """Decode the first few frames. Raises InputInvalid if nothing can be decoded at all."""
    stated = tags_of(video.codec_context)  # decoding overwrites it
    video.codec_context.thread_count = 1
    decoder = decoder_of(video)
    found: FirstFrames | None = None
    seen = fed = broken = 0
    with translated(path):
        for packet in container.demux(video):
            try:
                frames = decoder.decode(packet)
            except NOT_DECODED:
                broken += found is None
                continue
            for frame in frames:
                seen += 1
                found = found or _look_at(frame, is_broken=broken > 0)
                found.interlaced |= frame.interlaced_frame
                found.lost |= lost_side_data(frame)
            fed += 1
            if seen >= _LOOK_AT_FRAMES or fed >= _LOOK_AT_PACKETS:
                break
    if found is None:
        raise InputInvalid(f"No frame of {path.name} can be decoded.", hint="Check the file in a media player.")
    refuse_own_colours(container, video, found.frame)
    _refuse_half_frames(video, found.frame, path)
    found.repairs = contradictions(stated, tags_of(found.frame))
    found.interlaced |= video.codec_context.field_order in _FIELD_ORDER_INTERLACED
    return found


def _refuse_half_frames(video: VideoStream, frame: VideoFrame, path: Path) -> None:
    """HEVC knows no frames of two fields: FFmpeg flags only pictures that are one field, of half the height."""
    if video.codec_context.name == "hevc" and frame.interlaced_frame:
        raise InputUnsupported(
            f"{path.name} holds each field as a picture of half the height (HEVC in fields).",
            hint="Make frames of them first: ffmpeg -i INPUT -vf weave -c:a copy OUTPUT.",
        )


def _look_at(frame: VideoFrame, *, is_broken: bool) -> FirstFrames:
    matrix = side_data_of(frame, SideDataType.DISPLAYMATRIX)
    return FirstFrames(
        frame=frame,
        shown=Shown(first_pts=frame.pts, is_broken=is_broken, look=look_of(frame)),
        interlaced=frame.interlaced_frame,
        rotation=frame.rotation,
        display_matrix=struct.unpack("<9i", matrix) if len(matrix) == 36 else None,
        hdr=HdrInfo(
            mastering_display=side_data_of(frame, SideDataType.MASTERING_DISPLAY_METADATA),
            content_light_level=side_data_of(frame, SideDataType.CONTENT_LIGHT_LEVEL),
        ),
    )


def _video_info(video: VideoStream, first: FirstFrames, times: Times, chroma_location: int) -> VideoInfo:
    frame = first.frame
    kind = pixel_format(frame.format.name)
    context = video.codec_context
    return VideoInfo(
        index=video.index,
        codec=context.name,
        width=frame.width,
        height=frame.height,
        **pixel_facts(frame.format.name),
        color_range=FULL if kind.is_full_range else int(frame.color_range or context.color_range),
        color_primaries=int(frame.color_primaries or context.color_primaries),
        color_trc=int(frame.color_trc or context.color_trc),
        colorspace=rgb.COLORSPACE if kind.is_rgb else _colorspace(frame, context),
        chroma_location=chroma_location,
        view=view_of(frame),
        sample_aspect_ratio="{0.numerator}:{0.denominator}".format(video.sample_aspect_ratio or Fraction(1)),
        rotation=first.rotation,
        interlaced=first.interlaced,
        **times.facts,
    )


def _colorspace(frame: VideoFrame, context: VideoCodecContext) -> int:
    return int(frame.colorspace if frame.colorspace is not None else context.colorspace)


def _refuse_cut_off(container: InputContainer, video: VideoStream, path: Path, times: Times) -> None:
    """The container's own index and duration against what is in the file."""
    name, size = container.format.name, path.stat().st_size
    if "mov" in name:
        listed = len(video.index_entries)
        missing = sum(entry.pos + entry.size > size for entry in video.index_entries)
        if missing > max(2, listed // 100):
            raise InputInvalid(
                f"{path.name} is cut off: its index lists {listed} frames, {missing} of them behind its end.",
                hint="Copy the file again from where it came from.",
            )
    stated_s = (container.duration or 0) / 1_000_000
    start_s = min((t.start_s for t in times.tallies.values() if t.start_s is not None), default=0.0)
    found_s = max((t.end_s for t in times.tallies.values()), default=0.0) - min(start_s, 0.0)
    if "matroska" in name and not times.picture.clock and stated_s - found_s > max(2.0, 0.02 * stated_s):
        raise InputInvalid(
            f"{path.name} is cut off: it says it lasts {stated_s:.1f} s, but ends after {found_s:.1f} s.",
            hint="Copy the file again from where it came from.",
        )


def _stream_info(stream: Stream, tally: StreamTally | None) -> StreamInfo:
    name = codec_name(stream)
    return StreamInfo(
        index=stream.index,
        type=stream.type,
        codec=name,
        language=stream.metadata.get("language", ""),
        title=stream.metadata.get("title", ""),
        disposition=int(stream.disposition),
        packets=tally.packets if tally else 0,
        size_bytes=tally.size_bytes if tally else 0,
        start_s=tally.start_s if tally else None,
    )
