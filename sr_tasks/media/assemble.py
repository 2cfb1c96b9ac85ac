"""Assembling: joins encoded chunks without re-encoding and copies every other stream of the source. Decodes nothing."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from loguru import logger

from sr_tasks.errors import ContainerMismatch, IntegrityBroken
from sr_tasks.media import languages
from sr_tasks.media.encode import encode_error, read_packets
from sr_tasks.media.scan import PtsHash
from sr_tasks.media.source import open_source, translated
from sr_tasks.records.containers import TARGETS, holds
from sr_tasks.records.media import StreamPlan, VideoInfo

_TIME_CODE = "written anew from the time code tag of the video"

_OWN_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"})
"""Tags that describe the old file itself; the muxer writes its own."""


@dataclass(frozen=True, kw_only=True)
class ChunkFile:
    """A committed chunk: its file, where it starts, and how many frames a packet may run ahead of its turn."""

    path: Path
    start_pts: int
    reorder_depth: int


def plan_streams(path: Path, video: VideoInfo, suffix: str, codec: str) -> list[StreamPlan]:
    """Decide for every stream whether the target container holds it, before anything expensive.

    Raises ContainerMismatch if picture, sound or subtitles do not fit. Data streams that do not fit are dropped, with a
    reason, since no container but their own holds them.
    """
    muxer = TARGETS[suffix]
    _fit_picture(codec, suffix)
    with open_source(path) as source, av.open(io.BytesIO(), "w", format=muxer) as trial:
        fates: list[StreamPlan] = []
        for stream in source.streams:
            fates.append(_fate(stream, video, trial, suffix, sum(f.output_index is not None for f in fates)))
    return [_with_time_code(fate, fates, muxer) for fate in fates]


def lost(video: VideoInfo, what: str) -> StreamPlan:
    """The row for something inside the picture stream that the output will not have."""
    logger.warning("the output will not have the source's {}", what)
    return StreamPlan(
        source_index=video.index, output_index=None, type="side data", codec=what, language="", fate="dropped",
        reason="the encoder does not write it",
    )  # fmt: skip


def assemble(
    source_path: Path, output_path: Path, suffix: str, video: VideoInfo, chunks: Iterable[ChunkFile],
    fates: list[StreamPlan], display_matrix: tuple[int, ...] | None,
) -> str:  # fmt: skip
    """Write the joined picture and every kept stream to `output_path`; returns sha256 over the joined time stamps.

    Packets are merged in the order of their decoding times, so memory does not grow with the length. Raises
    IntegrityBroken if the joined time stamps are not exactly the source's.
    """
    chunk_files = list(chunks)
    digest = PtsHash()
    options = {"movflags": "+faststart"} if TARGETS[suffix] in ("mp4", "mov") else {}
    with open_source(source_path) as source, _Output(output_path, TARGETS[suffix], options) as output:
        with av.open(str(chunk_files[0].path), format="nut") as first:
            streams = _add_streams(source, output, first.streams.video[0], fates)
        _describe_picture(streams[video.index], video, output, display_matrix)
        _carry_tags(source, output)
        picture = _picture_packets(chunk_files, video, streams[video.index], digest)
        others = _other_packets(source, source_path, streams, video.index)
        for packet in _merged(picture, others):
            output.mux_one(packet)
    if digest.hexdigest() != video.pts_sha256:
        raise IntegrityBroken(
            "The chunks together do not hold exactly the source's time stamps.", hint="Run the job again."
        )
    return digest.hexdigest()


class _Output:
    """An output container whose errors are translated, closing included."""

    def __init__(self, path: Path, muxer: str, options: dict[str, str]) -> None:
        self._path, self._muxer, self._options = path, muxer, options

    def __enter__(self) -> OutputContainer:
        try:
            self._container = av.open(
                str(self._path), "w", format=self._muxer, options=self._options, metadata_errors="replace"
            )
        except av.error.FFmpegError as exc:
            raise encode_error(self._path, exc) from exc
        return self._container

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        try:
            self._container.close()
        except av.error.FFmpegError as error:
            if exc is None:
                raise encode_error(self._path, error) from error
        if isinstance(exc, av.error.FFmpegError):
            raise encode_error(self._path, exc) from exc


def _fit_picture(codec: str, suffix: str) -> None:
    if not holds(suffix, codec):
        fitting = [name for name in TARGETS if holds(name, codec)]
        raise ContainerMismatch(
            f"A {suffix} file does not hold {codec} video.", hint=f"Choose an output in {' or '.join(fitting)}."
        )


def _fate(stream: Stream, video: VideoInfo, trial: OutputContainer, suffix: str, output_index: int) -> StreamPlan:
    codec = stream.codec_context.name if stream.codec_context is not None else str(stream.name or "unknown")
    row = StreamPlan(
        source_index=stream.index,
        output_index=output_index,
        type=stream.type or "unknown",
        codec=codec,
        language=stream.metadata.get("language", ""),
        fate="enhanced" if stream.index == video.index else "kept",
    )
    if row.fate == "enhanced":
        return row
    if "TimeCode" in stream.metadata.get("handler_name", ""):
        return row.model_copy(update={"fate": "converted", "output_index": None, "reason": _TIME_CODE})
    try:
        trial.add_stream_from_template(stream)
    except (ValueError, av.error.FFmpegError) as exc:
        if stream.type in ("video", "audio", "subtitle"):
            raise ContainerMismatch(
                f"Stream {stream.index} ({stream.type}, {codec}) does not fit into a {suffix} file.",
                hint="Choose an .mkv output, which holds almost every stream.",
            ) from exc
        return row.model_copy(
            update={
                "fate": "dropped",
                "output_index": None,
                "reason": f"a {suffix} file holds no such {stream.type} stream",
            }
        )
    return row


def _with_time_code(fate: StreamPlan, fates: list[StreamPlan], muxer: str) -> StreamPlan:
    """MP4 and MOV muxers write a time code track of their own behind all others; Matroska has the tag alone."""
    if fate.fate != "converted" or muxer == "matroska":
        return fate
    return fate.model_copy(update={"output_index": sum(other.output_index is not None for other in fates)})


def _add_streams(
    source: InputContainer, output: OutputContainer, picture: VideoStream, fates: list[StreamPlan]
) -> dict[int, Stream]:
    """Output streams by source index, in the source's order, with tags, languages and dispositions."""
    added: dict[int, Stream] = {}
    for fate in fates:
        if fate.fate not in ("enhanced", "kept"):
            continue
        original = source.streams[fate.source_index]
        if fate.fate == "enhanced":
            stream: Stream = output.add_stream_from_template(picture)
        else:
            stream = output.add_stream_from_template(original)
        stream.metadata.update({k: v for k, v in original.metadata.items() if k not in _OWN_TAGS})
        if language := original.metadata.get("language"):
            stream.metadata["language"] = languages.held(language, output.format.name)
        stream.disposition = original.disposition
        added[fate.source_index] = stream
    return added


def _describe_picture(
    stream: Stream, video: VideoInfo, output: OutputContainer, display_matrix: tuple[int, ...] | None
) -> None:
    """Colour tags for the container, which not every codec carries in itself, and the way players turn the picture."""
    if not isinstance(stream, VideoStream):
        raise IntegrityBroken("The chunks hold no video stream.", hint="Run the job again.")
    context = stream.codec_context
    context.color_range, context.colorspace = video.color_range, video.colorspace
    context.color_primaries, context.color_trc = video.color_primaries, video.color_trc
    if not video.is_vfr:
        context.framerate = Fraction(video.average_rate)
    context.sample_aspect_ratio = Fraction(video.sample_aspect_ratio.replace(":", "/"))
    if context.name.endswith(("hevc", "libx265")) and output.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # the tag that Apple's players ask for
    if display_matrix is not None:
        stream.set_display_matrix(display_matrix)


def _carry_tags(source: InputContainer, output: OutputContainer) -> None:
    output.metadata.update({k: v for k, v in source.metadata.items() if k not in _OWN_TAGS})
    chapters = source.chapters()
    if chapters:
        output.set_chapters(chapters)


def _picture_packets(
    chunks: list[ChunkFile], video: VideoInfo, stream: Stream, digest: PtsHash
) -> Iterator["Packet[Any]"]:
    """The chunks' packets with the source's time stamps and new, strictly ascending decoding times.

    A decoding time is the time stamp `depth` places earlier in presentation order, as encoders make it themselves.
    """
    depth = max(chunk.reorder_depth for chunk in chunks)
    behind: list[int] = []
    for chunk, following in pairwise([*chunks, None]):
        if chunk is None:
            break
        end = following.start_pts if following is not None else video.end_pts
        stamps = sorted(pts + chunk.start_pts for _, pts in read_packets(chunk.path, video.tick))
        next_of = dict(zip(stamps, [*stamps[1:], end], strict=True))
        if not behind:
            step = next_of[stamps[0]] - stamps[0]
            behind = [stamps[0] - step * n for n in range(depth, 0, -1)]
        times = behind + stamps
        for stamp in stamps:
            digest.add(stamp)
        for place, (packet, relative) in enumerate(read_packets(chunk.path, video.tick)):
            pts = relative + chunk.start_pts
            packet.time_base = video.tick
            packet.pts, packet.dts, packet.duration = pts, times[place], next_of[pts] - pts
            packet.stream = stream
            yield packet
        behind = times[len(times) - depth :] if depth else []


def reorder_depth(path: Path, time_base: Fraction) -> int:
    """How many places the decode order runs ahead of the presentation order in a chunk file."""
    order = [pts for _, pts in read_packets(path, time_base)]
    rank = {pts: place for place, pts in enumerate(sorted(order))}
    return max((place - rank[pts] for place, pts in enumerate(order)), default=0)


def _other_packets(
    source: InputContainer, path: Path, streams: dict[int, Stream], picture_index: int
) -> Iterator["Packet[Any]"]:
    wanted = [s for s in source.streams if s.index in streams and s.index != picture_index and s.type != "attachment"]
    if not wanted:
        return
    with translated(path):
        for packet in source.demux(*wanted):
            if packet.size == 0:
                continue
            packet.stream = streams[packet.stream_index]
            yield packet


def _merged(left: Iterator["Packet[Any]"], right: Iterator["Packet[Any]"]) -> Iterator["Packet[Any]"]:
    """Two streams of packets by decoding time; one without a time goes out at once."""
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and _time_of(a) <= _time_of(b)):
            if a is not None:
                yield a
            a = next(left, None)
        else:
            yield b
            b = next(right, None)


def _time_of(packet: "Packet[Any]") -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float("-inf") if stamp is None else float(stamp * packet.time_base)
