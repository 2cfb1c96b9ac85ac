"""The plain resampling that a network's output is blended with where a request's strength is less than 1."""

from typing import Final

from sr_tasks.config import Settings
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry

_PLAIN: Final = {1: "identity"}
_ENLARGING: Final = "bicubic"


def plain_entry(scale: int, settings: Settings) -> ModelEntry:
    """The model that resamples to that scale and does nothing else: at scale 1 it gives the source back. Raises
    ModelUnknown for a registry without it, and ScaleUnsupported."""
    entry = Registry.of(settings).get(_PLAIN.get(scale, _ENLARGING))
    entry.require_scale(scale)
    return entry
