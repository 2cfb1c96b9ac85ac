"""What observes the work may not disturb it: the one guard around alerts, metrics and evidence of releases."""

import functools
from collections.abc import Callable
from typing import ParamSpec

from loguru import logger

_Given = ParamSpec("_Given")


def observes(observer: Callable[_Given, None]) -> Callable[_Given, None]:
    """Log whatever the function raises; who called it goes on, and so does every other observer."""

    @functools.wraps(observer)
    def guarded(*given: _Given.args, **named: _Given.kwargs) -> None:
        try:
            observer(*given, **named)
        except Exception as exc:
            name = f"{observer.__module__}.{observer.__name__}"
            logger.opt(exception=exc).error("{} failed; the job goes on without it: {}", name, exc)

    return guarded
