"""An excerpt ends a source early, whatever its times and however rare the packets of a stream are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.container import InputContainer

from sr_tasks.demux.excerpt import excerpt, limited
from sr_tasks.demux.source import open_source
from tests.readers import ffmpeg

SIZE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=60")
TEXT = "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:58,000 --> 00:00:59,000\ntwo\n"
EVERYTHING = 1 << 40


class Counted:
    """A container that counts the bytes it gives."""

    def __init__(self, container: InputContainer) -> None:
        self.container, self.read = container, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def demux(self, *wanted: Any) -> Iterator[Any]:
        for packet in self.container.demux(*wanted):
            self.read += packet.size
            yield packet


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A minute with two subtitles, one at its beginning and one at its end."""
    texts = tmp_path / "texts.srt"
    texts.write_text(TEXT)
    return ffmpeg(tmp_path / "film.mkv", *SIZE, "-i", texts, "-c:v", "libx264", "-preset", "ultrafast", "-g", 25)


def read(path: Path, until_s: float, most_bytes: int, kind: str) -> tuple[list[float], int]:
    """Times of the packets of a kind, and how many bytes were read for them."""
    with excerpt(path, until_s, most_bytes), av.open(str(path)) as container:
        counted = Counted(container)
        part = limited(path, cast(InputContainer, counted))
        streams = [stream for stream in container.streams if stream.type == kind]
        return [float(packet.pts * packet.time_base) for packet in part.demux(streams) if packet.size], counted.read


def test_a_stream_with_few_packets_is_not_looked_for_to_the_end(film: Path) -> None:
    times, size = read(film, 5.0, EVERYTHING, "subtitle")
    assert times == [1.0]
    assert size < film.stat().st_size / 3


def test_a_source_whose_times_jump_back_ends_all_the_same(tmp_path: Path) -> None:
    """Ten recordings of six seconds one behind the other, all of which begin at 0."""
    part = ffmpeg(tmp_path / "part.ts", *SIZE[:3], "testsrc2=s=64x48:r=25:d=6", "-c:v", "libx264", "-bf", 0)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 10)
    _, whole = read(joined, 8.0, EVERYTHING, "video")
    times, size = read(joined, 8.0, whole // 10, "video")
    assert 128 <= len(times) < 300
    assert size < whole / 3


def test_the_first_pictures_are_there_whatever_the_bounds(film: Path) -> None:
    times, _ = read(film, -100.0, 1, "video")
    assert len(times) == 128


def test_a_source_is_whole_once_the_excerpt_is_over(film: Path) -> None:
    with excerpt(film, 5.0, EVERYTHING):
        pass
    with open_source(film) as container:
        assert sum(packet.size > 0 for packet in container.demux(subtitles=0)) == 2
