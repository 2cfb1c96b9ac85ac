"""Memory at ten times the length, scratch against the output, and what Airflow adds, all through the command line."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import av

from tests.bench.setting import Table

REPOSITORY = Path(__file__).resolve().parents[2]


def measure(clip: Path, scratch: Path, table: Table) -> None:
    short_mb, share, result = _run(clip, scratch / "short")
    table.add("largest scratch against the output", f"{share:.2f}x", "<= 2.2x", share <= 2.2)
    timings = json.loads(Path(str(result["manifest"])).read_text(encoding="utf-8"))["timings_s"]
    cost = timings["assess"] / timings["upscale"]
    table.add(
        "assessing against upscaling", f"{timings['assess']:.1f} : {timings['upscale']:.1f} s = {cost:.1%}", "<= 15 %",
        cost <= 0.15,
    )  # fmt: skip
    table.add("output against source, at the source's size", json.dumps(result["quality"]))
    long_mb, _, _ = _run(repeated(clip, scratch / f"long{clip.suffix}", 10), scratch / "long")
    ratio = long_mb / short_mb
    table.add(
        "peak memory at ten times the length",
        f"{long_mb:.0f} : {short_mb:.0f} MB = {ratio:.3f}x",
        "<= 1.05x",
        ratio <= 1.05,
    )


def _run(clip: Path, folder: Path) -> tuple[float, float, dict[str, object]]:
    """Peak resident MB of the process, largest scratch / output size, and the command's result."""
    workdir, output = folder / "workdir", folder / f"out{clip.suffix}"
    folder.mkdir(parents=True)
    peak = [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            peak[0] = max(peak[0], _used_bytes(workdir))

    watcher = threading.Thread(target=watch)
    watcher.start()
    command = [sys.executable, "-m", "sr_tasks", "enhance", str(clip), str(output), "--workdir", str(workdir), "--json"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text, _ = process.communicate()
    stop.set()
    watcher.join()
    result = json.loads(text.strip().splitlines()[-1])
    return result["peak_memory_mb"], peak[0] / output.stat().st_size, result


def _used_bytes(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def repeated(clip: Path, target: Path, times: int) -> Path:
    """The clip's picture and sound one after the other, without re-encoding."""
    with av.open(str(target), "w") as out:
        streams = {}
        shift_s = 0.0
        for _ in range(times):
            with av.open(str(clip)) as container:
                end_s = 0.0
                if not streams:
                    streams = {s.index: out.add_stream_from_template(s) for s in container.streams}
                for packet in container.demux():
                    if packet.dts is None:
                        continue
                    end_s = max(end_s, float((packet.pts + packet.duration) * packet.time_base))
                    ticks = round(shift_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
            shift_s += end_s + 0.1
    return target
