"""Lengths of time for readers. Pure."""

import math

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def in_words(seconds: float) -> str:
    """The two largest units, without a second one that is 0: `0.28 s`, `12 s`, `2 min 5 s`, `12 min`, `2 d 3 h`.

    Below a minute hundredths are kept; above, what is smaller than the second unit is left out.
    """
    seconds = max(0.0, seconds)
    if round(seconds, 2) < 60:
        return f"{round(seconds, 2):.15g} s"
    whole = round(seconds)
    first = next(number for number, (_, length) in enumerate(_UNITS) if whole >= length)
    (large, length), (small, part) = _UNITS[first : first + 2]
    count, rest = divmod(whole, length)
    return f"{count} {large} {rest // part} {small}" if rest >= part else f"{count} {large}"


def on_a_clock(seconds: float, *, with_hours: bool = False) -> str:
    """Whole seconds, rounded up, as players show them: `0:17`, `2:05:00`; hours from one on, or always."""
    whole = math.ceil(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours or with_hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}"
