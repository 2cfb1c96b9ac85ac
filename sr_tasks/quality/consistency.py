"""Assess: compares an output with its source frame by frame. Streams both files once; keeps figures, never frames.

Frames are paired by order: the n-th time stamp of the source with the n-th frame of the output. Time stamps at which
the source's decoder gives no frame count too, with the frame before them in its place, as upscaling does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2

from sr_tasks.errors import IntegrityBroken
from sr_tasks.planes.resample import chroma_siting
from sr_tasks.quality.colors import Siting
from sr_tasks.quality.figures import (
    Comparer,
    Look,
    Picture,
    output_picture,
    source_picture,
)
from sr_tasks.quality.frames import DecodeTally, Frame, decoded, prefetched, source_frames, with_missing
from sr_tasks.quality.order import Order
from sr_tasks.quality.pictures import Album
from sr_tasks.quality.tallies import Place, Stamps, Summary
from sr_tasks.records import colour
from sr_tasks.records.assessment import Assessment, DecodeFacts
from sr_tasks.records.media import Chunk, MediaInfo, VideoInfo
from sr_tasks.records.sizes import Size

CLOSER_EVERY = 4
"""SSIM and colour are taken of every fourth frame, geometry of every second one, all other figures of every frame."""
CLOSER_DB = 1.5
"""All figures are taken of the first frame and of every frame whose PSNR falls so far below the mean up to it."""

_REPORT_EVERY = 8


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """One frame of both files, ready to compare."""

    place: Place
    source: Picture
    output: Picture
    is_exempt: bool
    """Damaged or missing in the source: its place among its neighbours says nothing."""


def assess(
    source: Path,
    output: Path,
    source_info: MediaInfo,
    output_info: MediaInfo,
    size: Size,
    *,
    report_progress: Callable[[int], None],
    damaged_pts: frozenset[int] = frozenset(),
    threads: int = 2,
    album: Album | None = None,
    is_stylised: bool = False,
    places: Sequence[Chunk] = (),
) -> Assessment:
    """Compare all frames of `output` with `source`, decoding each file once and to its end.

    `size` is what the output was to have, in px. `damaged_pts` are the source's time stamps that its decoder gives no
    frame for. `report_progress` is told the frames done. `threads` is how many cores may be used. An `album` is offered
    every frame for pictures. `is_stylised`: the output departs from its source on purpose, which bears on how frames
    out of order are told. `places`: the output holds these frames of the source alone.
    Raises IntegrityBroken if the files have no pair of frames to compare or their shapes do not belong together, and
    InputRefused errors if a file cannot be opened.
    """
    tally = DecodeTally()
    before = with_missing(source_frames(source, source_info, places), damaged_pts)
    after = prefetched(decoded(output, output_info.video.index, max(1, threads - 1), tally))
    run = _Run(source_info, output_info, size, album, is_stylised=is_stylised)
    own_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # planes are too small to be worth splitting; the cores are busy decoding
    try:
        with closing(before), closing(after):
            for pair in run.pairs(before, after):
                run.add(pair)
                if run.count % _REPORT_EVERY == 0:
                    report_progress(run.count)
    finally:
        cv2.setNumThreads(own_threads)
    if run.count == 0:
        raise IntegrityBroken(f"{output} has no frame to compare with {source}.", hint="Run the job again.")
    report_progress(run.count)
    return run.assessment(tally)


class _Run:
    """The state of one assessment: what compares the frames, and the tallies."""

    def __init__(
        self, source_info: MediaInfo, output_info: MediaInfo, size: Size, album: Album | None, *, is_stylised: bool
    ) -> None:
        _check_shapes(source_info.video, output_info.video, size)
        self.count = 0
        self._video, self._scale, self._album = source_info.video, size[1] / source_info.video.height, album
        self._comparer = Comparer(
            self._video.width,
            self._video.height,
            siting=_siting(self._video),
            is_full_range=colour.range_of(self._video) == 2,
            is_stylised=is_stylised,
        )
        self._summary = Summary(self._video.frames)
        self._stamps = Stamps(self._video.tick, output_info.video.tick)
        self._order = Order(is_stylised=is_stylised)
        self._source_frames = self._output_frames = self._damaged = 0

    def pairs(self, source_frames: Iterator[Frame], output_frames: Iterator[Frame]) -> Iterator[_Pair]:
        """Pairs by order. Reads both files to their ends even if one has more frames."""
        for source in source_frames:
            self._source_frames += 1
            self._damaged += source.is_missing or source.is_corrupt
            output = next(output_frames, None)
            if output is None:
                continue
            self._output_frames += 1
            yield _Pair(
                place=self._stamps.place(self.count, source.pts, output.pts),
                source=source_picture(source),
                output=output_picture(output, self._video.width, self._video.height),
                is_exempt=source.is_missing or source.is_corrupt,
            )
        self._output_frames += sum(1 for _ in output_frames)

    def add(self, pair: _Pair) -> None:
        """Take the next pair into all tallies."""
        figures = self._comparer.compare(pair.source, pair.output, self._look)
        self._summary.add(pair.place, figures)
        if self._album is not None:
            self._album.offer(pair.place, pair.source, pair.output, figures)
        self._order.add(pair.place, pair.source, pair.output, is_exempt=pair.is_exempt)
        self.count += 1

    def _look(self, psnr_db: float) -> Look:
        if self.count == 0 or psnr_db < self._summary.psnr.value - CLOSER_DB:
            return Look()
        return Look(
            ssim=self.count % CLOSER_EVERY == 0,
            color=self.count % CLOSER_EVERY == 2,
            geometry=self.count % 2 == 1,
        )

    def assessment(self, output_tally: DecodeTally) -> Assessment:
        """Everything found, once both files were read to their ends."""
        return Assessment(
            scale=int(self._scale) if self._scale.is_integer() else round(self._scale, 4),
            frames=self.count,
            **self._summary.figures(),
            misplaced=self._order.misplaced,
            frozen=self._order.frozen,
            black=self._order.black,
            decode=DecodeFacts(
                source_frames=self._source_frames,
                output_frames=self._output_frames,
                damaged_frames=self._damaged,
                output_corrupt_frames=output_tally.corrupt_frames,
                output_errors=output_tally.error_count,
                output_error_texts=tuple(output_tally.errors),
            ),
            timing=self._stamps.result(),
        )


def _siting(video: VideoInfo) -> Siting:
    vertical, horizontal = chroma_siting(video.chroma, video.chroma_location)
    return Siting(down=vertical == "co-sited", across=horizontal == "co-sited")


def _check_shapes(source: VideoInfo, output: VideoInfo, size: Size) -> None:
    if (output.width, output.height) != size:
        raise IntegrityBroken(
            f"The output is {output.width}x{output.height}, not {size[0]}x{size[1]}.",
            hint="Check that both files and the size belong together.",
        )
    if (output.chroma == "gray") != (source.chroma == "gray"):
        raise IntegrityBroken(
            f"The output is {output.pix_fmt} while the source is {source.pix_fmt}.",
            hint="Check that both files belong together.",
        )
