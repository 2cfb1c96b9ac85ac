"""What FFmpeg knows of a container's streams and PyAV does not hand out: read from FFmpeg's own description."""

import re
import threading

import av.logging
from av.container import Container
from av.stream import DataStream, Stream

_LOCK = threading.Lock()
_STREAM = re.compile(r"^  Stream #0:(\d+)\S*: \w+: .*?\((\w{1,4}) / 0x[0-9A-F]{8}\)", re.MULTILINE)


def description(container: Container) -> str:
    """FFmpeg's description of a container, as its programs print it."""
    with _LOCK:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            return str(container.dumps_format())  # type: ignore[attr-defined]
        finally:
            av.logging.set_level(level)


def code_tags(container: Container) -> dict[int, str]:
    """Four-character codes by stream index, of the streams that have one in readable letters."""
    return {int(index): code for index, code in _STREAM.findall(description(container))}


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of the decoder, or of what a data stream holds; `unknown` if it knows neither."""
    if stream.codec_context is not None:
        return stream.codec_context.name
    if isinstance(stream, DataStream) or stream.type == "attachment":
        return str(stream.name or "unknown")
    return "unknown"
