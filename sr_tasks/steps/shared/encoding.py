"""The encoder settings of a job, from its request, its source and its plan. Pure."""

import dataclasses
from fractions import Fraction
from typing import Final

from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media import captions
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import PlanRecord, SourceRecord

KEPT_PX_BITS: Final = {8: 3.0}
"""Bits that lossless chunks take for each px and frame, by bit depth; measured and rounded up."""


def chunk_settings(spec: JobSpec, source: SourceRecord, plan: PlanRecord) -> EncodeSettings:
    """Of the files that `upscale` leaves: those of the output or, where its rate is decided later, lossless ones,
    whatever rate is asked for. Closed captions need a codec that carries them: H.264 at its best."""
    settings = encode_settings(spec, source, plan)
    if not spec.is_rated:
        return settings
    has_captions = any(row.codec == captions.NAME and row.fate == "kept" for row in source.fates)
    codec = "h264" if has_captions else "ffv1"
    return dataclasses.replace(settings, codec=codec, crf=0, preset="ultrafast")


def carries_captions(spec: JobSpec, pix_fmt: str) -> bool:
    """Whether closed captions come out of the job's encoders: where a rate is decided later there are two of them."""
    return spec.video_codec.carries_captions and (not spec.is_rated or pix_fmt in CODECS["h264"].pix_fmts)


def encode_settings(spec: JobSpec, source: SourceRecord, plan: PlanRecord) -> EncodeSettings:
    """Of the output; at the codec's default quality, where a rate is asked for."""
    video = source.media.video
    width, height = spec.output_size(video)
    return EncodeSettings(
        codec=spec.codec,
        crf=spec.effective_crf,
        preset=spec.preset,
        threads=plan.encoder_threads,
        width=width,
        height=height,
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
