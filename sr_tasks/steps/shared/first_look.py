"""The first look at a source, taken by a process of its own: files come from anywhere, and decoders have holes."""

import dataclasses
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sr_tasks.jobs.form import Fields, Strip
from sr_tasks.media.degradation import measure
from sr_tasks.media.field_plan import with_fields
from sr_tasks.media.probe import glance, probe
from sr_tasks.records.degradation import Degradation
from sr_tasks.records.media import AS_IT_SAYS, UNTOUCHED, MediaInfo, PicturePlan, ReadOptions, StreamPlan, VideoInfo
from sr_tasks.records.sound import COPY, SoundWish
from sr_tasks.steps.shared.confined import Bounds, confined
from sr_tasks.streams.plan import plan_streams

_BYTES_PER_PX = 96
"""Sixteen reference frames of the largest kind, 12-bit 4:4:4: more no codec holds."""
_OTHER_BYTES = 512 << 20
_CPU_S = 120
_BYTES_PER_CPU_S = 2 << 20
"""A twentieth of what was measured, or less: walking a file's packets is work, and machines differ."""


_BYTES_PER_DECODING_S = 100 << 10
"""Of a source that has to be decoded once: what a core does of a small picture."""
_MAX_TABLE_BYTES = 1 << 30


class Findings(BaseModel):
    """What `validate` wants to know of a source."""

    model_config = ConfigDict(frozen=True)

    media: MediaInfo
    display_matrix: tuple[int, ...] | None
    mastering_display_hex: str
    content_light_level_hex: str
    lost: tuple[str, ...]
    """What the frames carry beside pixels that the output will not."""


class _Fates(BaseModel):
    fates: tuple[StreamPlan, ...]


def bounds_for(path: Path, *, max_pixels: int, task_bytes: int) -> Bounds:
    """For reading a file whose frames may have `max_pixels`, by a task that may have `task_bytes` in all."""
    return Bounds(
        memory_bytes=min(_OTHER_BYTES + _BYTES_PER_PX * max_pixels, task_bytes),
        cpu_s=_CPU_S + path.stat().st_size // _BYTES_PER_CPU_S,
    )


def first_look(
    path: Path, bounds: Bounds, *, max_pixels: int, max_duration_s: float, fields: Fields = "single",
    options: ReadOptions = AS_IT_SAYS, table: Path | None = None,
) -> Findings:  # fmt: skip
    """`fields`: what is wished for if the source is interlaced. `options` and `table` are those of `probe`. Raises what
    `glance`, `probe`, `with_fields` and `confined` raise."""

    def look() -> Findings:
        first = glance(path, max_pixels=max_pixels, max_duration_s=max_duration_s, options=options)
        return Findings(
            media=with_fields(path, probe(path, first, options=options, table=table), fields),
            display_matrix=first.display_matrix,
            mastering_display_hex=first.hdr.mastering_display.hex(),
            content_light_level_hex=first.hdr.content_light_level.hex(),
            lost=tuple(sorted(first.lost)),
        )

    if table is not None:
        cpu_s = bounds.cpu_s + path.stat().st_size // _BYTES_PER_DECODING_S
        bounds = dataclasses.replace(bounds, cpu_s=cpu_s, written_bytes=_MAX_TABLE_BYTES)
    return confined(look, Findings, path, bounds)


def planned_streams(
    path: Path, bounds: Bounds, media: MediaInfo, suffix: str, codec: str, strip: Strip = "nothing",
    sound: SoundWish = COPY,
) -> list[StreamPlan]:  # fmt: skip
    """Raises what `plan_streams` raises, and what `confined` raises."""

    def plan() -> _Fates:
        return _Fates(fates=tuple(plan_streams(path, media, suffix, codec, strip, sound)))

    return list(confined(plan, _Fates, path, bounds).fates)


def measured(path: Path, bounds: Bounds, video: VideoInfo, picture: PicturePlan = UNTOUCHED) -> Degradation:
    """Raises what `measure` raises, and what `confined` raises."""
    return confined(lambda: measure(path, video, picture), Degradation, path, bounds)
