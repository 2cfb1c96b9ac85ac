"""The encoder settings of a job, from its request, its source and its plan. Pure."""

from fractions import Fraction

from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import PlanRecord, SourceRecord


def encode_settings(spec: JobSpec, source: SourceRecord, plan: PlanRecord) -> EncodeSettings:
    video = source.media.video
    return EncodeSettings(
        codec=spec.codec,
        crf=spec.effective_crf,
        preset=spec.preset,
        threads=plan.encoder_threads,
        width=video.width * spec.scale,
        height=video.height * spec.scale,
        pix_fmt=video.pix_fmt,
        time_base=video.tick,
        average_rate=Fraction(video.average_rate),
        color_range=video.color_range,
        color_primaries=video.color_primaries,
        color_trc=video.color_trc,
        colorspace=video.colorspace,
        chroma_location=video.chroma_location,
        is_rgb=source.media.picture.is_rgb,
        sample_aspect_ratio=Fraction(video.sample_aspect_ratio.replace(":", "/")),
        hdr=source.hdr,
    )
