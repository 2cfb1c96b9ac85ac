"""The gate's sentences and decisions, on assessments written by hand."""

from typing import Any

import pytest
from pydantic import ValidationError

from sr_tasks.quality.gate import judge
from sr_tasks.records.assessment import (
    Assessment,
    Decision,
    DecodeFacts,
    Extreme,
    Finding,
    IntegrityReport,
    Occurrence,
    Occurrences,
    Series,
    Timing,
)
from sr_tasks.records.cards import GateLimits
from tests.quality.twins import LIMITS

WHOLE = IntegrityReport(ok=True, findings=(Finding(check="Frames", ok=True, detail="24 in both"),))


def worst(value: float, **places: Any) -> Extreme:
    return Extreme(value=value, frame=12, time_s=0.48, **places)


def assessment(**changes: Any) -> Assessment:
    none = Occurrences(count=0, first=())
    good: dict[str, Any] = {
        "scale": 2,
        "frames": 24,
        "psnr_mean": 48.0,
        "psnr_worst": worst(45.0),
        "ssim_mean": 0.99,
        "ssim_worst": worst(0.98),
        "block_psnr_worst": worst(38.0, x=32, y=64),
        "block_shift_worst": worst(-0.8, x=32, y=64, plane="U"),
        "plane_shift_worst": worst(0.1, plane="Y"),
        "color_error_worst": worst(0.1),
        "pixel_shift_worst": worst(0.01),
        "seam_worst": worst(0.3, x=96),
        "misplaced": none,
        "frozen": none,
        "black": none,
        "decode": DecodeFacts(
            source_frames=24,
            output_frames=24,
            damaged_frames=0,
            output_corrupt_frames=0,
            output_errors=0,
            output_error_texts=(),
        ),
        "timing": Timing(offset_s="0", deviation_s="0", deviation_frame=-1),
        "series": Series(frames_per_point=1, time_s=(), psnr=(), ssim=(), block_psnr=(), pixel_shift=()),
    }
    return Assessment(**(good | changes))


def test_an_output_within_all_limits_passes_without_reasons() -> None:
    verdict = judge(assessment(), WHOLE, LIMITS)
    assert verdict.decision is Decision.PASSED
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"psnr_mean": 25.94}, "The mean PSNR against the source is 25.9 dB; at least 26 dB is wanted."),
        (
            {"psnr_worst": worst(20.0)},
            "The PSNR of the worst frame is 20.0 dB at frame 12 (0.48 s); at least 24 dB is wanted.",
        ),
        (
            {"block_psnr_worst": worst(8.0, x=32, y=64)},
            "The PSNR of the worst block is 8.0 dB at frame 12 (0.48 s), source px 32,64; at least 20 dB is wanted.",
        ),
        (
            {"ssim_worst": worst(0.4)},
            "The SSIM of the worst frame is 0.400 at frame 12 (0.48 s); at least 0.5 is wanted.",
        ),
        (
            {"pixel_shift_worst": worst(0.5)},
            "The picture is displaced by 0.500 source px at frame 12 (0.48 s); at most 0.08 is allowed.",
        ),
        (
            {"plane_shift_worst": worst(-1.6, plane="V")},
            "Brightness or colour is shifted by 1.60 codes in V at frame 12 (0.48 s); at most 0.8 is allowed.",
        ),
        (
            {"seam_worst": worst(5.0, x=96)},
            "A line across the picture (a seam) stands out by 5.00 codes at frame 12 (0.48 s), source column 96; "
            "at most 1.5 is allowed.",
        ),
        (
            {"seam_worst": worst(5.0, y=96)},
            "A line across the picture (a seam) stands out by 5.00 codes at frame 12 (0.48 s), source row 96; "
            "at most 1.5 is allowed.",
        ),
    ],
)
def test_each_broken_limit_gives_its_sentence(changes: dict[str, Any], sentence: str) -> None:
    verdict = judge(assessment(**changes), WHOLE, LIMITS)
    assert verdict.decision is Decision.FAILED
    assert verdict.reasons == (sentence,)


def test_a_figure_at_its_limit_is_not_refused_but_doubtful() -> None:
    at_limit = assessment(pixel_shift_worst=worst(LIMITS.pixel_shift_max), psnr_mean=LIMITS.global_psnr_min)
    assert judge(at_limit, WHOLE, LIMITS).decision is Decision.NEEDS_REVIEW


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"psnr_mean": 26.5}, "The mean PSNR against the source is 26.5 dB; below 27 dB a person decides."),
        (
            {"ssim_worst": worst(0.51)},
            "The SSIM of the worst frame is 0.510 at frame 12 (0.48 s); below 0.52 a person decides.",
        ),
        (
            {"pixel_shift_worst": worst(-0.075)},
            "The picture is displaced by 0.075 source px at frame 12 (0.48 s); above 0.072 a person decides.",
        ),
    ],
)
def test_a_figure_near_its_limit_is_for_a_person_to_decide(changes: dict[str, Any], sentence: str) -> None:
    verdict = judge(assessment(**changes), WHOLE, LIMITS)
    assert verdict.decision is Decision.NEEDS_REVIEW
    assert verdict.reasons == (sentence,)


def test_a_card_may_say_from_where_on_a_person_decides() -> None:
    limits = GateLimits.model_validate(LIMITS.model_dump() | {"review": {"global_psnr_min": 40, "seam_max": 1.5}})
    assert judge(assessment(psnr_mean=39.0), WHOLE, limits).decision is Decision.NEEDS_REVIEW
    assert judge(assessment(seam_worst=worst(1.49)), WHOLE, limits).decision is Decision.PASSED


@pytest.mark.parametrize("beyond", [{"global_psnr_min": 25.9}, {"seam_max": 1.6}])
def test_a_card_cannot_ask_a_person_about_what_is_refused(beyond: dict[str, float]) -> None:
    (name,) = beyond
    with pytest.raises(ValidationError, match=f"review.{name}"):
        GateLimits.model_validate(LIMITS.model_dump() | {"review": beyond})


def test_what_is_broken_is_refused_even_if_something_else_is_doubtful() -> None:
    assert judge(assessment(psnr_mean=26.5, seam_worst=worst(9.0)), WHOLE, LIMITS).decision is Decision.FAILED


def test_misplaced_frames_are_listed_up_to_five() -> None:
    first = tuple(Occurrence(frame=n, time_s=n / 25) for n in range(7))
    verdict = judge(assessment(misplaced=Occurrences(count=9, first=first)), WHOLE, LIMITS)
    assert verdict.reasons == (
        "9 frames show the picture of a neighbouring frame: "
        "0 (0.00 s), 1 (0.04 s), 2 (0.08 s), 3 (0.12 s), 4 (0.16 s) and 4 more.",
    )


def test_broken_integrity_fails_whatever_the_quality() -> None:
    broken = IntegrityReport(ok=False, findings=(Finding(check="Frames", ok=False, detail="23, not 24"),))
    verdict = judge(assessment(), broken, LIMITS)
    assert verdict.decision is Decision.FAILED
    assert verdict.reasons == ("Frames: 23, not 24.",)


def test_the_hint_tells_a_lossy_encode_from_a_fault() -> None:
    lossy = judge(assessment(psnr_mean=20.0), WHOLE, LIMITS)
    faulty = judge(assessment(pixel_shift_worst=worst(1.0)), WHOLE, LIMITS)
    assert "CRF" in lossy.hint
    assert "CRF" not in faulty.hint


def test_records_survive_json() -> None:
    whole = assessment()
    assert Assessment.model_validate_json(whole.model_dump_json()) == whole
