"""What outputs are for: a word that stands for the fields of a request, one row each. A further purpose is a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

PurposeName = Literal["none", "archive", "web", "edit", "phone"]


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a job's output is for."""

    name: PurposeName
    title: str
    suffix: str
    """Of an output that the request does not name."""
    codec: str
    encoding: Mapping[str, Any]
    """Fields of JobSpec that suit this codec alone."""
    size: str | None = None

    def filled(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """`given`, with this purpose's fields in place of those that are missing or at their default. Another codec
        keeps its own settings, another scale its own size; a bitrate or a size of the file stands for the quality."""
        request = dict(given)
        is_open = {name for name, default in defaults.items() if request.get(name, default) == default}
        if "size" in is_open and "scale" in is_open and self.size:
            request["size"] = self.size
        if "codec" in is_open or request["codec"] == self.codec:
            request["codec"] = self.codec
            is_rated = not {"bitrate", "target_size"} <= is_open
            skipped = {"crf"} if is_rated else set[str]()
            request |= {name: value for name, value in self.encoding.items() if name in is_open - skipped}
        return request

    def __str__(self) -> str:
        said = [self.codec, *(f"{name} {value}" for name, value in self.encoding.items())]
        said += [f"size {self.size}"] if self.size else []
        return f"{', '.join(said)}, {self.suffix}"


_ROWS = (
    Purpose(name="archive", title="to keep: no further loss", suffix=".mkv", codec="ffv1", encoding={}),
    Purpose(
        name="web", title="small, for browsers", suffix=".mp4", codec="av1",
        encoding={"crf": 28, "preset": "fast", "bit_depth": 8, "chroma": "420"},
    ),
    Purpose(name="edit", title="for editing programs", suffix=".mov", codec="prores", encoding={"chroma": "422"}),
    Purpose(
        name="phone", title="plays on every phone", suffix=".mp4", codec="h264",
        encoding={"crf": 21, "bit_depth": 8, "chroma": "420"}, size="1080p",
    ),
)  # fmt: skip

PURPOSES: Final = MappingProxyType({str(row.name): row for row in _ROWS})
"""By the name that a job asks for."""
