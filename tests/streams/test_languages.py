"""Languages: what is said to be held is held by the muxer itself, and means the same."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sr_tasks.streams.languages import held, is_same

CODES = "eng deu ger fra fre nld dut zho chi ell gre swe spa por jpn rus ces cze hrv srp nob gle glg mri en en-GB und"


def written(path: Path, codes: list[str]) -> list[str]:
    """The languages that FFmpeg reads back from a file that was given these."""
    with av.open(str(path), "w") as out:
        streams: list[Any] = [
            out.add_stream("pcm_s16le" if path.suffix != ".mp4" else "flac", rate=48_000) for _ in codes
        ]
        for stream, code in zip(streams, codes, strict=True):
            stream.metadata["language"] = code
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8), np.int16), format="s16", layout="mono")
            frame.rate = 48_000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    with av.open(str(path)) as file:
        return [stream.metadata.get("language", "") for stream in file.streams]


@pytest.mark.parametrize(("suffix", "muxer"), [(".mov", "mov"), (".mp4", "mp4"), (".mkv", "matroska")])
def test_what_is_held_comes_back_and_means_the_same(tmp_path: Path, suffix: str, muxer: str) -> None:
    codes = CODES.split()
    found = written(tmp_path / f"file{suffix}", [held(code, muxer) for code in codes])
    for code, back in zip(codes, found, strict=True):
        assert is_same(code, back) == bool(held(code, muxer) or code == "und"), (code, back)


def test_german_swedish_and_croatian_have_a_place_in_quicktime_and_galician_has_none() -> None:
    assert [held(code, "mov") for code in ("deu", "swe", "hrv", "glg")] == ["ger", "sve", "hr ", ""]


def test_languages_that_differ_are_not_the_same() -> None:
    assert is_same("deu", "ger")
    assert is_same("", "und")
    assert not is_same("deu", "dut")
    assert not is_same("deu", "")
