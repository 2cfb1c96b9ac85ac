"""The course of a rehearsal: a few frames and the other streams of a source go through everything a job does, with a
plain resampling in the network's place. Runs in a process of its own; writes into one scratch folder."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sr_tasks.config import Settings
from sr_tasks.demux.excerpt import excerpt
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.encode import read_packets
from sr_tasks.media.places import FRAMES_AT_CHANGE, Place, chosen
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.codecs import Preset
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import PlanRecord, SourceRecord
from sr_tasks.records.rehearsal import Rehearsal, RehearsedPlace
from sr_tasks.steps.rehearsal_places import Trial, stage
from sr_tasks.steps.rehearsal_streams import Joining
from sr_tasks.steps.shared.encoding import encode_settings

_MOST_FRAMES, _LEAST_FRAMES = 12, 2
_PLACES, _MOST_CHANGES = 3, 8
_WHOLE_BYTES: Final = 48 << 20
"""Of a source up to that size the other streams are joined whole, of a larger one their first seconds."""
_EXCERPT_S: Final = 10.0
_KEYFRAME_EVERY: Final = 250
"""Frames that encoders leave between keyframes at the most."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is tried: frames at each place, how many places where the picture changes, with which preset."""

    frames: int
    changes: int
    preset: Preset

    @classmethod
    def of(cls, spec: JobSpec, source: SourceRecord, budget_s: float, frame_s: Callable[[Preset], float]) -> "Effort":
        """As many frames as `budget_s` allows; `frame_s` gives the seconds a frame takes with a preset. Where even a
        few are too slow, the fastest preset stands for the job's own."""
        preset = spec.preset
        if _LEAST_FRAMES * _PLACES * frame_s(preset) > budget_s:
            preset = "ultrafast"
        affordable = int(budget_s / frame_s(preset))
        frames = max(_LEAST_FRAMES, min(_MOST_FRAMES, affordable // _PLACES))
        changes = max(1, min(_MOST_CHANGES, affordable // FRAMES_AT_CHANGE))
        return cls(frames=frames, changes=changes, preset=preset)


def through(
    spec: JobSpec, source: SourceRecord, effort: Effort, limits: GateLimits | None, scratch: Path, settings: Settings
) -> Rehearsal:
    """`limits`: the gate's, None where it is off. Raises RehearsalFailed for what a job would fail at, or the
    InputRefused error that says it better, InputDamaged."""
    path, video = Path(source.local_path), source.media.video
    with stage("choosing frames", path):
        places = chosen(path, source.media, effort.frames, effort.changes)
    threads = settings.worker_threads
    plan = PlanRecord(source_sha256="", chunks=(), streams=threads, encoder_threads=max(1, min(8, threads // 2)))
    encode = dataclasses.replace(encode_settings(spec, source, plan), preset=effort.preset)
    trial = Trial(spec=spec, source=source, encode=encode, limits=limits, scratch=scratch, settings=settings)
    first, *later = [trial.made(place) for place in places]
    trial.refuse_damage([first, *later])
    streams_s = None if source.size_bytes <= _WHOLE_BYTES else _EXCERPT_S
    begin_s = min((stream.start_s for stream in source.media.streams if stream.start_s is not None), default=0.0)
    joining = Joining(trial, first)
    with excerpt(path, begin_s + streams_s, _WHOLE_BYTES) if streams_s is not None else nullcontext():
        fates, changed = joining.settled()
    if joining.assessment is not None:
        trial.judge(first, joining.assessment)
    for made in later:
        trial.judge(made, trial.compare(made))
    key_bytes, between_bytes = _frame_bytes([file.path for made in (first, *later) for file in made.files], encode)
    least_picture_bytes = _least_picture_bytes(trial, places) if spec.is_rated else None
    return Rehearsal(
        key_bytes=key_bytes,
        between_bytes=between_bytes,
        stream_bytes=joining.stream_bytes,
        places=tuple(
            RehearsedPlace(
                start_s=round(float((place.video.start_pts - video.start_pts) * video.tick), 3),
                frames=place.video.frames,
            )
            for place in places
        ),
        is_whole=places[0].video.frames == video.frames,
        preset=effort.preset,
        streams_s=streams_s,
        fates=fates,
        least_picture_bytes=least_picture_bytes,
        changed=changed,
    )


def _least_picture_bytes(trial: Trial, places: Sequence[Place]) -> float:
    encode = dataclasses.replace(trial.encode, crf=trial.spec.video_codec.max_crf)
    worst = dataclasses.replace(trial, encode=encode)
    files = [file for place in places for file in worst.made(place).files]
    sizes = [[packet.size for packet, _ in read_packets(file.path, encode.time_base)] for file in files]
    first = [one[0] for one in sizes]
    later = [size for one in sizes for size in one[1:]]
    frames = trial.source.media.video.frames
    keyframes = -(-frames // _KEYFRAME_EVERY)
    return keyframes * sum(first) / len(first) + (frames - keyframes) * sum(later) / max(1, len(later))


def _frame_bytes(files: Sequence[Path], encode: EncodeSettings) -> tuple[float, float]:
    """Bytes of a keyframe and of another frame of the encoded picture, on average; 0 if there is none."""
    keys: list[int] = []
    between: list[int] = []
    for file in files:
        for packet, _ in read_packets(file, encode.time_base):
            (keys if packet.is_keyframe else between).append(packet.size)
    return statistics.fmean(keys or [0]), statistics.fmean(between or [0])
