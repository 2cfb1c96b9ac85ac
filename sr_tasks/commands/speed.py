"""`models bench`: frames a second from planes to planes in every precision a model may have here, beside bicubic."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from loguru import logger

from sr_tasks.commands.proof import variant_of
from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.graphs.prepare import prepare
from sr_tasks.graphs.verify import synthetic_frame
from sr_tasks.inference.backend import Backend, backend_for
from sr_tasks.inference.opened import open_session
from sr_tasks.inference.priority import give_way, giving_way
from sr_tasks.records.prepared import PreparedModel
from sr_tasks.registry.registry import ModelEntry, Registry

BASELINE = "bicubic"
_MIN_SIDE, _MAX_SIDE = 16, 8192
_MAX_S = 600


def bench(
    entry: ModelEntry, registry: Registry, settings: Settings, *, width: int, height: int, seconds: float
) -> dict[str, Any]:
    """One row a precision, in the order of the card, then the baseline's. Frames are 8-bit 4:2:0.

    `seconds` are spent on each row besides preparing it. Raises UsageError for a size or a time that cannot be, and
    ModelRejected if no precision can be had.
    """
    if min(width, height) < _MIN_SIDE or max(width, height) > _MAX_SIDE or not 0 < seconds <= _MAX_S:
        raise UsageError(
            f"{width}x{height} for {seconds:g} s cannot be measured.",
            hint=f"Sides of {_MIN_SIDE} to {_MAX_SIDE} px, and up to {_MAX_S} seconds.",
        )
    measuring = _Measuring(
        backend=backend_for(settings.backend), settings=settings, width=width, height=height, seconds=seconds
    )
    backend = measuring.backend
    found = (measuring.row(entry, one) for one in entry.card.precisions if one in backend.precisions)
    rows = [row for row in found if row is not None]
    if not rows:
        raise ModelRejected(
            f"{entry.label} may be run in {', '.join(entry.card.precisions)}, and none of them can be had on "
            f"{backend.name} ({backend.device}).",
            hint="Choose another backend (SR_BACKEND), or prove the model with `models verify`.",
        )
    baseline = measuring.baseline(registry, entry.card.scale)
    for row in rows:
        row["bicubic_times"] = round(baseline["fps"] / row["fps"], 2) if baseline else None
    if baseline and entry.card.name != BASELINE:
        rows.append(baseline | {"bicubic_times": 1.0})
    return {
        "frame": f"{width}x{height}",
        "device": backend.device,
        "streams": settings.worker_threads,
        "rows": rows,
    }


@dataclass(frozen=True, kw_only=True)
class _Measuring:
    """What all rows have in common."""

    backend: Backend
    settings: Settings
    width: int
    height: int
    seconds: float

    def row(self, entry: ModelEntry, precision: str, scale: int | None = None) -> dict[str, Any] | None:
        """None if the model would be run in another precision, as this one departs too far from its original."""
        prepared, _ = prepare(
            entry,
            variant_of(entry, scale or entry.card.scale),
            self.backend,
            precision,
            self.settings.workdir / "models",
            width=self.width,
            height=self.height,
            settings=self.settings,
        )
        if prepared.precision != precision:
            logger.warning("{} cannot be had in {}: it is run in {}", entry.label, precision, prepared.precision)
            return None
        fps = self._fps(entry, prepared)
        return {
            "model": entry.label,
            "scale": prepared.variant.scale,
            "precision": prepared.precision,
            "backend": prepared.backend,
            "fps": round(fps, 2),
            "ms": round(1e3 / fps, 3),
        }

    def baseline(self, registry: Registry, scale: int) -> dict[str, Any] | None:
        """The baseline's row at the model's scale, or at its own where it has not got that one."""
        if BASELINE not in registry.names():
            return None
        entry = registry.get(BASELINE)
        return self.row(entry, "fp32", scale if scale in entry.card.scales else entry.card.scale)

    def _fps(self, entry: ModelEntry, prepared: PreparedModel) -> float:
        """As many callers as streams, opened and run as a job does it."""
        streams = self.settings.worker_threads
        planes = synthetic_frame(prepared.variant, self.width, self.height)
        opened = giving_way(
            lambda: open_session(
                self.backend,
                prepared,
                entry.card,
                self.width,
                self.height,
                streams=streams,
                tile_px=self.settings.tile_px,
            )
        )
        with closing(opened) as session, ThreadPoolExecutor(streams, initializer=give_way) as pool:

            def work(until: float) -> int:
                out, done = session.infer((planes,)), 1
                while time.perf_counter() < until:
                    session.infer((planes,), out)
                    done += 1
                return done

            list(pool.map(work, [0.0] * streams))  # memory is taken and code made ready before the clock runs
            started = time.perf_counter()
            frames = sum(pool.map(work, [started + self.seconds] * streams))
            return frames / (time.perf_counter() - started)
