"""The search for the one CRF at which all chunks together have the size asked for. Encodes nothing.

The same CRF everywhere spends bits where they are needed: it is what an encoder in two passes does over a whole video.
"""

import math
from collections.abc import Sequence
from typing import Final

from sr_tasks.records.codecs import VideoCodec
from sr_tasks.records.rate import AIM, UNDER, Round

_HALVING_CRF: Final = {"av1": 9.0, "vp9": 9.0}
"""Steps of CRF that halve the size, where two rounds do not say it yet; 6 for the others."""
_LEAST_SLOPE: Final = 0.01
_LOST: Final = 0.03
"""How far the size may be off with a codec whose steps are coarse."""


def next_crf(row: VideoCodec, goal_bytes: int, rounds: Sequence[Round], start: float) -> float | None:
    """The CRF to try next. None: one of the rounds is as near as the codec's steps allow."""
    if not rounds:
        return _on_grid(row, start)
    if any(UNDER / AIM <= one.picture_bytes / goal_bytes <= 1 / AIM for one in rounds):
        return None
    ranked = sorted(rounds, key=lambda one: one.crf)
    over = [one for one in ranked if one.picture_bytes > goal_bytes]
    under = [one for one in ranked if one.picture_bytes <= goal_bytes]
    found = _on_grid(row, _between(row, goal_bytes, over[-1:] + under[:1]))
    if over and under:
        low, high = over[-1].crf, under[0].crf
        if high - low <= row.crf_step + 1e-9:
            return None
        return min(max(found, low + row.crf_step), high - row.crf_step)
    if over and found <= over[-1].crf:
        found = _on_grid(row, over[-1].crf + 1)
    if under and found >= under[0].crf:
        found = _on_grid(row, under[0].crf - 1)
    return None if any(abs(one.crf - found) < 1e-9 for one in rounds) else found


def best(goal_bytes: int, rounds: Sequence[Round]) -> Round:
    """The round to take: the largest that is not too large or, where that falls short, the smallest that hardly is."""
    limit = goal_bytes / AIM
    under = [one for one in rounds if one.picture_bytes <= limit]
    over = [one for one in rounds if one.picture_bytes > limit]
    largest = max(under, key=lambda one: one.picture_bytes, default=None)
    smallest = min(over, key=lambda one: one.picture_bytes, default=None)
    if largest is not None and (smallest is None or largest.picture_bytes >= limit * (1 - _LOST)):
        return largest
    if smallest is not None and (largest is None or smallest.picture_bytes <= limit * (1 + _LOST)):
        return smallest
    return largest or rounds[-1]


def _between(row: VideoCodec, goal_bytes: int, near: Sequence[Round]) -> float:
    """Where the size of the picture, whose logarithm falls about evenly with CRF, is the goal."""
    slope = math.log(2) / _HALVING_CRF.get(row.name, 6.0)
    if len(near) == 2:
        first, second = near
        fallen = math.log(max(1, first.picture_bytes) / max(1, second.picture_bytes))
        slope = max(_LEAST_SLOPE, fallen / (second.crf - first.crf))
    return near[0].crf + math.log(max(1, near[0].picture_bytes) / goal_bytes) / slope


def _on_grid(row: VideoCodec, crf: float) -> float:
    steps = round(crf / row.crf_step)
    return min(float(row.max_crf), max(row.best_crf, round(steps * row.crf_step, 2)))
