"""The forecast of a job: how long it works, how large its output becomes, what that costs. From the rehearsal's frames
and from what jobs on this machine took before; by the model's card where there were none."""

import math
from dataclasses import dataclass
from typing import Any, Final

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.jobs.view import noted_timings
from sr_tasks.records.forecast import Forecast
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import learned
from sr_tasks.steps.shared.pace import seconds_a_frame
from sr_tasks.steps.shared.sizes import wished_bytes

_KEYFRAME_EVERY: Final = 250
"""Frames of one shot that encoders put between keyframes."""
_COMPARING_S: Final = 0.02
"""Seconds that comparing a megapixel of output takes where nothing was learned."""
_REST_S: Final = 4.0
"""Of all other steps."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The amounts of work of a job, and the kinds it is learned by."""

    spec: JobSpec
    source: SourceRecord
    scale: int

    @property
    def megapixels(self) -> float:
        """Of all frames as the network gives them."""
        video = self.source.media.video
        return video.width * video.height * self.scale**2 * video.frames / 1e6

    @property
    def output_megapixels(self) -> float:
        video = self.source.media.video
        return math.prod(self.spec.output_size(video)) * video.frames / 1e6

    @property
    def upscaling(self) -> str:
        spec, video = self.spec, self.source.media.video
        return f"upscale {self.source.model} {self.scale} {spec.codec} {spec.preset} {video.pix_fmt}"

    @property
    def comparing(self) -> str:
        return f"assess {self.spec.codec}"

    @property
    def encoding(self) -> str:
        rehearsed = self.source.rehearsal.preset if self.source.rehearsal else ""
        return f"size {self.source.model} {self.spec.codec} {self.spec.preset} {rehearsed}"

    def bytes_by_rehearsal(self) -> tuple[float, float]:
        """Of the picture as the rehearsed frames suggest, and of all other streams."""
        video, rehearsal = self.source.media.video, self.source.rehearsal
        if rehearsal is None or not rehearsal.key_bytes:
            return self.output_megapixels * 1e6 * self.spec.video_codec.bits_per_px / 8, 0.0
        others = float(rehearsal.stream_bytes)
        if rehearsal.streams_s:
            others *= max(1.0, video.duration_s / rehearsal.streams_s)
        if not rehearsal.between_bytes:
            return rehearsal.key_bytes * video.frames, others
        keys = min(video.frames, -(-video.frames // _KEYFRAME_EVERY))
        return rehearsal.key_bytes * keys + rehearsal.between_bytes * (video.frames - keys), others


def forecast(spec: JobSpec, source: SourceRecord, settings: Settings) -> Forecast:
    """Of a job whose model is chosen and whose rehearsal passed. Raises ModelUnknown."""
    work, card = _work(spec, source, settings), Registry.of(settings).get(source.model).card
    video = source.media.video
    upscaling, comparing = (learned.known(kind, settings) for kind in (work.upscaling, work.comparing))
    rest, sizes = (learned.known(kind, settings) for kind in ("rest", work.encoding))
    network_s = seconds_a_frame(card, video.width * video.height, work.scale, settings) * video.frames
    encode_s = spec.video_codec.encoding_s(spec.preset) * work.output_megapixels / settings.worker_threads
    device_s = learned.expected(upscaling, work.megapixels) if upscaling else network_s + encode_s
    seconds = device_s
    seconds += (
        learned.expected(comparing, work.output_megapixels) if comparing else _COMPARING_S * work.output_megapixels
    )
    seconds += learned.expected(rest, work.output_megapixels) if rest else _REST_S
    picture, others = work.bytes_by_rehearsal()
    factor = learned.expected(sizes, 1.0) if sizes else 1.0
    price = settings.device_hour_cost
    return Forecast(
        seconds=round(seconds, 2),
        size_bytes=wished_bytes(spec, source.media) or round(picture * factor + others),
        cost=round(device_s / 3600 * price, 4) if price else None,
        basis=f"time from {_jobs(len(upscaling)) if upscaling else 'the card of the model'}, size from rehearsed frames"
        + (f" and {_jobs(len(sizes))}" if sizes else ""),
    )


def compared(folder: JobFolder) -> dict[str, Any] | None:
    """The forecast of a finished job beside what came true, for its manifest."""
    said = folder.find("forecast", Forecast)
    if said is None:
        return None
    output = folder.load("output", OutputRecord)
    return {
        "forecast": said.model_dump(mode="json"),
        "actual": {"seconds": round(_seconds(folder, output), 2), "size_bytes": output.size_bytes},
    }


def learn(folder: JobFolder, settings: Settings) -> None:
    """Keep what a finished job took for the forecasts of later ones. What goes wrong in it is logged: no job may fail
    for it."""
    try:
        spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
        output, timings = folder.load("output", OutputRecord), noted_timings(folder)
        work = _work(spec, source, settings)
        picture, others = work.bytes_by_rehearsal()
        learned.learn(work.upscaling, work.megapixels, output.upscale_s, settings)
        learned.learn(work.comparing, work.output_megapixels, timings[Task.ASSESS], settings)
        rest_s = _seconds(folder, output) - output.upscale_s - timings[Task.ASSESS]
        learned.learn("rest", work.output_megapixels, rest_s, settings)
        learned.learn(work.encoding, 1.0, max(1.0, output.size_bytes - others) / max(1.0, picture), settings)
    except Exception as exc:
        logger.opt(exception=exc).warning("what job {} took could not be learned", folder.job_id)


def _work(spec: JobSpec, source: SourceRecord, settings: Settings) -> _Work:
    card = Registry.of(settings).get(source.model).card
    return _Work(spec=spec, source=source, scale=spec.network_scale(source.media.video, card.scales))


def _seconds(folder: JobFolder, output: OutputRecord) -> float:
    """Of work of the steps up to the report."""
    return output.upscale_s + sum(s for task, s in noted_timings(folder).items() if task != Task.REPORT)


def _jobs(count: int) -> str:
    return "an earlier job" if count == 1 else f"{count} earlier jobs"
