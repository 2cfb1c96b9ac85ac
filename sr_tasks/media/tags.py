"""Tags of containers and streams: which go into an output, by which names, and which are left out on request."""

from collections.abc import Mapping

from av.container import InputContainer

_OWN = frozenset({
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "bps", "number_of_frames",
    "number_of_bytes", "language",
})  # fmt: skip
"""Tags that describe the old file itself; the muxer writes its own. Languages are written by `languages.held`."""
_STATISTICS = ("_statistics", "bps-", "duration-", "number_of_frames-", "number_of_bytes-")
_QUICKTIME_KEY = "com."
"""Reverse domain names: QuickTime keys, as phones and cameras write them."""


def carried(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a container or stream that its output keeps."""
    return {name: value for name, value in tags.items() if not _is_own(name)}


def has_quicktime_keys(tags: Mapping[str, str]) -> bool:
    return any(name.startswith(_QUICKTIME_KEY) for name in tags)


def time_code(source: InputContainer, picture_index: int) -> str:
    """The time code of the first frame: of the picture stream, else of the whole file. Empty if there is none."""
    return source.streams[picture_index].metadata.get("timecode") or source.metadata.get("timecode", "")


def _is_own(name: str) -> bool:
    lower = name.lower()
    return lower in _OWN or lower.startswith(_STATISTICS)
