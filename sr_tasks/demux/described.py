"""What FFmpeg knows of a container's streams and PyAV does not hand out: read from FFmpeg's own description."""

import re
import threading

import av.logging
from av.container import Container
from av.stream import DataStream, Stream

_LOCK = threading.Lock()
_STREAM = re.compile(r"^  Stream #0:(\d+)\S*: \w+: .*?\((\w{1,4}) / 0x[0-9A-F]{8}\)", re.MULTILINE)
_CODEC = re.compile(r"^  Stream #0:\S+: (?:Subtitle|Audio|Video): (\w+)")
_OWN_LAYOUT = re.compile(r"^  Stream #0:(\d+)\S*: Audio: .*\d+ channels \(", re.MULTILINE)


def description(container: Container) -> str:
    """FFmpeg's description of a container, as its programs print it."""
    with _LOCK:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        av.logging.set_libav_level(av.logging.VERBOSE)  # below it FFmpeg leaves out where chroma lies
        try:
            return str(container.dumps_format())  # type: ignore[attr-defined]
        finally:
            av.logging.set_libav_level(av.logging.INFO)
            av.logging.set_level(level)


def stream_description(container: Container, index: int) -> str:
    """The lines of one stream; empty if there is none. What its tags say is not among them, as anybody may write it."""
    lines: list[str] = []
    is_inside = is_tags = False
    for line in description(container).splitlines():
        if match := re.match(r"\s+Stream #\d+:(\d+)", line):
            is_inside, is_tags = int(match[1]) == index, False
        elif re.match(r"    (Metadata|Side data):$", line):
            is_tags = line.strip() == "Metadata:"
        if is_inside and not is_tags:
            lines.append(line)
    return "\n".join(lines)


def cropping(container: Container, index: int) -> tuple[int, int, int, int]:
    """Px that the container (`clap` of MP4, PixelCrop of Matroska) asks to be cut off at the left, top, right and
    bottom of a stream's pictures."""
    match = re.search(r"^\s+Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", stream_description(container, index), re.M)
    if match is None:
        return (0, 0, 0, 0)
    left, right, top, bottom = (int(px) for px in match.groups())
    return left, top, right, bottom


def code_tags(container: Container) -> dict[int, str]:
    """Four-character codes by stream index, of the streams that have one in readable letters."""
    return {int(index): code for index, code in _STREAM.findall(description(container))}


def own_layouts(container: Container) -> set[int]:
    """Indexes of sound whose channels are in an order of their own. PyAV breaks down on asking which."""
    return {int(index) for index in _OWN_LAYOUT.findall(description(container))}


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of the decoder, or of what a stream holds that it has none for; `unknown` if it knows neither."""
    if stream.codec_context is not None:
        return stream.codec_context.name
    if isinstance(stream, DataStream) or stream.type == "attachment":
        return str(stream.name or "unknown")
    match = _CODEC.search(stream_description(stream.container, stream.index))
    return "unknown" if match is None or match[1] in ("none", "unknown") else match[1]


def programs(container: Container) -> dict[int, frozenset[int]]:
    """Indexes of the streams of each programme by its number, in the order of the file. PyAV does not expose
    them; FFmpeg's own description of the file does."""
    found: dict[int, set[int]] = {}
    current: set[int] = set()
    for line in description(container).splitlines():
        if match := re.match(r"\s+Program (\d+)", line):
            current = found.setdefault(int(match[1]), set())
        elif line.strip().startswith("No Program"):
            current = set()
        elif match := re.match(r"\s+Stream #\d+:(\d+)", line):
            current.add(int(match[1]))
    return {number: frozenset(streams) for number, streams in found.items()}


def streams_outside(container: Container, picture: int) -> frozenset[int]:
    """Indexes of streams that belong to other programmes than the picture does."""
    found = programs(container).values()
    inside = frozenset[int]().union(*(streams for streams in found if picture in streams))
    return frozenset[int]().union(*found) - inside if inside else frozenset()
