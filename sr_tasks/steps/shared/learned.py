"""What this machine has learned from its jobs: for each kind of work, how long an amount of it took. A few numbers a
kind, in the scratch folder; what cannot be read counts as not learned."""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from loguru import logger
from pydantic import ValidationError

from sr_tasks.config import Settings
from sr_tasks.records.forecast import Samples
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.locks import locked

_KEPT: Final = 50
_SAME: Final = 1.3
"""Amounts that differ by less than this factor tell nothing of what a job costs whatever its length."""


def known(kind: str, settings: Settings) -> tuple[tuple[float, float], ...]:
    """Amounts and what they took, oldest first; empty if nothing is known."""
    path = _path(kind, settings)
    try:
        return Samples.model_validate_json(path.read_text(encoding="utf-8")).root
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as exc:
        logger.warning("what was learned of {} cannot be read: {}", kind, type(exc).__name__)
        return ()


def learn(kind: str, amount: float, took: float, settings: Settings) -> None:
    """Keep what an amount took, among the last ones. Raises OSError."""
    path = _path(kind, settings)
    with locked(path.with_suffix(".lock")):
        samples = [*known(kind, settings), (amount, took)][-_KEPT:]
        write_text(path, Samples(tuple(samples)).model_dump_json())


def expected(samples: tuple[tuple[float, float], ...], amount: float) -> float:
    """What an amount should take: along the line that earlier ones lie nearest to, in proportion to what they took.

    `samples` is not empty. No part of the line is negative.
    """
    amounts, took = np.array(samples, np.float64).clip(1e-9).T
    ratio = float(np.exp(np.mean(np.log(took / amounts))))
    if amounts.max() / amounts.min() < _SAME:
        return ratio * amount
    weight = 1.0 / took
    (base, rate), *_ = np.linalg.lstsq(np.stack([weight, amounts * weight], axis=1), np.ones_like(took), rcond=None)
    if base < 0:
        return ratio * amount
    return float(base + rate * amount) if rate > 0 else float(np.exp(np.mean(np.log(took))))


def _path(kind: str, settings: Settings) -> Path:
    return settings.workdir / "learned" / f"{hashlib.sha256(kind.encode()).hexdigest()[:32]}.json"
