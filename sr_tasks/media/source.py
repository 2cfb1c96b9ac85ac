"""The one door through which source files are opened: demuxers and protocols are allow-listed, errors translated."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
from av.codec.context import Flags
from av.container import InputContainer
from av.video.stream import VideoStream

from sr_tasks.errors import InputInvalid, InputNotFound, InputUnreadable, InputUnsupported, OutOfMemory

DEMUXERS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "mxf", "ogg", "ivf", "nut", "dv")
"""FFmpeg demuxers that read one file and open no other. Playlists, concat scripts, devices, images are not here."""

ATTACHED_PIC = 0x400
"""AV_DISPOSITION_ATTACHED_PIC: cover art, a still picture that FFmpeg lists among the video streams."""

_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """Open a local file for demuxing.

    Raises InputNotFound, InputUnreadable, or InputInvalid for anything that is not one of DEMUXERS.
    """
    with translated(path):
        container = av.open(str(path.absolute()), options=_OPTIONS, metadata_errors="replace")
    with container:
        yield container


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
        raise _not_a_video(path) from exc
    except MemoryError as exc:
        raise OutOfMemory(
            f"Reading {path.name} takes more memory than this task may have.",
            hint="Raise SR_MAX_TASK_BYTES, or convert the file first.",
        ) from exc
    except (av.error.FFmpegError, EOFError, ValueError) as exc:
        raise _not_a_video(path) from exc


def _not_a_video(path: Path) -> InputInvalid:
    return InputInvalid(
        f"{path.name} is not a video file that can be read (it is empty, cut off, or something else in disguise).",
        hint="Play it in a media player; if that works, remux it to .mkv and try again.",
    )


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video stream that is enhanced: the first one that is no cover art. Raises InputInvalid if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & ATTACHED_PIC:
            if stream.codec_context is None:
                raise InputUnsupported(
                    f"The video stream of {path.name} has a codec that FFmpeg cannot decode.",
                    hint="Convert it to a common codec first.",
                )
            # Without it the decoder cuts off less at the left than the stream says, to have lines at round addresses.
            stream.codec_context.flags |= Flags.unaligned
            return stream
    raise InputInvalid(f"{path.name} has no video stream.", hint="Sound alone cannot be enhanced.")
