"""The fingerprint that chunks are kept under: everything that decides their bytes, and nothing else."""

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import av

from sr_tasks.inference.backend import CPU_BACKENDS
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.grain import Grain
from sr_tasks.records.job import PlanRecord
from sr_tasks.records.media import PicturePlan
from sr_tasks.records.pictures import PictureTarget
from sr_tasks.records.prepared import PreparedModel

PACKAGE: Final = Path(__file__).resolve().parents[2]
_RECORDS = (
    "cards",
    "codecs",
    "colour",
    "containers",
    "degradation",
    "encode",
    "grain",
    "layout",
    "loading",
    "media",
    "pictures",
    "prepared",
    "rate",
    "sizes",
    "spdx",
)
CHUNK_CODE: Final = ("demux", "graphs", "inference", "media", "planes", *(f"records/{name}.py" for name in _RECORDS))
"""Folders and files of the library that can change a chunk's bytes: these rooms, and the records that they read."""


def fingerprint(
    plan: PlanRecord, picture: PicturePlan, encode: EncodeSettings, prepared: PreparedModel, card: ModelCard,
    tile_px: int, still: PictureTarget | None = None, blend: tuple[float, PreparedModel] | None = None,
    grain: Grain | None = None,
) -> str:  # fmt: skip
    """sha256 over source, how it is read, cuts, encoder settings, prepared model, tiles and code, 64 hex digits.

    A network that is cut exactly and computed in fp32 on a CPU gives the same bytes in any tiles: there a job goes on
    with the chunks it has when the machine it runs on was given more or less memory. `blend`: a strength, and what the
    model is blended with; None for a strength of 1. `grain`: what is added to the frames, if anything is.
    """
    is_exact = card.tiles.mode == "exact" and prepared.precision == "fp32" and prepared.backend in CPU_BACKENDS
    facts: dict[str, Any] = {
        "code": code_version(),
        "source": plan.source_sha256,
        "chunks": [chunk.model_dump() for chunk in plan.chunks],
        "picture": picture.model_dump(mode="json", exclude={"table"}),
        "encode": asdict(encode),
        "model": prepared.key,
        "tile_px": None if is_exact else tile_px,
    }
    if blend is not None:
        facts["blend"] = [blend[0], blend[1].key]
    if grain is not None:
        facts["grain"] = grain.model_dump()
    if still is not None:
        facts["still"] = {**asdict(still), "code": code_version(("pictures",))}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def code_version(parts: tuple[str, ...] = CHUNK_CODE, package: Path = PACKAGE) -> str:
    """PyAV's version, which stands for the encoders, and a hash of the modules of `parts` of the library in `package`.

    Chunks of two programs must not be joined when a deployment is updated between a crash and the resume. What cannot
    change a chunk is left out, so that an update of it does not throw away the chunks of unfinished jobs.
    """
    digest = hashlib.sha256()
    for part in parts:
        path = package / part
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(module.read_bytes())
    return f"av {av.__version__}, {digest.hexdigest()}"
