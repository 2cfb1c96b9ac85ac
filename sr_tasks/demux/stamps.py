"""Time stamps of frames that are missing, equal or descending get repaired by a stated rule. Arithmetic alone.

A stamp is believed if it lies behind the last believed one, and not behind most of the eight that follow it. A frame
without a believed stamp takes its place at the frame rate behind the frame before it or, where that leaves too little
room for the next believed one, evenly between the two.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_AHEAD: Final = 8
_MOST_WAITING: Final = 256
"""Frames in a row that wait for a believed stamp, before they get theirs at the frame rate."""


@dataclass(kw_only=True)
class Ascending(Generic[Item]):
    """Gives every item of a sequence a time stamp, strictly ascending. `step` is a frame's duration in ticks."""

    step: int
    repaired: Counter[str] = field(default_factory=Counter)
    """How many stamps were `missing`, `equal` or `descending`."""
    _last: int | None = None

    def repair(self, items: Iterable[tuple[int | None, Item]]) -> Iterator[tuple[int, Item]]:
        """Of pairs of stamp and item, in the order of display."""
        waiting: list[tuple[int | None, Item]] = []
        for stamp, item, following in _with_following(items):
            if stamp is not None and self._is_believed(stamp, following) and self._has_room(stamp, len(waiting)):
                yield from self._between(waiting, stamp)
                yield stamp, item
                waiting, self._last = [], stamp
                continue
            waiting.append((stamp, item))
            if len(waiting) >= _MOST_WAITING:
                yield from self._between(waiting, None)
                waiting = []
        yield from self._between(waiting, None)

    def _is_believed(self, stamp: int, following: tuple[int, ...]) -> bool:
        is_behind = self._last is None or stamp > self._last
        return is_behind and 2 * sum(later < stamp for later in following) <= len(following)

    def _has_room(self, stamp: int, waiting: int) -> bool:
        return self._last is None or stamp - self._last > waiting

    def _between(self, waiting: list[tuple[int | None, Item]], end: int | None) -> Iterator[tuple[int, Item]]:
        """Stamps for those that wait, behind the last one and before `end`."""
        count = len(waiting)
        if not count:
            return
        start = believed = self._last
        if start is None:
            start = (end if end is not None else self.step * count) - self.step * (count + 1)
        for place, (stamp, item) in enumerate(waiting, 1):
            self.repaired["missing" if stamp is None else "equal" if stamp == believed else "descending"] += 1
            at = start + self.step * place
            if end is not None and 2 * (end - start) < (2 * count + 1) * self.step:
                at = start + (end - start) * place // (count + 1)
            self._last = at
            yield at, item


def _with_following(
    items: Iterable[tuple[int | None, Item]],
) -> Iterator[tuple[int | None, Item, tuple[int, ...]]]:
    """Each pair, with the stamps of up to eight behind it."""
    coming = iter(items)
    ahead = deque(islice(coming, _AHEAD + 1))
    while ahead:
        stamp, item = ahead.popleft()
        yield stamp, item, tuple(later for later, _ in ahead if later is not None)
        ahead.extend(islice(coming, 1))
