"""Twelve generated jobs on one machine: what was said before each, and what came true."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from sr_tasks.__main__ import job_id_of
from sr_tasks.config import Settings
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers
from tests.bench.setting import Table
from tests.readers import H264, ffmpeg

CONTENT = {
    "bars": "testsrc2=s={size}:r=25:d={seconds}",
    "fractal": "mandelbrot=s={size}:r=25,trim=duration={seconds}",
    "cells": "life=s={size}:mold=10:r=25:ratio=0.1:death_color=#C83232:life_color=#00ff00:seed=3,gblur=1,"
    "trim=duration={seconds}",
    "soft": "gradients=s={size}:r=25:d={seconds}:seed=5,noise=c0s=6:c0f=t:c0_seed=4",
}
LEARNED_FROM = (("bars", "96x64", 2, {}), ("fractal", "256x144", 3, {}), ("soft", "160x96", 2, {}))
"""Jobs that come before, as on any machine in use: content, size, seconds, request."""
JOBS: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("bars", "128x96", 2, {}),
    ("fractal", "160x96", 4, {}),
    ("cells", "192x108", 3, {"crf": 23}),
    ("soft", "192x108", 6, {}),
    ("bars", "256x144", 2, {"crf": 28}),
    ("fractal", "256x144", 4, {}),
    ("cells", "256x144", 8, {}),
    ("soft", "320x180", 2, {}),
    ("bars", "320x180", 4, {"crf": 20}),
    ("fractal", "320x180", 6, {}),
    ("cells", "384x216", 3, {}),
    ("soft", "384x216", 5, {"crf": 25}),
)


def measure(scratch: Path, table: Table) -> None:
    """Rows: estimate, actual, and how far the first is from the second."""
    settings = dataclasses.replace(
        Settings.from_env(), workdir=scratch / "forecasts", state_dir=scratch / "forecasts" / "state"
    )
    for number, job in enumerate(LEARNED_FROM):
        _done(scratch, f"before-{number}", *job, settings)
    worst = {"seconds": 0.0, "size_bytes": 0.0}
    for number, job in enumerate(JOBS, 1):
        found = _done(scratch, f"job-{number}", *job, settings)
        said, true = found["forecast"], found["actual"]
        off = {name: said[name] / true[name] - 1 for name in worst}
        worst = {name: max(worst[name], abs(off[name])) for name in worst}
        content, size, seconds, fields = job
        table.add(
            f"forecast of job {number}: {content}, {size}, {seconds:g} s, crf {fields.get('crf', 17)}",
            f"{said['seconds']:.1f} s and {said['size_bytes'] / 1e6:.2f} MB; took {true['seconds']:.1f} s and "
            f"{true['size_bytes'] / 1e6:.2f} MB ({off['seconds']:+.0%}, {off['size_bytes']:+.0%})",
        )
    table.add(
        "forecast, worst of 12 jobs", f"time {worst['seconds']:.0%}, size {worst['size_bytes']:.0%} off",
        "30 %, 50 %", worst["seconds"] <= 0.3 and worst["size_bytes"] <= 0.5,
    )  # fmt: skip


def _done(
    scratch: Path, name: str, content: str, size: str, seconds: float, fields: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    picture = CONTENT[content].format(size=size, seconds=seconds)
    source = ffmpeg(scratch / f"{name}.mp4", "-f", "lavfi", "-i", picture, *H264)
    output = scratch / f"{name}-out.mp4"
    spec = JobSpec(source=str(source), output=str(output), model="compact-x2", review="never", gate=False, **fields)
    pipeline.run(spec, job_id_of(spec), settings, Observers())
    found: dict[str, Any] = json.loads(output.with_name(f"{output.name}.manifest.json").read_text())["forecast"]
    return found
