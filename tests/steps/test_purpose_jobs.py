"""One job for each purpose, read by Debian's ffprobe, and the table that people read."""

import re
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.config import REPOSITORY
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.purposes import PURPOSES
from tests import readers
from tests.steps.conftest import Enhance

MADE = {
    "archive": (".mkv", {"codec_name": "ffv1", "pix_fmt": "yuv420p", "width": 192}),
    "web": (".mp4", {"codec_name": "av1", "pix_fmt": "yuv420p", "width": 192}),
    "edit": (".mov", {"codec_name": "prores", "profile": "HQ", "width": 192}),
    "phone": (".mp4", {"codec_name": "h264", "pix_fmt": "yuv420p", "width": 1920, "height": 1080}),
}


@pytest.mark.parametrize("purpose", MADE)
def test_a_purpose_makes_the_file_that_it_is_for(purpose: str, tmp_path: Path, enhance: Enhance) -> None:
    size = "480x270" if purpose == "phone" else "96x64"
    source = readers.ffmpeg(tmp_path / "in.webm", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.12", "-c:v",
                            "libvpx-vp9", "-pix_fmt", "yuv420p")  # fmt: skip
    result = enhance(source, "", purpose=purpose)
    suffix, wanted = MADE[purpose]
    output = tmp_path / f"in_{'1080p' if purpose == 'phone' else 'x2'}{suffix}"
    assert result["output"] == str(output)
    (picture,) = readers.streams(output)
    assert {name: picture[name] for name in wanted} == wanted


def spec(**given: Any) -> JobSpec:
    return JobSpec(source="in.mp4", **given)


def test_what_a_request_says_goes_before_its_purpose() -> None:
    assert (spec(purpose="phone", crf=30).crf, spec(purpose="phone").crf) == (30, 21)
    assert spec(purpose="phone", scale=4).size is None
    assert spec(purpose="web", bitrate="2M").crf is None
    other = spec(purpose="web", codec="hevc")
    assert (other.codec, other.crf, other.bit_depth) == ("hevc", None, None)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_request_that_is_read_again_stays_as_it_is(purpose: str) -> None:
    """Forms and REST send every field, those at their defaults too."""
    first = spec(purpose=purpose)
    assert JobSpec.model_validate_json(first.model_dump_json()) == first
    assert JobSpec.model_validate({**spec().model_dump(), "purpose": purpose}) == first


def test_the_document_has_the_table() -> None:
    page = (REPOSITORY / "docs" / "sizes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(row.name, row.title, str(row)) for row in PURPOSES.values()]
