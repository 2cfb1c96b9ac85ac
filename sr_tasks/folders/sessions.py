"""Open networks for pictures of many sizes: the last few stay open."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from sr_tasks.config import Settings
from sr_tasks.graphs.prepare import prepare
from sr_tasks.graphs.runtime import Session
from sr_tasks.inference.blended import blended
from sr_tasks.inference.lease import Device
from sr_tasks.inference.memory import Room, choose_tile_px
from sr_tasks.inference.opened import open_session
from sr_tasks.inference.tiles import Layout, plan_grid
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.steps.shared.plain import plain_entry

KEPT: Final = 4
"""Sessions that stay open, those used last."""


class Sessions:
    """Sessions of one device by model, kind of picture and size. Close it when done."""

    def __init__(self, device: Device, settings: Settings) -> None:
        self._device, self._settings = device, settings
        self._open: OrderedDict[tuple[str, GraphVariant, int, int, float], Session] = OrderedDict()

    def get(self, entry: ModelEntry, variant: GraphVariant, width: int, height: int, *, strength: float) -> Session:
        """A session for pictures of `width` x `height` px, blended with plain resampling by a strength below 1.
        Raises ModelRejected, DiskFull."""
        key = (entry.label, variant, width, height, strength)
        if key not in self._open:
            while len(self._open) >= KEPT:
                self._open.popitem(last=False)[1].close()
            self._open[key] = self._blended(entry, variant, width, height, strength)
        self._open.move_to_end(key)
        return self._open[key]

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _blended(self, entry: ModelEntry, variant: GraphVariant, width: int, height: int, strength: float) -> Session:
        if strength == 1.0:
            return self._opened(entry, variant, width, height)
        plain = plain_entry(variant.scale, self._settings)
        kind = replace(variant, colorspace=0, color_range=0, level=0.0)
        soft = self._opened(plain, kind, width, height)
        return soft if strength == 0.0 else blended(self._opened(entry, variant, width, height), soft, strength)

    def _opened(self, entry: ModelEntry, variant: GraphVariant, width: int, height: int) -> Session:
        settings, backend = self._settings, self._device.backend
        room = Room.of_device(self._device.gpu, 1, max_task_bytes=settings.max_task_bytes)
        tile_px = choose_tile_px(entry, variant, width, height, room, wanted=settings.tile_px)
        grid = plan_grid(Layout.of(entry.card, variant), width, height, tile_px)
        prepared, _ = prepare(
            entry,
            variant,
            backend,
            settings.precision,
            settings.workdir / "models",
            width=grid.columns.window,
            height=grid.rows.window,
            settings=settings,
        )
        return open_session(backend, prepared, entry.card, width, height, streams=1, tile_px=tile_px)
