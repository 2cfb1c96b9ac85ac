"""Text subtitles, one packet after another, without a job around them: what is shown when, and how it is written."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.subtitles.stream import SubtitleStream

from sr_tasks.streams.texts import Shown, TextConverter, Texts
from tests import readers

MS = Fraction(1, 1000)


def written(path: Path, *cues: tuple[int, int, str], codec: str = "ass") -> Path:
    """Subtitles in Matroska: when each begins and ends, in ms, and its text."""
    lines = [f"{number}\n{stamp(start)} --> {stamp(end)}\n{text}\n" for number, (start, end, text) in enumerate(cues)]
    path.with_suffix(".srt").write_text("\n".join(lines))
    return readers.ffmpeg(path, "-i", path.with_suffix(".srt"), "-c:s", codec)


def stamp(ms: int) -> str:
    return f"00:00:{ms // 1000:02},{ms % 1000:03}"


def packets(
    path: Path, durations: dict[int, int] | None = None
) -> Iterator[tuple[SubtitleStream, "av.Packet[SubtitleStream]"]]:
    """The stream and each of its packets; `durations` are others for some, in ms, by their numbers."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for number, packet in enumerate(container.demux(stream)):
            packet.duration = (durations or {}).get(number, packet.duration or 0)
            yield stream, packet


def shown(path: Path, durations: dict[int, int] | None = None) -> list[tuple[int, int, str]]:
    """Begin and end in ms, and the letters."""
    found: list[Shown] = []
    texts: Texts | None = None
    for stream, packet in packets(path, durations):
        texts = texts or Texts(stream)
        found += texts.feed(packet)
    assert texts is not None
    return [(round(one.start / MS), round(one.end / MS), one.text.decode()) for one in [*found, *texts.flush()]]


def test_what_follows_each_other_is_shown_as_it_is(tmp_path: Path) -> None:
    cues = ((200, 900, "one"), (900, 1500, "two"), (2000, 2500, "three"))
    assert shown(written(tmp_path / "a.mkv", *cues)) == list(cues)


def test_each_change_of_what_is_on_the_screen_is_one_text_with_all(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", (0, 1000, "a"), (200, 600, "b"), (400, 1200, "c"))
    assert shown(path) == [
        (0, 200, "a"),
        (200, 400, r"a\Nb"),
        (400, 600, r"a\Nb\Nc"),
        (600, 1000, r"a\Nc"),
        (1000, 1200, "c"),
    ]


@pytest.mark.parametrize(("duration", "expected"), [(0, [(500, 5500, "a")]), (1, [(500, 501, "a")])])
def test_a_text_without_an_end_is_shown_for_five_seconds(
    duration: int, expected: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    assert shown(written(tmp_path / "a.mkv", (500, 900, "a")), {0: duration}) == expected


def test_an_empty_text_is_left_out_and_does_not_lengthen_others(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", (100, 300, "a"), (300, 700, r"{\i1} "), (900, 1000, "b"))
    assert shown(path) == [(100, 300, "a"), (900, 1000, "b")]


@pytest.mark.parametrize(
    ("encoder", "muxer"), [("mov_text", "mp4"), ("subrip", "matroska"), ("webvtt", "webm"), ("ass", "matroska")]
)
def test_another_reader_finds_times_letters_and_lines_in_every_format(encoder: str, muxer: str, tmp_path: Path) -> None:
    source = written(tmp_path / "a.mkv", (200, 900, "<i>Grüße</i> & mehr"), (1000, 1500, "zwei\nZeilen"))
    path = tmp_path / f"out.{muxer}"
    converter: TextConverter | None = None
    with av.open(str(path), "w", format=muxer) as output:
        for stream, packet in packets(source):
            converter = converter or TextConverter(stream, output, encoder)
            output.mux(list(converter.feed(packet)))
        assert converter is not None
        output.mux(list(converter.flush()))
    assert readers.srt(path) == (
        "1\n00:00:00,200 --> 00:00:00,900\n<i>Grüße</i> & mehr\n\n2\n00:00:01,000 --> 00:00:01,500\nzwei\nZeilen"
    )
