"""Makes a model ready for a kind of frame: builds its graph, proves it on the backend, keeps it in the cache."""

import dataclasses
import hashlib
import json
from pathlib import Path

from loguru import logger

from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.models.cache import ModelCache
from sr_tasks.models.graph import GRAPH_SCHEMA, build_graph
from sr_tasks.models.prepared import GraphVariant, PreparedModel
from sr_tasks.models.registry import ModelEntry
from sr_tasks.models.runtime import Backend, Precision
from sr_tasks.models.verify import Deviation, measure


def prepare(
    entry: ModelEntry,
    variant: GraphVariant,
    backend: Backend,
    precision: str,
    cache_dir: Path,
    *,
    width: int,
    height: int,
) -> tuple[PreparedModel, bool]:
    """The model ready for `backend`, and whether it was found in `cache_dir`. `width` and `height` are the source's.

    `precision` is auto, fp32 or bf16; bf16 that departs too far from the original gives way to fp32. Processes
    that want the same model at once build it once. Raises UsageError for a precision that cannot be, ScaleUnsupported,
    ModelRejected if the result does not match the original, DiskFull or TargetUnwritable for the cache.
    """
    entry.require_scale(variant.scale)
    chosen = choose_precision(entry, variant, backend, precision)
    key = cache_key(entry, variant, backend, chosen)
    cache = ModelCache(cache_dir)
    found = cache.find(key)
    if found is not None:
        return found, True
    with cache.locked(key):
        found = cache.find(key)
        if found is not None:
            return found, True
        graph = build_graph(entry, variant).SerializeToString(deterministic=True)
        draft = _draft(entry, variant, backend, chosen, cache.put_graph(key, graph))
        prepared = _proved(entry, draft, backend, width=width, height=height)
        cache.finish(prepared)
        return prepared, False


def choose_precision(entry: ModelEntry, variant: GraphVariant, backend: Backend, precision: str) -> Precision:
    """What auto stands for: bf16 if the card allows it and the device computes in it, for 8-bit video. More bits than
    eight do not fit through bf16, so deeper video gets fp32. Raises UsageError for a precision that cannot be."""
    allowed = [one for one in entry.card.precisions if one in backend.precisions]
    if precision == "auto":
        return "bf16" if "bf16" in allowed and variant.bit_depth == 8 else "fp32"
    if precision == "fp32":
        return "fp32"
    if precision == "bf16" and "bf16" in allowed:
        return "bf16"
    raise UsageError(
        f"Precision {precision!r} cannot be had with {entry.label} on {backend.name} ({backend.device}).",
        hint="Use auto or fp32.",
    )


def cache_key(entry: ModelEntry, variant: GraphVariant, backend: Backend, precision: Precision) -> str:
    """Hash of everything that decides what a prepared model computes."""
    parts = {
        "graph_schema": GRAPH_SCHEMA,
        "model": entry.label,
        "kind": entry.card.kind,
        "model_scale": entry.card.scale,
        "weights_sha256": entry.weights_sha256,
        "variant": dataclasses.asdict(variant),
        "backend": backend.name,
        "backend_version": backend.version,
        "device": backend.device,
        "precision": precision,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _draft(
    entry: ModelEntry, variant: GraphVariant, backend: Backend, precision: Precision, onnx_path: Path
) -> PreparedModel:
    return PreparedModel(
        name=entry.card.name,
        version=entry.card.version,
        weights_sha256=entry.weights_sha256,
        variant=variant,
        backend=backend.name,
        precision=precision,
        onnx_path=onnx_path,
        key=onnx_path.parent.name,
        device=backend.device,
    )


def _proved(entry: ModelEntry, draft: PreparedModel, backend: Backend, *, width: int, height: int) -> PreparedModel:
    deviation = measure(entry, draft, backend, width=width, height=height)
    if not deviation.is_acceptable(draft.precision) and draft.precision != "fp32":
        logger.warning(
            "{} at {} is only {:.1f} dB from its original: fp32 is used",
            entry.label,
            draft.precision,
            deviation.psnr_db,
        )
        draft = dataclasses.replace(draft, precision="fp32")
        deviation = measure(entry, draft, backend, width=width, height=height)
    if not deviation.is_acceptable(draft.precision):
        raise _rejected(entry, draft, deviation)
    logger.info(
        "{} prepared for {} at {}: {:.1f} dB, at most {} codes from its original",
        entry.label, draft.backend, draft.precision, deviation.psnr_db, deviation.max_codes,
    )  # fmt: skip
    return draft


def _rejected(entry: ModelEntry, draft: PreparedModel, deviation: Deviation) -> ModelRejected:
    return ModelRejected(
        f"{entry.label} prepared for {draft.backend} at {draft.precision} departs from its original by "
        f"{deviation.max_codes} codes ({deviation.psnr_db:.1f} dB).",
        hint="Try another backend, and check that the weights are those of the card.",
    )
