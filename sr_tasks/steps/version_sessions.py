"""A version of a model, ready for planes of one size: what the tests of a release run. Judges nothing."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sr_tasks.config import Settings
from sr_tasks.inference.backend import Session, backend_for
from sr_tasks.inference.opened import open_session
from sr_tasks.models.entry import ModelEntry
from sr_tasks.models.prepare import prepare
from sr_tasks.models.prepared import GraphVariant, PreparedModel


def ready(entry: ModelEntry, variant: GraphVariant, settings: Settings, *, width: int, height: int) -> PreparedModel:
    """The version prepared as jobs of this deployment get it. Raises ModelRejected, and what `prepare` raises."""
    prepared, _ = prepare(
        entry,
        variant,
        backend_for(settings.backend),
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
    prepared = ready(entry, variant, settings, width=width, height=height)
    backend = backend_for(prepared.backend)
    with closing(
        open_session(backend, prepared, entry.card, width, height, streams=1, tile_px=settings.tile_px)
    ) as session:
        yield session
