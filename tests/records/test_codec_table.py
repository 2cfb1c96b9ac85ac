"""The table of codecs: its encoders are there, take what it says, and fit the containers it says."""

import io
from typing import get_args

import av
import pytest

from sr_tasks.errors import UsageError
from sr_tasks.jobs.spec import job_spec
from sr_tasks.records.codecs import CODECS, Codec, VideoCodec
from sr_tasks.records.containers import TARGETS, holds

ROWS = [pytest.param(row, id=row.name) for row in CODECS.values()]


def test_a_job_may_ask_for_exactly_the_codecs_of_the_table() -> None:
    assert set(get_args(Codec)) == set(CODECS)


@pytest.mark.parametrize("row", ROWS)
def test_the_encoder_takes_every_pixel_format_of_its_row(row: VideoCodec) -> None:
    encoder = av.Codec(row.encoder, "w")
    assert encoder.canonical_name in (row.name, row.encoder)
    assert row.pix_fmts <= {pix_fmt.name for pix_fmt in encoder.video_formats or ()}


@pytest.mark.parametrize("row", ROWS)
def test_the_muxers_of_a_row_take_the_codec_and_are_ones_that_are_written(row: VideoCodec) -> None:
    assert row.muxers <= set(TARGETS.values())
    assert holds(row.suffix, row.name)
    for muxer in row.muxers:
        with av.open(io.BytesIO(), "w", format=muxer) as container:
            container.add_mux_stream(row.name, rate=25, width=64, height=64)


@pytest.mark.parametrize("row", ROWS)
def test_a_crf_past_the_codecs_scale_is_refused(row: VideoCodec) -> None:
    assert job_spec({"codec": row.name}).effective_crf == (row.crf or 0)
    assert job_spec({"codec": row.name, "crf": row.max_crf}).effective_crf == row.max_crf
    with pytest.raises(UsageError, match=f"crf={row.max_crf + 1}"):
        job_spec({"codec": row.name, "crf": row.max_crf + 1})
