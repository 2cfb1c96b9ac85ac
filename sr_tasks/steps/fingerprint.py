"""The fingerprint that chunks are kept under: everything that decides their bytes, and nothing else."""

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import av

from sr_tasks.inference.backend import CPU_BACKENDS
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.media import PicturePlan
from sr_tasks.records.prepared import PreparedModel
from sr_tasks.steps.records import PlanRecord

_ROOMS = ("graphs", "inference", "media", "planes", "records")


def fingerprint(
    plan: PlanRecord, picture: PicturePlan, encode: EncodeSettings, prepared: PreparedModel, card: ModelCard,
    tile_px: int,
) -> str:  # fmt: skip
    """sha256 over source, how it is read, cuts, encoder settings, prepared model, tiles and code, 64 hex digits.

    A network that is cut exactly and computed in fp32 on a CPU gives the same bytes in any tiles: there a job goes on
    with the chunks it has when the machine it runs on was given more or less memory.
    """
    is_exact = card.tiles.mode == "exact" and prepared.precision == "fp32" and prepared.backend in CPU_BACKENDS
    facts = {
        "code": code_version(),
        "source": plan.source_sha256,
        "chunks": [chunk.model_dump() for chunk in plan.chunks],
        "picture": picture.model_dump(mode="json", exclude={"table"}),
        "encode": asdict(encode),
        "model": prepared.key,
        "tile_px": None if is_exact else tile_px,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def code_version(rooms: tuple[str, ...] = _ROOMS) -> str:
    """PyAV's version, which stands for the encoders, and a hash of the modules that make a chunk.

    A deployment that is updated between a crash and the resume must not join chunks of two programs.
    """
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for path in sorted(path for room in rooms for path in (package / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return f"av {av.__version__}, {digest.hexdigest()}"
