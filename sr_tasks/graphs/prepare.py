"""Makes a model ready for a kind of frame: builds its graph, proves it on the backend, keeps it in the cache."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.graphs.cache import ModelCache
from sr_tasks.graphs.calibration import Patch, calibration_hash
from sr_tasks.graphs.convert import converted_graph, patches_for
from sr_tasks.graphs.graph import GRAPH_SCHEMA, build_graph
from sr_tasks.graphs.runtime import Backend, Precision
from sr_tasks.graphs.shared import SharedModels
from sr_tasks.graphs.verify import JUDGE, Original
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.telemetry.elapsed import elapsed

PREPARE_SCHEMA = 2
"""Raise it whenever what is proved, converted or kept changes: entries of an older one are not used."""


def prepare(
    entry: ModelEntry,
    variant: GraphVariant,
    backend: Backend,
    precision: str,
    cache_dir: Path,
    *,
    width: int,
    height: int,
    settings: Settings | None = None,
    frames: Iterable[NDArray[np.float32]] = (),
) -> tuple[PreparedModel, bool]:
    """The model ready for `backend`, and whether it was found: in `cache_dir`, or where `settings` share models.

    `width` and `height` are those of the frames or tiles it will be fed. `precision` is auto or one of Precision; one
    that departs too far from the original gives way to the next (see `precision_ladder`), which the result tells.
    `frames` are luma [H, W] in 8-bit codes of the job, looked at for int8 alone, which is fitted to them. Processes
    that want the same model at once build it once. With `settings` the cache is kept within its limits. Raises
    UsageError for a precision that cannot be, ScaleUnsupported, ModelRejected if the result does not match the
    original at any precision, DiskFull or TargetUnwritable for the cache.
    """
    entry.require_scale(variant.scale)
    ladder = precision_ladder(entry, variant, backend, precision)
    patches = patches_for(entry, variant, frames, width, height) if ladder[0] == "int8" else []
    size = (width, height) if backend.compiles_ahead else None
    key = cache_key(entry, variant, backend, ladder[0], calibration=calibration_hash(patches), size=size)
    cache = ModelCache(cache_dir)
    found = cache.find(key)
    if found is not None:
        return found, True
    with cache.locked(key):
        found = cache.find(key) or _from_store(key, cache, settings)
        if found is not None:
            return found, True
        with elapsed(f"preparing {entry.label} for {backend.name}"):
            prepared = _Build(entry, variant, backend, cache, key, patches, (width, height)).built(ladder)
        cache.finish(prepared)
        if settings is not None:
            SharedModels(settings).put(key, cache)
    if settings is not None:
        cache.evict(max_bytes=settings.cache_max_bytes, max_age_days=settings.cache_max_age_days)
    return prepared, False


def precision_ladder(
    entry: ModelEntry, variant: GraphVariant, backend: Backend, precision: str
) -> tuple[Precision, ...]:
    """The precisions to try, best first; fp32 is always the last.

    auto: fp16 or bf16 if the card allows it and the device computes in it, for 8-bit video: more bits than eight do not
    fit through them. int8 is never chosen by itself, as not every CPU gains by it; where it fails, what auto stands for
    is next. Raises UsageError for a precision that cannot be.
    """
    allowed = [one for one in ("int8", "fp16", "bf16") if one in entry.card.precisions and one in backend.precisions]
    if entry.card.kind == "resampler":
        # Its weights decide the very code that comes out.
        allowed = [one for one in allowed if one == "bf16"]
    automatic = [one for one in allowed if one != "int8" and variant.bit_depth == 8]
    match precision:
        case "auto":
            return (*automatic[:1], "fp32")
        case "fp32":
            return ("fp32",)
        case "fp16" | "bf16" if precision in allowed:
            return (precision, "fp32")
        case "int8" if precision in allowed:
            return ("int8", *automatic[:1], "fp32")
    raise UsageError(
        f"Precision {precision!r} cannot be had with {entry.label} on {backend.name} ({backend.device}).",
        hint=f"Use auto or one of: {', '.join(['fp32', *allowed])}.",
    )


def cache_key(
    entry: ModelEntry,
    variant: GraphVariant,
    backend: Backend,
    precision: Precision,
    *,
    calibration: str = "",
    size: tuple[int, int] | None = None,
) -> str:
    """Hash of everything that decides what a prepared model computes: `calibration` is the hash of what int8 is fitted
    to, `size` that of frames for a backend that compiles ahead for one size."""
    parts = {
        "graph_schema": GRAPH_SCHEMA,
        "prepare_schema": PREPARE_SCHEMA,
        "model": entry.label,
        "card": entry.card.model_dump(mode="json", include={"kind", "scale", "color", "level", "tiling", "max_passes"}),
        "weights_sha256": entry.weights_sha256,
        "variant": dataclasses.asdict(variant),
        "backend": backend.name,
        "backend_version": backend.version,
        "device": backend.device,
        "architecture": backend.architecture,
        "judge": JUDGE,
        "precision": precision,
        "calibration": calibration,
        "size": size,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _from_store(key: str, cache: ModelCache, settings: Settings | None) -> PreparedModel | None:
    """What another machine has built, if it can be had."""
    is_here = settings is not None and SharedModels(settings).fetch(key, cache)
    return cache.find(key) if is_here else None


class _Build:
    """One entry in the making; its lock is held."""

    def __init__(
        self, entry: ModelEntry, variant: GraphVariant, backend: Backend, cache: ModelCache, key: str,
        patches: list[Patch], size: tuple[int, int],
    ) -> None:  # fmt: skip
        self._entry, self._variant, self._backend = entry, variant, backend
        self._cache, self._key, self._patches, self._size = cache, key, patches, size
        graph = build_graph(entry, variant).SerializeToString(deterministic=True)
        self._original = Original(entry, variant, graph, width=size[0], height=size[1])

    def built(self, ladder: tuple[Precision, ...]) -> PreparedModel:
        """The first of `ladder` that matches the original, with what the backend compiles ahead of it for frames of
        the size asked for. Raises ModelRejected if none does."""
        failures: list[str] = []
        for precision in ladder:
            found = self._tried(precision, failures)
            if found is not None:
                if self._backend.compiles_ahead:
                    self._backend.open(found, *self._size).close()
                return found
            logger.warning("{}: {}", self._entry.label, failures[-1])
        raise ModelRejected(
            f"{self._entry.label} cannot be run on {self._backend.name}: {' '.join(failures)}",
            hint="Try another backend, and check that the weights are those of the card.",
        )

    def _tried(self, precision: Precision, failures: list[str]) -> PreparedModel | None:
        """The model at `precision`, or None and a sentence more in `failures`."""
        try:
            draft = self._draft(precision)
            deviation = self._original.compare(draft, self._backend)
        except ModelRejected as exc:
            failures.append(f"{precision} cannot be had: {exc.message}")
            return None
        if not deviation.is_acceptable(precision, self._variant.bit_depth):
            failures.append(f"{precision} departs from its original: {deviation}.")
            return None
        logger.info("{} prepared for {} at {}: {}", self._entry.label, self._backend.name, precision, deviation)
        return dataclasses.replace(draft, proof=str(deviation), precision_reason=" ".join(failures))

    def _draft(self, precision: Precision) -> PreparedModel:
        graph = converted_graph(self._entry, self._variant, precision, self._backend.name, self._patches)
        return PreparedModel(
            name=self._entry.card.name,
            version=self._entry.card.version,
            weights_sha256=self._entry.weights_sha256,
            variant=self._variant,
            backend=self._backend.name,
            precision=precision,
            onnx_path=self._cache.put_graph(self._key, graph),
            key=self._key,
            device=self._backend.device,
        )
