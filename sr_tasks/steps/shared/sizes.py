"""How large a job's files become, as far as it can be told beforehand: what a disk or a wish is too small for."""

import math
from collections.abc import Sequence
from typing import Final

from sr_tasks.config import Settings
from sr_tasks.errors import DiskTooSmall, InputTooLarge, InputUnsupported, UsageError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.media import MediaInfo, StreamInfo, StreamPlan
from sr_tasks.records.rate import AIM
from sr_tasks.records.rehearsal import Rehearsal
from sr_tasks.steps.shared.encoding import KEPT_PX_BITS
from sr_tasks.storage import transfer
from sr_tasks.storage.uris import LocalFile, Location

SCRATCH_FACTOR: Final = 2.2
"""Scratch a job takes, as a multiple of its output: the chunks, the joined file, and some room."""
_RATED_FACTOR: Final = 3.5
"""The same where the rate is decided later: the files of two or three rounds and the joined file."""
_LEAST_PX_BITS: Final = 0.005
"""Bits for each px and frame that codecs need at the least: 260 kb/s for 1920x1080 with 25 frames a second."""
_FRAME_BYTES, _PACKET_BYTES, _FILE_BYTES = 12, 8, 500
"""What a frame takes at the least, what a container takes for each packet, and for itself."""
_REHEARSED_PART: Final = 0.5
"""Of what rehearsed frames take: they may be harder than the others, or encoded with a faster preset."""
_CONVERTED_BITS: Final = 192_000
"""A second of sound that is converted."""


def refuse_large_source(source: Location, size_bytes: int, settings: Settings) -> None:
    """Raises InputTooLarge for a file of more bytes than a deployment takes."""
    if size_bytes > settings.max_source_bytes:
        raise InputTooLarge(
            f"{source.name} is {size_bytes} bytes; the limit is {settings.max_source_bytes}.",
            hint="Raise SR_MAX_SOURCE_BYTES or cut the file.",
        )


def refuse_small_disk(spec: JobSpec, media: MediaInfo, settings: Settings, output: Location) -> None:
    """Raises DiskTooSmall if scratch or the output's own disk has too little room."""
    video = media.video
    pixels = math.prod(spec.output_size(video)) * video.frames
    wished = wished_bytes(spec, media)
    if wished is None:
        output_bytes = int(pixels * spec.video_codec.bits_per_px / 8) + media.size_bytes
        scratch = int(output_bytes * SCRATCH_FACTOR)
    else:
        output_bytes = wished
        kept = KEPT_PX_BITS.get(video.bit_depth, CODECS["ffv1"].bits_per_px)
        scratch = int(pixels * kept / 8 + output_bytes * _RATED_FACTOR)
    places = {settings.workdir: scratch}
    if isinstance(output, LocalFile):
        places[output.path.parent] = output_bytes
    for place, needed in places.items():
        free = transfer.free_bytes(place)
        if free < needed:
            raise DiskTooSmall(
                f"About {needed / 1e9:.1f} GB are needed in {place}, {free / 1e9:.1f} GB are free.",
                hint="Free some space, or point SR_WORKDIR or the output at another disk.",
            )


def wished_bytes(spec: JobSpec, media: MediaInfo) -> int | None:
    """The size that the request means for the output; None where it asks for a quality."""
    if spec.picture_bits is not None:
        return int(spec.picture_bits / 8 * media.video.duration_s) + media.size_bytes
    return spec.output_bytes


def refuse_rated_still(spec: JobSpec, name: str) -> None:
    """Raises UsageError if a still picture is to have a bitrate or a size."""
    if spec.is_rated:
        asked = f"bitrate={spec.bitrate}" if spec.bitrate else f"target_size={spec.target_size}"
        raise UsageError(f"{name} is a still picture, which takes no {asked}.", hint="Leave it out.")


def refuse_small_rate(spec: JobSpec, media: MediaInfo, fates: Sequence[StreamPlan]) -> None:
    """Raises InputUnsupported if a bitrate or a size is less than any encoder needs for such a picture, or than the
    other streams take alone. What a certain picture needs, only its encoding tells."""
    video = media.video
    width, height = spec.output_size(video)
    picture = video.frames * (width * height * _LEAST_PX_BITS / 8 + _FRAME_BYTES) / AIM
    if spec.picture_bits is not None:
        needed_bits = picture * 8 / video.duration_s
        if spec.picture_bits < needed_bits:
            raise InputUnsupported(
                f"bitrate={spec.bitrate} is too little for {width}x{height} with "
                f"{video.frames / video.duration_s:.4g} frames a second.",
                hint=f"Ask for {_round_up(needed_bits / 1000)}k or more, or choose a smaller scale.",
            )
    if spec.output_bytes is not None:
        others = other_bytes(media, fates)
        if spec.output_bytes < picture + others:
            raise InputUnsupported(
                f"target_size={spec.target_size} is too little: the picture needs {_spoken(picture)} or more, and "
                f"everything else {_spoken(others)}.",
                hint=f"Ask for {_round_up((picture + others) / 1000)}kB or more, or choose a smaller scale.",
            )


def refuse_unreached_rate(spec: JobSpec, media: MediaInfo, found: Rehearsal) -> None:
    """Raises InputUnsupported if the rehearsed frames say that no quality of the codec is as small as asked for."""
    video = media.video
    if found.least_picture_bytes is None:
        return
    least = found.least_picture_bytes * _REHEARSED_PART
    if spec.picture_bits is not None and spec.picture_bits < least * 8 / video.duration_s:
        needed, asked = f"{_round_up(least * 8 / video.duration_s / 1000)}k", f"bitrate={spec.bitrate}"
    elif spec.output_bytes is not None and spec.output_bytes < least + other_bytes(media, found.fates):
        needed = f"{_round_up((least + other_bytes(media, found.fates)) / 1000)}kB"
        asked = f"target_size={spec.target_size}"
    else:
        return
    raise InputUnsupported(
        f"{asked} is less than {spec.codec} takes of this picture at its lowest quality.",
        hint=f"Ask for much more than {needed}, or choose a smaller scale or another codec.",
    )


def other_bytes(media: MediaInfo, fates: Sequence[StreamPlan]) -> int:
    """What the container and all streams but the picture take at the least."""
    streams: dict[int, StreamInfo] = {stream.index: stream for stream in media.streams}
    total = _FILE_BYTES + _PACKET_BYTES * media.video.frames
    for row in fates:
        if row.output_index is None or row.source_index is None or row.fate == "enhanced":
            continue
        stream = streams[row.source_index]
        is_sound = row.type == "audio" and row.target
        total += int((row.bit_rate or _CONVERTED_BITS) / 8 * media.duration_s) if is_sound else stream.size_bytes
        total += _PACKET_BYTES * stream.packets
    return total


def _spoken(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"


def _round_up(number: float) -> int:
    """To three digits."""
    digits = max(0, len(str(int(number))) - 3)
    unit = int("1".ljust(digits + 1, "0"))
    return -(-int(number + 1) // unit) * unit
