"""Encoding a chunk into a file that keeps any time base exactly, and reading it back. Chooses no settings.

Chunks are NUT files, or MOV for codecs that NUT does not hold: Matroska would round times to milliseconds. Time
stamps in a chunk count from its start, so the same frames give the same bytes at any place of the video.
`prove_chunk` reads each chunk back before it is committed. All errors of FFmpeg while writing become ours in
`encode_error`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sr_tasks.demux.scan import PtsHash
from sr_tasks.errors import ChunkFailed, DiskFull, IntegrityBroken, OutOfMemory
from sr_tasks.media.captions import with_captions
from sr_tasks.media.encoders import chunk_options, encoder_options
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.storage.failures import disk_full, is_full

_ALPHA: Final = "matroska_block_additional"
"""The packet of alpha beside a packet of the picture, as VP9 has it: a number in eight bytes, then the packet."""
_NUMBER_BYTES: Final = 8
_CHUNK_DEMUXERS = ",".join(sorted({row.chunk_muxer for row in CODECS.values()}))


class ChunkWriter:
    """Encodes `frames` frames in order into one file. Time stamps are written relative to `start_pts`, exactly."""

    def __init__(self, path: Path, settings: EncodeSettings, start_pts: int, frames: int) -> None:
        self._settings = settings
        self._frames = frames
        self._start_pts = start_pts
        self._captions: dict[int, bytes] = {}
        with _translated(path):
            self._container: OutputContainer = av.open(
                str(path), "w", format=CODECS[settings.codec].chunk_muxer, options=chunk_options(settings)
            )
            self._stream = self._add_stream()

    def new_frame(self) -> VideoFrame:
        """An output frame to write planes into."""
        return VideoFrame(self._settings.width, self._settings.height, self._settings.pix_fmt)

    def write(self, frame: VideoFrame, pts: int, captions: bytes = b"") -> None:
        """`captions`: closed captions that are shown with the frame, for a codec that carries them."""
        s = self._settings
        if captions and CODECS[s.codec].carries_captions:
            self._captions[pts - self._start_pts] = captions
        frame.pts, frame.time_base = pts - self._start_pts, s.time_base
        frame.color_range, frame.colorspace = s.color_range, s.colorspace
        frame.color_primaries, frame.color_trc = s.color_primaries, s.color_trc
        with _translated(Path(self._container.name)):
            self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush the encoder and finish the file."""
        with _translated(Path(self._container.name)):
            self._mux(self._stream.encode(None))
            self._container.close()

    def abort(self) -> None:
        """Let go of the file without finishing it. What broke the writing off breaks its end off as well."""
        with suppress(av.error.FFmpegError):
            self._container.close()

    def _mux(self, packets: "list[Packet[Any]]") -> None:
        for packet in packets:
            captions = b""
            if self._captions and packet.pts is not None:
                captions = self._captions.pop(round(packet.pts * packet.time_base / self._settings.time_base), b"")
            self._container.mux(with_captions(packet, self._settings.codec, captions) if captions else packet)

    def _add_stream(self) -> VideoStream:
        s = self._settings
        encoder = CODECS[s.codec].encoder
        stream = self._container.add_stream(encoder, rate=s.average_rate, options=encoder_options(s, self._frames))
        if not isinstance(stream, VideoStream):
            raise ChunkFailed(f"The encoder {encoder} makes no video.")
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = s.width, s.height, s.pix_fmt
        context.time_base = stream.time_base = s.time_base
        context.color_range, context.colorspace = s.color_range, s.colorspace
        context.color_primaries, context.color_trc = s.color_primaries, s.color_trc
        context.sample_aspect_ratio = s.sample_aspect_ratio
        context.thread_count = s.threads
        return stream


@contextmanager
def open_chunk(path: Path) -> Iterator[InputContainer]:
    """A chunk file for reading, in whichever container its codec needs."""
    with av.open(str(path), options={"format_whitelist": _CHUNK_DEMUXERS}) as container:
        yield container


def read_packets(path: Path, time_base: Fraction) -> Iterator[tuple["Packet[Any]", int]]:
    """A chunk file's packets in decode order, each with its time stamp in `time_base` units relative to the chunk."""
    with open_chunk(path) as container:
        for packet in container.demux(video=0):
            if packet.size == 0 or packet.pts is None:
                continue
            exact = packet.pts * packet.time_base / time_base
            if exact.denominator != 1:
                raise IntegrityBroken(f"{path.name} holds a time stamp between two ticks ({exact}).")
            _restore_alpha(packet)
            yield packet, exact.numerator


def _restore_alpha(packet: "Packet[Any]") -> None:
    """FFmpeg writes the number of alpha's data into NUT as a name and as the first bytes, and reads both back."""
    beside = packet.get_sidedata(_ALPHA) if packet.has_sidedata(_ALPHA) else None
    if beside is None or bytes(beside)[:_NUMBER_BYTES] != bytes(beside)[_NUMBER_BYTES : 2 * _NUMBER_BYTES]:
        return
    data = bytes(beside)[_NUMBER_BYTES:]
    restored = PacketSideData(packet_sidedata_type_from_literal(_ALPHA), len(data))  # type: ignore[call-arg]
    restored.update(data)
    packet.set_sidedata(restored)


def prove_chunk(path: Path, time_base: Fraction, start_pts: int, frames: int, pts_sha256: str) -> None:
    """Read a chunk file back. Raises IntegrityBroken unless it holds exactly the planned time stamps."""
    stamps = sorted(pts + start_pts for _, pts in read_packets(path, time_base))
    digest = PtsHash()
    for stamp in stamps:
        digest.add(stamp)
    if len(stamps) != frames or digest.hexdigest() != pts_sha256:
        raise IntegrityBroken(
            f"The encoded chunk holds {len(stamps)} frames where {frames} were planned, or other time stamps.",
            hint="This is a fault of the encoder or the disk; run the job again.",
        )


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except av.error.FFmpegError as exc:
        raise encode_error(path, exc) from exc


def encode_error(path: Path, exc: av.error.FFmpegError) -> ChunkFailed | DiskFull | OutOfMemory:
    if isinstance(exc, MemoryError):
        return OutOfMemory(
            f"Writing {path.name} takes more memory than this task may have.",
            hint="Raise SR_MAX_TASK_BYTES, or choose another codec.",
        )
    if is_full(exc.errno):
        return disk_full(path.parent)
    return ChunkFailed(
        f"FFmpeg cannot write {path.name}: {exc.strerror}.", hint="Run the job again with another codec."
    )
