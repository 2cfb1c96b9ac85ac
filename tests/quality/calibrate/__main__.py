"""Runs all clips and all faults and writes the tables to `out/calibration.md`. With `--keep` the clips stay there."""

import argparse
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.records.assessment import Decision
from sr_tasks.telemetry import logs
from tests.quality.calibrate.cases import Case, all_cases, write_source
from tests.quality.calibrate.course import FIGURES, Measured, figures, made, measured
from tests.quality.calibrate.faults import FAULTS
from tests.quality.calibrate.spoilt import SCALE, write_spoilt

FAULT_SIZES = ((8, 8), (12, 10), (16, 16), (24, 24), (32, 32), (48, 36), (64, 48), (96, 54), (160, 120), (320, 192))
FAULT_CONTENTS = ("astronaut", "cat near", "text", "noise 10", "bars", "sample")
CLASSES = ((16, "below 16 px"), (32, "16 to 31 px"), (64, "32 to 63 px"), (1 << 20, "64 px and more"))
"""By the shorter side."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make calibrate")
    parser.add_argument("--keep", type=Path, help="where clips are kept, so that a second run only measures")
    parser.add_argument("--every", type=int, default=1, help="only every so many clips")
    args = parser.parse_args()
    os.nice(10)
    with tempfile.TemporaryDirectory(prefix="sr-calibrate-") as scratch, ProcessPoolExecutor(2) as pool:
        folder = args.keep or Path(scratch)
        cases = all_cases()[:: args.every]
        found = list(pool.map(partial(_measure, folder=folder), cases))
        faults = dict(pool.map(partial(_spoil, folder=folder), [(s, c) for s in FAULT_SIZES for c in FAULT_CONTENTS]))
    text = "\n".join([*_clips(cases, found), "", *_faults(faults)])
    out = Path("out/calibration.md")
    out.parent.mkdir(exist_ok=True)
    out.write_text(text + "\n", encoding="utf-8")
    print(text)


def _measure(case: Case, folder: Path) -> Measured | str:
    logs.configure(Settings(log_level="CRITICAL"))
    settings = Settings(workdir=folder / f"work-{os.getpid()}", threads=1, precision="fp32")
    try:
        source, output = made(case, folder / hashlib.sha256(case.name.encode()).hexdigest()[:16], settings)
    except SrError as exc:
        return f"{exc.code}: {exc}"
    return measured(source, output, case.model, case.scale, settings)


def _spoil(key: tuple[tuple[int, int], str], folder: Path) -> tuple[tuple[tuple[int, int], str], set[str]]:
    (width, height), content = key
    place = folder / f"faults-{content}-{width}x{height}"
    place.mkdir(parents=True, exist_ok=True)
    case = Case(content=content, width=width, height=height, frames=24, pix_fmt="yuv420p", source="crf 17",
                model="bicubic", codec="h264")  # fmt: skip
    source = write_source(place / "source.mkv", case)
    caught = set()
    for name, spoil in FAULTS.items():
        twin = write_spoilt(place / "spoilt.mkv", source, spoil)
        if measured(source, twin, "bicubic", SCALE, Settings()).verdict.decision is Decision.FAILED:
            caught.add(name)
    return key, caught


def _clips(cases: list[Case], found: list[Measured | str]) -> Iterator[str]:
    answers = Counter("not made" if isinstance(f, str) else str(f.verdict.decision) for f in found)
    yield f"{len(cases)} clips: " + ", ".join(f"{count} {answer}" for answer, count in sorted(answers.items()))
    yield ""
    for case, each in zip(cases, found, strict=True):
        if isinstance(each, str) or each.verdict.decision is not Decision.PASSED:
            why = each if isinstance(each, str) else " ".join(each.verdict.reasons)
            yield f"- {case.name}: {why}"
    yield "\n| worst figure against its limit | " + " | ".join(name for _, name in CLASSES) + " |"
    yield "| --- |" + " --- |" * len(CLASSES)
    for figure in FIGURES:
        row = []
        for number, (below, _) in enumerate(CLASSES):
            least = CLASSES[number - 1][0] if number else 0
            values = [
                figures(each)[figure]
                for case, each in zip(cases, found, strict=True)
                if not isinstance(each, str)
                and case.model != "ink-wash"
                and least <= min(case.width, case.height) < below
            ]
            row.append(f"{(min if figure.endswith('_min') else max)(values):.2f}" if values else "")
        yield f"| {figure} | " + " | ".join(row) + " |"


def _faults(found: dict[tuple[tuple[int, int], str], set[str]]) -> Iterator[str]:
    yield f"| fault, caught of {len(FAULT_CONTENTS)} | " + " | ".join(f"{w}x{h}" for w, h in FAULT_SIZES) + " |"
    yield "| --- |" + " --- |" * len(FAULT_SIZES)
    for name in FAULTS:
        row = [str(sum(name in found[size, content] for content in FAULT_CONTENTS)) for size in FAULT_SIZES]
        yield f"| {name} | " + " | ".join(row) + " |"


if __name__ == "__main__":
    main()
