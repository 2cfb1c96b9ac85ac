"""Encoding a chunk into a NUT file, which keeps any time base exactly. Knows codecs' settings; chooses none."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sr_tasks.errors import ChunkFailed, DiskFull, IntegrityBroken, OutOfMemory
from sr_tasks.media.scan import PtsHash
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.encode import EncodeSettings

_EXACT = {"avoid_negative_ts": "disabled"}
"""Muxers shift all time stamps to make decoding times positive, unless told not to."""

_CHROMA_LOCATION = {1: "left", 2: "center", 3: "topleft", 4: "top", 5: "bottomleft", 6: "bottom"}


class ChunkWriter:
    """Encodes frames in order into one file. Time stamps are written relative to `start_pts`, exactly."""

    def __init__(self, path: Path, settings: EncodeSettings, start_pts: int) -> None:
        self._settings = settings
        self._start_pts = start_pts
        with _translated(path):
            self._container: OutputContainer = av.open(str(path), "w", format="nut", options=_EXACT)
            self._stream = self._add_stream()

    def new_frame(self) -> VideoFrame:
        """An output frame to write planes into."""
        return VideoFrame(self._settings.width, self._settings.height, self._settings.pix_fmt)

    def write(self, frame: VideoFrame, pts: int) -> None:
        s = self._settings
        frame.pts, frame.time_base = pts - self._start_pts, s.time_base
        frame.color_range, frame.colorspace = s.color_range, s.colorspace
        frame.color_primaries, frame.color_trc = s.color_primaries, s.color_trc
        with _translated(Path(self._container.name)):
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush the encoder and finish the file."""
        with _translated(Path(self._container.name)):
            self._container.mux(self._stream.encode(None))
            self._container.close()

    def abort(self) -> None:
        """Let go of the file without finishing it."""
        self._container.close()

    def _add_stream(self) -> VideoStream:
        s = self._settings
        encoder = CODECS[s.codec].encoder
        stream = self._container.add_stream(encoder, rate=s.average_rate, options=encoder_options(s))
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


def encoder_options(s: EncodeSettings) -> dict[str, str]:
    """FFmpeg's options for the codec. The thread count is among them, since it can decide bytes."""
    options: dict[str, str] = {}
    if s.chroma_location in _CHROMA_LOCATION:
        options["chroma_sample_location"] = _CHROMA_LOCATION[s.chroma_location]
    if s.codec == "ffv1":
        return options | {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
    private = hdr_params(s)
    if s.codec == "h264":
        # Without it libx264 takes another path on every kind of processor, and on some another one at every call.
        private = {"cpu-independent": "1"} | private
        options |= {"crf": str(s.crf), "preset": s.preset}
        return options | {"x264-params": ":".join(f"{k}={v}" for k, v in private.items())}
    private |= {"log-level": "error", "pools": str(s.threads), "frame-threads": "1"}
    return options | {
        "crf": str(s.crf),
        "preset": s.preset,
        "x265-params": ":".join(f"{k}={v}" for k, v in private.items()),
    }


def hdr_params(s: EncodeSettings) -> dict[str, str]:
    """Mastering display and content light level in the form x264 and x265 take (SMPTE ST 2086, CTA-861.3).

    The structs are FFmpeg's AVMasteringDisplayMetadata (ten AVRationals: R, G, B, white x/y, min and max luminance,
    then two flags) and AVContentLightMetadata (two unsigned). The encoders want chromaticities in 0.00002 and
    luminances in 0.0001 cd/m2.
    """
    params: dict[str, str] = {}
    if len(s.hdr.mastering_display) >= 88:
        numbers = struct.unpack("<22i", s.hdr.mastering_display[:88])
        values = [Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2)]
        red, green, blue, white = (tuple(round(v * 50000) for v in values[i : i + 2]) for i in range(0, 8, 2))
        low, high = (round(v * 10000) for v in values[8:10])
        name = "mastering-display" if s.codec == "h264" else "master-display"
        params[name] = (
            f"G({green[0]},{green[1]})B({blue[0]},{blue[1]})R({red[0]},{red[1]})"
            f"WP({white[0]},{white[1]})L({high},{low})"
        )
    if len(s.hdr.content_light_level) >= 8:
        peak, average = struct.unpack("<2I", s.hdr.content_light_level[:8])
        params["cll" if s.codec == "h264" else "max-cll"] = f"{peak},{average}"
    return params


def read_packets(path: Path, time_base: Fraction) -> Iterator[tuple["Packet[Any]", int]]:
    """A chunk file's packets in decode order, each with its time stamp in `time_base` units relative to the chunk."""
    with av.open(str(path), format="nut") as container:
        for packet in container.demux(video=0):
            if packet.size == 0 or packet.pts is None:
                continue
            exact = packet.pts * packet.time_base / time_base
            if exact.denominator != 1:
                raise IntegrityBroken(f"{path.name} holds a time stamp between two ticks ({exact}).")
            yield packet, exact.numerator


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
    if exc.errno == 28:
        return DiskFull(f"The disk under {path.parent} is full.", hint="Free some space; the job goes on from there.")
    return ChunkFailed(
        f"FFmpeg cannot write {path.name}: {exc.strerror}.", hint="Run the job again with another codec."
    )
