"""The gate on pictures of all sizes: a part of `make calibrate`. Nothing genuine is refused, faults are caught."""

import hashlib
from pathlib import Path

import pytest

from sr_tasks.config import Settings
from sr_tasks.records.assessment import Decision
from tests.quality.calibrate.cases import Case, all_cases, write_source
from tests.quality.calibrate.course import made, measured
from tests.quality.calibrate.faults import FAULTS
from tests.quality.calibrate.spoilt import SCALE, write_spoilt

SMALLEST_PX = 16
"""Smaller ones no job takes."""
FROM_8_PX = {"black frame", "black tile", "green tile", "limited for full", "full for limited", "grey"}
FROM_16_PX = {"seam down", "seam across", "luma + 2", "chroma + 2", "one output px right", "one output px down",
              "two output px right", "one frame late", "601 for 709"}  # fmt: skip
FROM_24_PX = {"swapped frames", "repeated frame", "two frames dropped", "frozen stretch", "709 for 601"}


def genuine() -> list[Case]:
    wanted = [case for case in all_cases() if min(case.width, case.height) >= SMALLEST_PX]
    return wanted[::9]


@pytest.mark.parametrize("case", genuine(), ids=lambda case: case.name)
def test_genuine_outputs_of_all_kinds_pass(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    work = tmp_path_factory.getbasetemp() / "calibrate"
    settings = Settings(workdir=work / "work", threads=1, precision="fp32")
    folder = work / hashlib.sha256(case.name.encode()).hexdigest()[:16]
    source, output = made(case, folder, settings)
    verdict = measured(source, output, case.model, case.scale, settings).verdict
    assert verdict.decision is Decision.PASSED, verdict.reasons


@pytest.mark.parametrize(("side", "faults"), [(8, FROM_8_PX), (16, FROM_16_PX), (24, FROM_24_PX)])
def test_faults_are_caught_from_their_size_on(tmp_path: Path, side: int, faults: set[str]) -> None:
    case = Case(content="astronaut", width=side, height=side, frames=24, pix_fmt="yuv420p", source="crf 17",
                model="bicubic", codec="h264")  # fmt: skip
    source = write_source(tmp_path / "source.mkv", case)
    whole = write_spoilt(tmp_path / "whole.mkv", source, lambda frames: frames)
    assert measured(source, whole, "bicubic", SCALE, Settings()).verdict.decision is Decision.PASSED
    for name in sorted(faults):
        twin = write_spoilt(tmp_path / f"{name}.mkv", source, FAULTS[name])
        assert measured(source, twin, "bicubic", SCALE, Settings()).verdict.decision is Decision.FAILED, name


def test_a_narrow_picture_does_not_break_the_encoder(tmp_path: Path) -> None:
    """x265 ended the process on pictures narrower than about 50 px."""
    case = Case(content="sample", width=17, height=33, frames=24, pix_fmt="yuv420p", source="ffv1", model="compact-x2",
                codec="hevc")  # fmt: skip
    settings = Settings(workdir=tmp_path / "work", threads=1, precision="fp32")
    source, output = made(case, tmp_path / "clip", settings)
    assert measured(source, output, case.model, case.scale, settings).verdict.decision is Decision.PASSED
