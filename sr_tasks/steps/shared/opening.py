"""Opens a job's model, with what its output is blended with and resampled by."""

from sr_tasks.config import Settings
from sr_tasks.inference.backend import Backend, Session
from sr_tasks.inference.blended import blended
from sr_tasks.inference.opened import open_session
from sr_tasks.inference.priority import giving_way
from sr_tasks.inference.resized import resized
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.job import ModelRecord, SourceRecord
from sr_tasks.records.prepared import PreparedModel
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared.plain import plain_entry


def open_model(
    backend: Backend, spec: JobSpec, source: SourceRecord, model: ModelRecord, streams: int, settings: Settings
) -> Session:
    """The job's model for its frames, in threads that give way to the encoder. Planes come out in the output's size.
    Raises ModelRejected."""
    video = source.media.video

    def opened(prepared: PreparedModel, card: ModelCard) -> Session:
        width, height, tile_px = video.width, video.height, model.tile_px
        return giving_way(
            lambda: open_session(backend, prepared, card, width, height, streams=streams, tile_px=tile_px)
        )

    variant, size = model.prepared.variant, spec.output_size(video)
    plain = opened(model.plain, plain_entry(variant.scale, settings).card) if model.plain is not None else None
    if plain is not None and spec.strength == 0.0:
        return resized(plain, variant, size)
    session = opened(model.prepared, Registry.of(settings).get(source.model).card)
    return resized(session if plain is None else blended(session, plain, spec.strength), variant, size)
