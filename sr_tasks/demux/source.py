"""The one door through which source files are opened: demuxers and protocols are allow-listed, errors translated."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
from av.codec.context import Flags
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from sr_tasks.demux.excerpt import limited
from sr_tasks.errors import InputInvalid, InputNotFound, InputUnreadable, InputUnsupported, OutOfMemory

_CONTAINERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "mxf", "ogg", "ivf", "nut", "dv", "rm", "wtv", "gxf",
    "nsv", "roq", "yuv4mpegpipe", "gif", "apng",
)  # fmt: skip
_ELEMENTARY = (
    "h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "av1", "mjpeg", "vc1", "dirac", "h263", "h261", "cavsvideo",
)  # fmt: skip
DEMUXERS = _CONTAINERS + _ELEMENTARY
"""FFmpeg demuxers that read one file and open no other. Playlists, concat scripts, devices, images are not here."""

_MOTION_JPEG = (".mjpeg", ".mjpg")
_JPEG = b"\xff\xd8\xff"
_NOTIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS: an elementary stream, whose packets have no times but those that FFmpeg makes up."""

ATTACHED_PIC = 0x400
"""AV_DISPOSITION_ATTACHED_PIC: cover art, a still picture that FFmpeg lists among the video streams."""

ENDLESS_S = 0xFFFFFFFF // 1000
"""FFmpeg writes the largest number of 32 bits, in milliseconds, where a subtitle stands until the next one; a file that
holds such a one says that it lasts as long."""

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

NOT_DECODED = (av.error.InvalidDataError, av.error.ArgumentError)
"""What a decoder raises for a packet without a picture of its own: a damaged one, or an empty one, by which Theora and
others repeat the picture before."""

_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """Open a local file for demuxing.

    Raises InputNotFound, InputUnreadable, or InputInvalid for anything that is not one of DEMUXERS.
    """
    with translated(path):
        # What begins with a JPEG picture is taken for that picture alone.
        demuxer = "mjpeg" if path.suffix.lower() in _MOTION_JPEG and _head(path).startswith(_JPEG) else None
        container = av.open(str(path.absolute()), format=demuxer, options=_OPTIONS, metadata_errors="replace")
    with container:
        yield limited(path, container)


def has_times(container: InputContainer) -> bool:
    """False for elementary streams."""
    return not container.format.flags & _NOTIMESTAMPS


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors about `path` into ours."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise InputNotFound(f"There is no file {path}.", hint="Check the path.") from exc
    except av.error.PermissionError as exc:
        # FFmpeg answers EPERM when the content belongs to a demuxer or protocol outside the allow-list.
        if exc.errno == errno.EACCES:
            raise InputUnreadable(f"{path.name} may not be read.", hint="Give this user read access to it.") from exc
        raise _not_read(path) from exc
    except MemoryError as exc:
        raise OutOfMemory(
            f"Reading {path.name} takes more memory than this task may have.",
            hint="Raise SR_MAX_TASK_BYTES, or convert the file first.",
        ) from exc
    except (av.error.FFmpegError, EOFError, ValueError) as exc:
        raise _not_read(path) from exc


_OTHER_FILES = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture (PNG)",
    _JPEG: "a picture (JPEG)",
    b"BM": "a picture (BMP)",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"#EXTM3U": "a playlist",
    b"#!": "a script",
    b"ffconcat": "a list of other files",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"ID3": "a sound file (MP3)",
    b"fLaC": "a sound file (FLAC)",
}
"""How files begin that are sometimes called videos."""
_HEAD_BYTES = 4096


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _not_read(path: Path) -> InputInvalid:
    """Why FFmpeg cannot read a file, as far as its beginning tells."""
    try:
        head = _head(path)
    except OSError:
        head = b"?"
    if not head:
        return InputInvalid(f"{path.name} is empty.", hint="Copy the file again from where it came from.")
    other = next((name for start, name in _OTHER_FILES.items() if head.startswith(start)), None)
    if other is not None:
        return InputInvalid(f"{path.name} is no video but {other} in disguise.", hint="Choose a video file.")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return InputInvalid(
            f"{path.name} is a picture or an animation in WebP, which FFmpeg does not read as a video.",
            hint="Convert it to .gif, .apng or .mp4 first.",
        )
    if not any(head):
        return InputInvalid(
            f"{path.name} begins with nothing but zeros, as a download does that has not ended.",
            hint="Copy the file again from where it came from.",
        )
    return InputInvalid(
        f"{path.name} is not a video file that can be read: its format is unknown, or it is cut off or damaged.",
        hint="Play it in a media player; if that works, remux it to .mkv and try again.",
    )


def picture_stream(container: InputContainer, path: Path, index: int | None = None) -> VideoStream:
    """The video stream that is enhanced: the one with `index`, or the first one that is no cover art.

    Raises InputInvalid if there is none, InputUnsupported if FFmpeg has no decoder for it.
    """
    for stream in container.streams.video:
        if stream.index == index or (index is None and not stream.disposition & ATTACHED_PIC):
            if stream.codec_context is None:
                raise InputUnsupported(
                    f"The video stream of {path.name} has a codec that FFmpeg cannot decode.",
                    hint="Convert it to a common codec first.",
                )
            # Without it the decoder cuts off less at the left than the stream says, to have lines at round addresses.
            stream.codec_context.flags |= Flags.unaligned
            return stream
    raise InputInvalid(f"{path.name} has no video stream.", hint="Sound alone cannot be enhanced.")


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The decoder for a picture stream: its own, or libvpx's where a file with VP8 or VP9 says that there is alpha: the
    own ones leave it out. That one is new at every call."""
    own = stream.codec_context
    if stream.metadata.get("alpha_mode") != "1" or own.name not in _WITH_ALPHA:
        return own
    try:
        decoder = VideoCodecContext.create(_WITH_ALPHA[own.name], "r")
    except ValueError:
        return own
    if not isinstance(decoder, VideoCodecContext):
        return own
    decoder.width, decoder.height, decoder.extradata = own.width, own.height, own.extradata
    decoder.flags |= Flags.unaligned
    decoder.thread_count = 1
    return decoder
