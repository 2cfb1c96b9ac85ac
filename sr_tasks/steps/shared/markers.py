"""Markers of finished chunks, which `upscale` leaves and `assemble` reads."""

from typing import Any

from sr_tasks.errors import ChunkMissing, IntegrityBroken
from sr_tasks.records.media import Chunk
from sr_tasks.storage.workdir import ChunkStore


def marker_of(store: ChunkStore, chunk: Chunk) -> dict[str, Any]:
    """The marker of a chunk that must be there. Raises ChunkMissing, IntegrityBroken."""
    marker = store.committed(chunk.index)
    if marker is None:
        raise ChunkMissing(
            f"Chunk {chunk.index} is not there any more.", hint="Run the job again; finished chunks are kept."
        )
    if marker["frames"] != chunk.frames:
        raise IntegrityBroken(f"Chunk {chunk.index} holds {marker['frames']} frames, not {chunk.frames}.")
    return marker
