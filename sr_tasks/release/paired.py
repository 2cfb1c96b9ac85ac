"""The paired test: frames of a source made small, enlarged by two versions, both held against the frames themselves.

Needs no reference but the source, and content counts for neither side, as both see the same frames. Stores nothing.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.config import Settings
from sr_tasks.errors import ChunkFailed, ModelRejected
from sr_tasks.inference.backend import Plane, Planes, Session
from sr_tasks.inference.version_sessions import opened
from sr_tasks.media.decode import ChunkReader
from sr_tasks.planes.frames import planes_of
from sr_tasks.planes.metrics import psnr_db
from sr_tasks.records.media import Chunk, PicturePlan
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.release.observations import PairedFrame

FRAMES: Final = 4
SIDE: Final = 512
"""Px of the middle of a frame that are looked at."""

_FIRST, _APART = 8, 12
"""Which frames of a chunk: none of its first, which may be a fade."""
_FLAT = 3.0
"""Standard deviation in codes below which a frame says nothing."""
_LEAST_SIDE = 16
_NOISE = 4.0
"""Codes. At scale 1 nothing can be made small; noise is what a version has to take away then."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """One version and the kind of frames it is given."""

    entry: ModelEntry
    variant: GraphVariant


@dataclass(frozen=True, kw_only=True)
class PairedResult:
    """What both versions made of the same frames, or which of them alone could not."""

    pairs: tuple[PairedFrame, ...] = ()
    broke_off: Literal["", "own", "other"] = ""
    why: str = ""


def paired_test(own: Party, other: Party, frames: Sequence[Planes], settings: Settings) -> PairedResult:
    """`own` is the version of the job. Nothing is told if no frame is fit, or if neither version can do them.

    Raises what preparing raises, but ModelRejected and ChunkFailed, which are told of the version they are of.
    """
    scale = own.variant.scale
    truths = [crop for frame in frames if (crop := _crop(frame, scale)) is not None]
    if not truths:
        return PairedResult()
    small = [_made_small(truth, own.variant, seed) for seed, truth in enumerate(truths)]
    height, width = small[0][0].shape
    with ExitStack() as stack:
        results: dict[str, list[tuple[float, float]]] = {}
        failures: dict[Literal["own", "other"], str] = {}
        sides: tuple[tuple[Literal["own", "other"], Party], ...] = (("own", own), ("other", other))
        for side, party in sides:
            try:
                session = stack.enter_context(opened(party.entry, party.variant, settings, width=width, height=height))
                results[side] = list(_measured(session, small, truths, party.variant))
            except (ModelRejected, ChunkFailed) as exc:
                failures[side] = f"{exc.code}: {exc.message}"
    if len(failures) == 1:
        side, why = next(iter(failures.items()))
        return PairedResult(broke_off=side, why=why)
    if failures:
        return PairedResult()
    return PairedResult(
        pairs=tuple(
            PairedFrame(own_psnr=mine[0], other_psnr=theirs[0], own_seconds=mine[1], other_seconds=theirs[1])
            for mine, theirs in zip(results["own"], results["other"], strict=True)
        )
    )


def sampled(
    path: Path, picture: PicturePlan, chunks: Sequence[Chunk], bit_depth: int, count: int = FRAMES
) -> list[Planes]:
    """Copies of up to `count` frames that show something, spread over up to `count` of the chunks; few are decoded."""
    chosen = [chunks[len(chunks) * n // count] for n in range(count)] if len(chunks) > count else list(chunks)
    each = -(-count // max(1, len(chosen)))
    frames: list[Planes] = []
    for chunk in chosen:
        frames += islice(_spread(path, picture, chunk, 2.0 ** (8 - bit_depth)), min(each, count - len(frames)))
    return frames


def _spread(path: Path, picture: PicturePlan, chunk: Chunk, step: float) -> Iterator[Planes]:
    """Every `_APART`-th frame near the beginning of a chunk; of a chunk of few frames the last one."""
    wanted = range(min(_FIRST, chunk.frames - 1), _FIRST + _APART * FRAMES * 2, _APART)
    with closing(ChunkReader(path=path, chunk=chunk, picture=picture).frames()) as decoded:
        for number, item in enumerate(islice(decoded, wanted[-1] + 1)):
            if number in wanted and not item.is_repeat:
                planes = tuple(plane.copy() for plane in planes_of(item.frame))
                if planes[0].std() * step >= _FLAT:
                    yield planes


def _crop(planes: Planes, scale: int) -> Planes | None:
    """The middle of a frame, its sides multiples of what halving chroma and making small take; None if too small."""
    height, width = planes[0].shape
    grid = 2 * scale
    rows, columns = min(SIDE, height) // grid * grid, min(SIDE, width) // grid * grid
    if min(rows, columns) < _LEAST_SIDE * scale:
        return None
    top, left = (height - rows) // 2 // 2 * 2, (width - columns) // 2 // 2 * 2
    cut = []
    for plane in planes:
        down, across = -(-height // plane.shape[0]), -(-width // plane.shape[1])
        cut.append(plane[top // down : (top + rows) // down, left // across : (left + columns) // across])
    return tuple(_as_plane(plane) for plane in cut)


def _made_small(planes: Planes, variant: GraphVariant, seed: int) -> Planes:
    if variant.scale == 1:
        return (_noisy(planes[0], variant.bit_depth, seed), *planes[1:])
    return tuple(
        _as_plane(
            cv2.resize(
                plane, (plane.shape[1] // variant.scale, plane.shape[0] // variant.scale), interpolation=cv2.INTER_AREA
            )
        )
        for plane in planes
    )


def _as_plane(plane: NDArray[Any]) -> Plane:
    """In one piece, as runtimes want it."""
    whole = np.ascontiguousarray(plane)
    return np.asarray(whole, np.uint8) if plane.dtype == np.uint8 else np.asarray(whole, np.uint16)


def _noisy(plane: Plane, bit_depth: int, seed: int) -> Plane:
    step = 2.0 ** (bit_depth - 8)
    noise = np.random.default_rng(seed).normal(0.0, _NOISE * step, plane.shape)
    return _as_plane(np.clip(np.rint(plane + noise), 0, 2**bit_depth - 1).astype(plane.dtype))


def _measured(
    session: Session, small: Sequence[Planes], truths: Sequence[Planes], variant: GraphVariant
) -> Iterator[tuple[float, float]]:
    """PSNR of luma in dB and seconds, of each frame. The first inference of a session is not timed."""
    session.infer((small[0],))
    for planes, truth in zip(small, truths, strict=True):
        started = time.perf_counter()
        output = session.infer((planes,))
        seconds = time.perf_counter() - started
        yield _psnr(output[0], truth[0], variant), max(seconds, 1e-6)


def _psnr(found: Plane, truth: Plane, variant: GraphVariant) -> float:
    rim = slice(variant.scale, -variant.scale)
    error = found[rim, rim].astype(np.float64) - truth[rim, rim]
    return psnr_db(max(float(np.mean(error * error)), 1e-4), 2**variant.bit_depth - 1)
