"""Assembling: joins encoded chunks without re-encoding, and copies or converts every other stream of the source.

Packets of the picture and of the source are merged by decoding time, one at a time, so memory does not grow with the
length. The decoding times of the picture are computed again: each is the time stamp `depth` places earlier in order
of display, where `depth` is the deepest reordering of any chunk. This makes them ascend across the edges of chunks.
What becomes of each stream was decided before (`plan`); here nothing is decided, and a chunk is never changed.
"""

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

from sr_tasks.demux.clock import packets_on_one_clock
from sr_tasks.demux.scan import PtsHash
from sr_tasks.demux.source import open_source, translated
from sr_tasks.errors import IntegrityBroken
from sr_tasks.jobs.form import Strip
from sr_tasks.media.encode import encode_error, open_chunk, read_packets
from sr_tasks.records.containers import MUXER_OPTIONS, QUICKTIME, TARGETS
from sr_tasks.records.media import NO_HDR, ClockPart, HdrInfo, StreamPlan, VideoInfo
from sr_tasks.streams import languages, tags
from sr_tasks.streams.convert import Converter, Copy, converter, copied
from sr_tasks.streams.display_size import reserve_display_size, write_display_size
from sr_tasks.streams.plan import is_cover
from sr_tasks.streams.stated import Statement, stating
from sr_tasks.streams.trial import timed

_COVER_TYPES = {"mjpeg": ("jpg", "image/jpeg")} | {
    name: (name, f"image/{name}") for name in ("png", "bmp", "gif", "webp")
}
"""Codec of a cover -> suffix and type of a file that holds it."""


@dataclass(frozen=True, kw_only=True)
class ChunkFile:
    """A committed chunk: its file, where it starts, and how many frames a packet may run ahead of its turn."""

    path: Path
    start_pts: int
    reorder_depth: int


def assemble(
    source_path: Path, output_path: Path, suffix: str, video: VideoInfo, chunks: Iterable[ChunkFile],
    fates: list[StreamPlan], display_matrix: tuple[int, ...] | None,
    clock: tuple[ClockPart, ...] = (), hdr: HdrInfo = NO_HDR, strip: Strip = "nothing",
) -> str:  # fmt: skip
    """Write the joined picture and every kept stream to `output_path`; returns sha256 over the joined time stamps.
    `clock` says where the source's times jump; `hdr` is for the container, beside what the chunks say themselves.

    Packets are merged in the order of their decoding times, so memory does not grow with the length. Raises
    IntegrityBroken if the joined time stamps are not exactly the source's.
    """
    chunk_files = list(chunks)
    digest = PtsHash()
    muxer = TARGETS[suffix]
    with open_source(source_path) as source, _Output(output_path, muxer, _options(source, muxer, strip)) as output:
        # A chunk of few frames may have a header that promises not to reorder frames: the file's must allow for all.
        deepest = max(chunk_files, key=lambda chunk: chunk.reorder_depth)
        with open_chunk(deepest.path) as chunk, stating(chunk, _statement(chunk, video, hdr, muxer)) as like:
            streams = _add_streams(source, output, like, fates, source_path, strip)
            target = streams.pop(video.index).stream
            target.time_base = chunk.streams.video[0].time_base
        _describe_picture(target, video, output, display_matrix)
        shown_at = reserve_display_size(target, video, muxer)
        _carry_tags(source, output, target, video.index, strip)
        picture = _picture_packets(chunk_files, video, target, digest)
        others = _other_packets(source, source_path, streams, video.index, clock)
        for packet in _merged(picture, others):
            output.mux_one(packet)
    if shown_at is not None:
        write_display_size(output_path, shown_at)
    if digest.hexdigest() != video.pts_sha256:
        raise IntegrityBroken(
            "The chunks together do not hold exactly the source's time stamps.", hint="Run the job again."
        )
    return digest.hexdigest()


def _statement(chunk: InputContainer, video: VideoInfo, hdr: HdrInfo, muxer: str) -> Statement:
    context = chunk.streams.video[0].codec_context
    return Statement.of(video, hdr, context.codec.canonical_name, muxer, context.width)


def _options(source: InputContainer, muxer: str, strip: Strip) -> dict[str, str]:
    """Options for the muxer: the index goes before the pictures, and QuickTime keys stay what they are."""
    options = dict(MUXER_OPTIONS.get(muxer, {}))
    if muxer in QUICKTIME:
        options["movflags"] = "+faststart"
        if tags.has_quicktime_keys(tags.carried(source.metadata, strip)):
            options["movflags"] += "+use_metadata_tags"
    return options


class _Output:
    """An output container whose errors are translated, closing included."""

    def __init__(self, path: Path, muxer: str, options: dict[str, str]) -> None:
        self._path, self._muxer, self._options = path, muxer, options

    def __enter__(self) -> OutputContainer:
        try:
            self._container = av.open(
                str(self._path), "w", format=self._muxer, container_options=self._options, metadata_errors="replace"
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


def _add_streams(
    source: InputContainer, output: OutputContainer, picture: VideoStream, fates: list[StreamPlan], path: Path,
    strip: Strip,
) -> dict[int, Converter]:  # fmt: skip
    """What fills the output's streams by source index, in the order of the output, with tags and dispositions."""
    added: dict[int, Converter] = {}
    numbered = [fate for fate in fates if fate.output_index is not None and fate.source_index is not None]
    for fate in sorted(numbered, key=lambda fate: fate.output_index or 0):
        original = source.streams[fate.source_index or 0]
        if fate.fate == "enhanced":
            made: Converter = Copy(output.add_stream_from_template(picture, opaque=True), picture, is_strict=False)
            if picture.codec_context.name == "prores":  # the tag alone says which ProRes it is
                made.stream.codec_context.codec_tag = picture.codec_context.codec_tag
        elif fate.target:
            made = converter(original, output, fate.target, fate.bit_rate)
        elif fate.fate != "kept":
            continue
        elif is_cover(original) and output.format.name == "matroska":
            _attach_cover(original, output, path)
            continue
        else:
            made = copied(original, output)
        _label(made.stream, original, output.format.name, strip)
        added[original.index] = made
    return added


def _label(stream: Stream, original: Stream, muxer: str, strip: Strip) -> None:
    """Tags, language and dispositions as the source has them."""
    stream.metadata.clear()
    stream.metadata.update(tags.carried(original.metadata, strip, of_stream=True))
    if language := original.metadata.get("language"):
        stream.metadata["language"] = languages.held(language, muxer)
    stream.disposition = original.disposition


def _attach_cover(cover: Stream, output: OutputContainer, path: Path) -> None:
    """Matroska holds covers as files."""
    suffix, mimetype = _COVER_TYPES.get(cover.codec_context.name, ("bin", "application/octet-stream"))
    with open_source(path) as file, translated(path):
        data = next(bytes(packet) for packet in file.demux(file.streams[cover.index]) if packet.size)
    name = cover.metadata.get("filename", f"cover.{suffix}")
    output.add_attachment(name, cover.metadata.get("mimetype", mimetype), data)


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
    if video.has_alpha and context.codec.canonical_name == "vp9":
        stream.metadata["alpha_mode"] = "1"
    if display_matrix is not None:
        a, b, u, c, d, v, across, down, w = display_matrix
        # the turned picture is moved back to where players show it
        scales = Fraction(context.width, video.width), Fraction(context.height, video.height)
        scale_across, scale_down = scales if abs(a) >= abs(b) else scales[::-1]
        moved = round(across * scale_across), round(down * scale_down)
        stream.set_display_matrix((a, b, u, c, d, v, *moved, w))


def _carry_tags(
    source: InputContainer, output: OutputContainer, picture: Stream, picture_index: int, strip: Strip
) -> None:
    """The file's own tags and chapters. The time code goes to the picture alone, and once."""
    output.metadata.update(tags.carried(source.metadata, strip))
    time_code = tags.time_code(source, picture_index)
    for described in (output, *output.streams):
        described.metadata.pop("timecode", None)
    if time_code and strip != "all":
        picture.metadata["timecode"] = time_code
    chapters = source.chapters()
    if output.format.name in QUICKTIME:  # a chapter without a title would be missing in the track
        chapters = [{**chapter, "metadata": {"title": "", **chapter["metadata"]}} for chapter in chapters]
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
    source: InputContainer, path: Path, streams: dict[int, Converter], picture_index: int, clock: tuple[ClockPart, ...]
) -> Iterator["Packet[Any]"]:
    """Of every stream but the picture, as the output has them."""
    wanted = [stream for stream in source.streams if stream.index in streams and stream.type != "attachment"]
    if not wanted:
        return
    with translated(path):
        for packet in packets_on_one_clock(source, wanted, clock, picture_index):
            yield from streams[packet.stream_index].feed(timed(packet))
    for made in streams.values():
        yield from made.flush()


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
