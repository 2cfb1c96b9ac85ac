"""A version of a model, ready for planes of one size: what the tests of a release run. Judges nothing."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sr_tasks.config import Settings
from sr_tasks.graphs.prepare import prepare
from sr_tasks.inference.backend import Backend, Session
from sr_tasks.inference.lease import Holder, leased_backend
from sr_tasks.inference.opened import open_session
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.entry import ModelEntry


def ready(entry: ModelEntry, variant: GraphVariant, settings: Settings, *, width: int, height: int) -> PreparedModel:
    """The version prepared as jobs of this deployment get it. Raises ModelRejected, and what `prepare` raises."""
    with leased_backend(settings.backend, settings, _holder(entry)) as device:
        return _prepared(device.backend, entry, variant, settings, width=width, height=height)


def _prepared(
    backend: Backend, entry: ModelEntry, variant: GraphVariant, settings: Settings, *, width: int, height: int
) -> PreparedModel:
    prepared, _ = prepare(
        entry,
        variant,
        backend,
        settings.precision,
        settings.workdir / "models",
        width=width,
        height=height,
        settings=settings,
    )
    return prepared


@contextmanager
def opened(
    entry: ModelEntry, variant: GraphVariant, settings: Settings, *, width: int, height: int
) -> Iterator[Session]:
    """A session for frames of `width` x `height`, one stream."""
    with leased_backend(settings.backend, settings, _holder(entry)) as device:
        backend = device.backend
        prepared = _prepared(backend, entry, variant, settings, width=width, height=height)
        with closing(
            open_session(backend, prepared, entry.card, width, height, streams=1, tile_px=settings.tile_px)
        ) as session:
            yield session


def _holder(entry: ModelEntry) -> Holder:
    return Holder(job=f"that tries {entry.label}")
