"""Assesses a still picture: the figures of one frame against its source, without order, time and flicker."""

from sr_tasks.planes.arrays import Planes
from sr_tasks.quality.colors import CENTRED
from sr_tasks.quality.figures import Comparer, Look, output_picture, source_picture
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.pictures import Album
from sr_tasks.quality.tallies import Place, Stamps, Summary
from sr_tasks.records.assessment import Assessment, DecodeFacts, Occurrences
from sr_tasks.records.media import VideoInfo

_NONE = Occurrences(count=0, first=())


def assess_still(
    source: Planes, output: Planes, video: VideoInfo, album: Album | None = None, *,
    is_stylised: bool = False,
) -> Assessment:  # fmt: skip
    """Figures of an output picture against its source picture, both as the planes of `video`'s layout, the output's
    in its own size. An `album` is offered the pair. `is_stylised`: by a model of kind style."""
    place = Place(frame=0, time_s=0.0)
    before = source_picture(Frame(pts=0, planes=source, bit_depth=video.bit_depth))
    after = output_picture(Frame(pts=0, planes=output, bit_depth=video.bit_depth), video.width, video.height)
    comparer = Comparer(video.width, video.height, siting=CENTRED, is_full_range=True, is_stylised=is_stylised)
    figures = comparer.compare(before, after, lambda _: Look())
    scale = after.scales[0]
    summary, stamps = Summary(1), Stamps(video.tick, video.tick)
    summary.add(place, figures)
    stamps.place(0, 0, 0)
    if album is not None:
        album.offer(place, before, after, figures)
    return Assessment(
        scale=int(scale) if scale.is_integer() else round(scale, 4),
        is_still=True,
        frames=1,
        **summary.figures(),
        misplaced=_NONE,
        frozen=_NONE,
        black=_NONE,
        decode=DecodeFacts(
            source_frames=1, output_frames=1, damaged_frames=0, output_corrupt_frames=0, output_errors=0,
            output_error_texts=(),
        ),
        timing=stamps.result(),
    )  # fmt: skip
