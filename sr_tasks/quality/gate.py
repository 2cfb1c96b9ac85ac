"""The gate: holds an assessment against a model's limits and says whether the output may be delivered. Pure."""

from collections.abc import Iterator
from typing import Final

from sr_tasks.records.assessment import Assessment, Decision, Extreme, IntegrityReport, Occurrences, Verdict
from sr_tasks.records.cards import GateLimits

_HINT_LOSSY = "If the encode was meant to be small, ask for a lower CRF; otherwise try another model."
_HINT_WRONG = "Run the job again; if it fails in the same way, report it with the manifest."
_HINT_DOUBTFUL = "Nothing is broken, but it is near a limit: look at the pictures of the report."

_WANTED: Final = "at least {limit:g}{unit} is wanted"
_ALLOWED: Final = "at most {limit:g}{unit} is allowed"
_DOUBTFUL_BELOW: Final = "below {limit:g}{unit} a person decides"
_DOUBTFUL_ABOVE: Final = "above {limit:g}{unit} a person decides"


def judge(assessment: Assessment, integrity: IntegrityReport, limits: GateLimits) -> Verdict:
    """Failed if anything is broken or past a limit, needs_review if a figure is past the second threshold, else passed.

    There is one sentence for each thing that speaks against the output.
    """
    broken = [f"{finding.check}: {finding.detail}." for finding in integrity.findings if not finding.ok]
    wrong = faults(assessment, limits)
    low = list(_low(assessment, limits, _WANTED))
    if reasons := (*broken, *wrong, *low):
        return Verdict(decision=Decision.FAILED, reasons=reasons, hint=_HINT_WRONG if broken or wrong else _HINT_LOSSY)
    second = limits.for_review()
    doubtful = (*_shifts(assessment, second, _DOUBTFUL_ABOVE), *_low(assessment, second, _DOUBTFUL_BELOW))
    if doubtful:
        return Verdict(decision=Decision.NEEDS_REVIEW, reasons=doubtful, hint=_HINT_DOUBTFUL)
    return Verdict(decision=Decision.PASSED, reasons=())


def faults(assessment: Assessment, limits: GateLimits) -> tuple[str, ...]:
    """What speaks against an output and no network is to blame for, a sentence each."""
    return (*_places(assessment, limits), *_shifts(assessment, limits, _ALLOWED))


def _low(assessment: Assessment, limits: GateLimits, rule: str) -> Iterator[str]:
    """Figures that must not be too low."""
    mean = assessment.psnr_mean if assessment.kept_psnr_mean is None else assessment.kept_psnr_mean
    if mean < limits.global_psnr_min:
        said = rule.format(limit=limits.global_psnr_min, unit=" dB")
        yield f"The mean PSNR against the source is {mean:.1f} dB; {said}."
    for name, found, limit, unit, digits in (
        (
            "The PSNR of the worst frame",
            assessment.kept_psnr_worst or assessment.psnr_worst,
            limits.frame_psnr_min,
            " dB",
            1,
        ),
        ("The PSNR of the worst block", assessment.block_psnr_worst, limits.block_psnr_min, " dB", 1),
        ("The SSIM of the worst frame", assessment.ssim_worst, limits.ssim_min, "", 3),
    ):
        if found.value < limit:
            said = rule.format(limit=limit, unit=unit)
            yield f"{name} is {found.value:.{digits}f}{unit} {_where(found, assessment)}; {said}."


def _shifts(assessment: Assessment, limits: GateLimits, rule: str) -> Iterator[str]:
    """Figures that must not be too large, each typical of one fault."""
    for name, found, limit, unit in (
        ("The picture is displaced by", assessment.pixel_shift_worst, limits.pixel_shift_max, "source px"),
        ("Brightness or colour is shifted by", assessment.plane_shift_worst, limits.plane_shift_max, "codes"),
        ("A block's brightness or colour is off by", assessment.block_shift_worst, limits.block_shift_max, "codes"),
        ("Colours or contrast are mixed wrongly (matrix or range) by", assessment.color_error_worst,
         limits.color_error_max, "codes"),
        ("A line across the picture (a seam) stands out by", assessment.seam_worst, limits.seam_max, "codes"),
    ):  # fmt: skip
        if abs(found.value) > limit:
            plane = f" in {found.plane}" if found.plane else ""
            size = f"{abs(found.value):.{3 if unit == 'source px' else 2}f} {unit}{plane}"
            yield f"{name} {size} {_where(found, assessment)}; {rule.format(limit=limit, unit='')}."


def _places(assessment: Assessment, limits: GateLimits) -> Iterator[str]:
    """Frames that are not what they should be."""
    for name, found in (
        ("show the picture of a neighbouring frame", assessment.misplaced),
        ("are frozen although the source moves", assessment.frozen),
        ("are black although the source is not", assessment.black),
    ):
        if found.count > limits.wrong_frames_max:
            yield f"{found.count} frames {name}: {_list(found)}."


def _where(found: Extreme, assessment: Assessment) -> str:
    place = "in the picture" if assessment.is_still else f"at frame {found.frame} ({found.time_s:.2f} s)"
    if found.x >= 0 and found.y >= 0:
        return f"{place}, source px {found.x},{found.y}"
    if found.x >= 0:
        return f"{place}, source column {found.x}"
    return f"{place}, source row {found.y}" if found.y >= 0 else place


def _list(found: Occurrences) -> str:
    shown = ", ".join(f"{o.frame} ({o.time_s:.2f} s)" for o in found.first[:5])
    return f"{shown} and {found.count - 5} more" if found.count > 5 else shown
