"""Runs the measurements and writes the table to `out/bench.md`. `--clip` takes a clip of your own."""

import argparse
import os
import platform
import tempfile
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.media.sample import render
from sr_tasks.telemetry import logs
from tests.bench import airflow, api, quality, resources, rivals, stages
from tests.bench.setting import Bench, Table

PARTS = ("quality", "stages", "rivals", "resources", "airflow", "api")
ON_REQUEST = ("arrivals", "forecasts")
"""Want the system packages of `.ci/run`."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--clip", type=Path, default=Path(os.environ.get("CLIP") or ""))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=(*PARTS, *ON_REQUEST), nargs="+", default=list(PARTS))
    args = parser.parse_args()
    logs.configure(Settings(log_level="WARNING"))
    table = Table()
    with tempfile.TemporaryDirectory(prefix="sr-bench-") as folder:
        scratch = Path(folder)
        clip = args.clip if args.clip.is_file() else render(scratch / "sample.mp4", seconds=8, width=768, height=432)
        title = f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, {_clip(clip)}"
        print(title, flush=True)
        bench = Bench.of(clip, scratch)
        title += f", {bench.prepared.device}"
        if "quality" in args.only:
            quality.measure(table)
        if "stages" in args.only:
            stages.measure(bench, table, args.rounds)
        if "rivals" in args.only:
            rivals.measure(bench, table, args.rounds)
        if "resources" in args.only:
            resources.measure(clip, scratch, table)
        if "airflow" in args.only:
            airflow.measure(clip, scratch, table, args.rounds)
        if "api" in args.only:
            api.measure(scratch, table)
        if "arrivals" in args.only:
            from tests.bench import arrivals  # needs what the others do not

            arrivals.measure(table, uploads=40)
        if "forecasts" in args.only:
            from tests.bench import forecasts

            forecasts.measure(scratch, table)
    out = Path("out/bench.md")
    out.parent.mkdir(exist_ok=True)
    out.write_text(f"{title}\n\n{table.markdown()}\n", encoding="utf-8")
    print(f"\n{title}\n\n{table.markdown()}")


def _clip(clip: Path) -> str:
    return f"{clip.name} ({clip.stat().st_size} bytes)"


if __name__ == "__main__":
    main()
