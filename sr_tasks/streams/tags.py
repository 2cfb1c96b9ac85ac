"""Tags of containers and streams: which go into an output, by which names, and which are left out on request."""

import re
from collections.abc import Iterable, Mapping

from av.container import InputContainer

from sr_tasks.jobs.form import Strip
from sr_tasks.records.containers import QUICKTIME

_OWN = frozenset({
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "bps", "number_of_frames",
    "number_of_bytes", "language", "alpha_mode", "stereo_mode",
})  # fmt: skip
"""Tags that describe the old file itself; the muxer writes its own. Languages are written by `languages.held`, and what
players do with the picture by `stated`."""
_STATISTICS = ("_statistics", "bps-", "duration-", "number_of_frames-", "number_of_bytes-")
_QUICKTIME_KEY = "com."
"""Reverse domain names: QuickTime keys, as phones and cameras write them."""
_LOCATION = re.compile(r"location|gps|latitude|longitude|altitude|geo|iso6709|©xyz|^xyz$|^loci$|^city$|^country$")
_DEVICE = re.compile(
    r"\bmake\b|model|manufacturer|software|camera|lens|serial|device|firmware|android|quicktime|^xmp|handler|^udid|"
    r"^com\.|recorder|^comment$"
)
_PLAYERS_NEED = frozenset({"title", "filename", "mimetype"})
"""Of streams and attachments: names that people choose by, and players find fonts by."""
_WRITTEN_BY_MP4 = frozenset({
    "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping",
    "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "episode_sort", "season_number",
    "media_type", "hd_video", "gapless_playback", "compilation", "track", "disc", "creation_time", "location",
    "timecode", "author", "make", "model", "performer", "xmp",
})  # fmt: skip
"""Tags of a file that FFmpeg's MP4 and MOV muxers have a place for."""


def carried(tags: Mapping[str, str], strip: Strip = "nothing", *, of_stream: bool = False) -> dict[str, str]:
    """The tags of a container or stream that its output keeps."""
    return {
        name: value
        for name, value in tags.items()
        if not _is_own(name.lower()) and not _is_private(name.lower(), strip, of_stream)
    }


def without_private(tags: Mapping[str, str], strip: Strip) -> dict[str, str]:
    """The tags of a source that its records may show."""
    return {name: value for name, value in tags.items() if not _is_private(name.lower(), strip, of_stream=False)}


def has_quicktime_keys(tags: Iterable[str]) -> bool:
    """Whether MP4 and MOV keep the tags as QuickTime keys, which hold any name, and not as those that iTunes writes."""
    return any(name.startswith(_QUICKTIME_KEY) for name in tags)


def not_written(tags: Mapping[str, str], muxer: str) -> list[str]:
    """Names of tags that go into an output and are lost there, since its container has no place for them."""
    if muxer not in QUICKTIME or has_quicktime_keys(tags):
        return []
    return sorted(name for name in tags if name.lower().partition("-")[0] not in _WRITTEN_BY_MP4)


def time_code(source: InputContainer, picture_index: int) -> str:
    """The time code of the first frame: of the picture stream, else of the whole file. Empty if there is none."""
    return source.streams[picture_index].metadata.get("timecode") or source.metadata.get("timecode", "")


def _is_own(lower: str) -> bool:
    return lower in _OWN or lower.startswith(_STATISTICS)


def _is_private(lower: str, strip: Strip, of_stream: bool) -> bool:
    if strip == "nothing":
        return False
    if strip == "all":
        return not (of_stream and lower in _PLAYERS_NEED)
    return bool(_LOCATION.search(lower) or (strip == "device" and _DEVICE.search(lower)))
