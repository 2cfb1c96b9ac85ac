"""The grain of a job's output: what its source has, less what the model leaves of it."""

from pathlib import Path
from typing import Final

from sr_tasks.inference.backend import Session
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.planes.grain import flat_places, measured
from sr_tasks.records.grain import Grain, synthetic
from sr_tasks.records.job import SourceRecord
from sr_tasks.release.paired import sampled

FRAMES: Final = 4
"""Frames that are measured."""


def grain_for(spec: JobSpec, source: SourceRecord, session: Session) -> Grain:
    """What is added to each frame of the output, in its px. For `keep` a few frames are measured before any filter, and
    again as `session` gives them: the same ones, however the job is cut into chunks. A source that shows nothing has
    no grain."""
    video, picture = source.media.video, source.media.picture
    scale = spec.output_size(video)[1] / video.height
    if spec.grain != "keep":
        return synthetic(spec.grain).enlarged(scale)
    path, size = Path(source.local_path), (video.height, video.width)
    each = -(-video.frames // FRAMES)
    chunks = plan_chunks(path, target_frames=each, total_frames=video.frames, picture=picture)
    before = sampled(path, picture.model_copy(update={"filters": ""}), chunks, video.bit_depth, FRAMES)
    shown = sampled(path, picture, chunks, video.bit_depth, FRAMES) if picture.filters else before
    if not before or len(shown) != len(before):
        return synthetic("off")
    places = [flat_places(planes[0], video.bit_depth) for planes in before]
    after = [session.infer((planes,)) for planes in shown]
    own = measured(before, places, size, video.bit_depth)
    return own.enlarged(scale).without(measured(after, places, size, video.bit_depth))
