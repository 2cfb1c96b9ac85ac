"""Proves on a machine with a GPU what tests elsewhere cannot: `python -m sr_tasks.commands.gpu_check [MODEL]`.

That the providers load, that what they compute matches the CPU, that engines are found again, and how fast it is.
Exits with 0 if all holds, 1 if something does not, 3 on a machine without an NVIDIA GPU.
"""

import dataclasses
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.graphs.prepare import prepare
from sr_tasks.graphs.runtime import Backend, Planes, Session
from sr_tasks.graphs.verify import HALF_MIN_PSNR_DB, INT8_MIN_PSNR_DB, synthetic_frame
from sr_tasks.inference.backend import backend_for
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.backends.nvidia import Gpu
from sr_tasks.inference.lease import Holder, leased
from sr_tasks.planes.metrics import psnr_db
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry

NO_GPU = 3
BACKENDS = ("cuda", "tensorrt")
SIZES = ((640, 360), (1280, 720), (1920, 1080))
"""Columns and rows of the frames that are timed; results are compared at the first."""
SECONDS = 2.0
_LEAST_DB = {"fp32": HALF_MIN_PSNR_DB, "fp16": HALF_MIN_PSNR_DB, "bf16": HALF_MIN_PSNR_DB, "int8": INT8_MIN_PSNR_DB}
_STREAMS = 2


def main(arguments: Sequence[str]) -> int:
    gpus, settings = nvidia.visible(), Settings.from_env()
    if not gpus:
        print("This machine has no NVIDIA GPU that its driver shows: nothing was checked.")
        return NO_GPU
    entry = Registry.of(settings).get(arguments[0] if arguments else "compact-x2")
    failures: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="sr_gpu_check.") as folder,
        leased(gpus, settings.workdir / "leases", Holder(job="gpu-check"), wait_s=settings.gpu_wait_s) as lease,
    ):
        gpu = lease.gpu
        print(f"{gpu.name}, compute {gpu.compute_capability}, driver {gpu.driver}, {gpu.memory_bytes >> 30} GiB")
        for name in BACKENDS:
            failures += check(name, entry, Path(folder), sizes=SIZES, seconds=SECONDS, gpu=gpu)
    for failure in failures:
        print(f"FAILED: {failure}")
    print("All holds." if not failures else f"{len(failures)} checks failed.")
    return 1 if failures else 0


def check(
    name: str,
    entry: ModelEntry,
    cache_dir: Path,
    *,
    sizes: Sequence[tuple[int, int]],
    seconds: float,
    gpu: Gpu | None = None,
) -> list[str]:
    """Try a backend in every precision it has, print what was measured, and give what does not hold, in sentences."""
    try:
        backend = backend_for(name, gpu)
    except SrError as exc:
        return [str(exc)]
    print(f"\n{backend.name} {backend.version} on {backend.device} ({backend.architecture})")
    variant = GraphVariant(scale=entry.card.scale, chroma="420", bit_depth=8, chroma_location=1)
    # Which precisions a card allows is its author's to say; here they are all measured.
    open_card = entry.card.model_copy(update={"precisions": backend.precisions})
    entry = dataclasses.replace(entry, card=open_card)
    frame = synthetic_frame(variant, *sizes[0])
    judge = backend_for("onnxruntime")
    exact, _ = prepare(entry, variant, judge, "fp32", cache_dir, width=sizes[0][0], height=sizes[0][1])
    with closing(judge.open(exact, *sizes[0])) as session:
        expected = session.infer((frame,))
    failures: list[str] = []
    for precision in backend.precisions:
        try:
            failures += _check_precision(backend, entry, variant, precision, cache_dir, sizes, seconds, frame, expected)
        except SrError as exc:
            failures.append(f"{name} at {precision}: {exc}")
    return failures


def _check_precision(
    backend: Backend, entry: ModelEntry, variant: GraphVariant, precision: str, cache_dir: Path,
    sizes: Sequence[tuple[int, int]], seconds: float, frame: Planes, expected: Planes,
) -> list[str]:  # fmt: skip
    failures = []
    for width, height in sizes:
        prepared, first_s, _ = _prepared(backend, entry, variant, precision, cache_dir, width, height)
        _, again_s, hit = _prepared(backend, entry, variant, precision, cache_dir, width, height)
        opening = time.monotonic()
        with closing(backend.open(prepared, width, height, streams=_STREAMS)) as session:
            opened_s = time.monotonic() - opening
            likeness = ""
            if (width, height) == sizes[0]:
                psnr_db = _psnr(session.infer((frame,)), expected)
                likeness = f", {psnr_db:.1f} dB from fp32 on the CPU"
                if psnr_db < _LEAST_DB[prepared.precision]:
                    failures.append(f"{backend.name} at {prepared.precision} is {psnr_db:.1f} dB from fp32 on the CPU.")
            fps = _fps(session, synthetic_frame(variant, width, height), seconds)
        print(
            f"  {prepared.precision:5} {width}x{height}: {fps:8.1f} fps, prepared in {first_s:.1f} s, found again in "
            f"{again_s:.1f} s, opened in {opened_s:.1f} s{likeness}"
        )
        if not hit:
            failures.append(f"{backend.name} at {precision}, {width}x{height}: the second job prepares it again.")
        if prepared.precision != precision:
            failures.append(f"{backend.name} at {precision}: {prepared.precision_reason}")
        if backend.compiles_ahead and not list(prepared.onnx_path.parent.glob(f"engines/{width}x{height}-*/*")):
            failures.append(f"{backend.name} at {precision}, {width}x{height}: no engine is kept.")
    return failures


def _prepared(
    backend: Backend, entry: ModelEntry, variant: GraphVariant, precision: str, cache_dir: Path, width: int, height: int
) -> tuple[PreparedModel, float, bool]:
    started = time.monotonic()
    prepared, hit = prepare(entry, variant, backend, precision, cache_dir, width=width, height=height)
    return prepared, time.monotonic() - started, hit


def _psnr(found: Planes, expected: Planes) -> float:
    """Of the worst plane, 8 bits."""
    worst = max(float(np.mean((one.astype(float) - other) ** 2)) for one, other in zip(found, expected, strict=True))
    return psnr_db(max(worst, 1e-9))


def _fps(session: Session, frame: Planes, seconds: float) -> float:
    """Frames a second with as many callers as the session has streams, after one frame each to warm up."""
    counts = [0] * _STREAMS
    session.infer((frame,))
    started = time.monotonic()

    def work(index: int) -> None:
        while counts[index] == 0 or time.monotonic() - started < seconds:
            session.infer((frame,))
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(_STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
