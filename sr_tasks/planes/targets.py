"""Which working format a pixel format is brought to: the nearest that the codec holds and that loses nothing visible.

Told in order of weight: alpha is kept, then chroma, then depth. The table of chroma says what comes next where a codec
lacks the best. Depth is the smallest that holds every code, else the largest there is, rounded. RGB becomes Y'CbCr of
full range by the matrix of BT.709, with two more bits than it had, from which every code of R, G and B comes back; of
limited range where every reader takes the codec for that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from sr_tasks.errors import InputUnsupported
from sr_tasks.planes.chroma import FACTORS
from sr_tasks.planes.formats import PixelFormat, Sampling, pixel_format
from sr_tasks.records.codecs import CODECS, VideoCodec
from sr_tasks.records.colour import FULL, LIMITED, range_of
from sr_tasks.records.containers import TARGETS
from sr_tasks.records.layout import ANY, PixelWish, PlaneLayout
from sr_tasks.records.media import Chroma, MediaInfo

_CHROMA: Final[dict[Sampling, tuple[Chroma, ...]]] = {
    "410": ("420", "422", "444"),
    "411": ("422", "444", "420"),
    "420": ("420", "422", "444"),
    "422": ("422", "444", "420"),
    "440": ("444", "420", "422"),
    "444": ("444", "422", "420"),
    "gray": ("gray", "420", "422", "444"),
}
"""Sampling of a source -> samplings of the working format, the best first."""

_CHROMAS: Final[tuple[Chroma, ...]] = ("420", "422", "444", "gray")
_DEPTHS: Final = (8, 10, 12, 14, 16)
_RGB_BITS: Final = 2

EVERY: Final = frozenset(
    PlaneLayout(chroma=chroma, bit_depth=depth, has_alpha=alpha)
    for chroma, depth, alpha in product(_CHROMAS, _DEPTHS, (False, True))
    if not (alpha and (chroma == "gray" or depth == 14))
)
"""All working formats, for files that nothing is encoded from."""


def pixel_facts(name: str) -> dict[str, Any]:
    """The fields of a VideoInfo that say how the frames of an FFmpeg pixel format are seen by the network, where
    nothing is encoded. Raises what `working_format` raises."""
    return _facts(name, working_format(name))


def _facts(name: str, working: "WorkingFormat") -> dict[str, Any]:
    layout = working.layout
    return {
        "source_pix_fmt": name,
        "pix_fmt": layout.pix_fmt,
        "chroma": layout.chroma,
        "bit_depth": layout.bit_depth,
        "has_alpha": layout.has_alpha,
        "pixel_notes": working.notes,
    }


def for_codec(media: MediaInfo, codec: str, muxer: str, *, strict: bool = False, wish: PixelWish = ANY) -> MediaInfo:
    """What `media` is to a job that encodes with `codec` into a file of FFmpeg's `muxer`: its pictures in a format that
    both hold and that is as wished for.

    Raises InputUnsupported if there is none, and, where the job is `strict`, if alpha or depth would be lost.
    """
    name, color_range = media.video.source_pix_fmt, range_of(media.video)
    working = working_format(name, codec, color_range, muxer, wish)
    if strict and working.loses:
        fitting = [row.name for row in CODECS.values() if not _losses_of(name, color_range, row)]
        raise InputUnsupported(
            f"The source is {name}; with {codec} {' and '.join(working.loses)}, and the job is strict.",
            hint=f"Choose codec {' or '.join(fitting)}, or leave strict off." if fitting else "Leave strict off.",
        )
    brought = {"color_range": working.color_range} if working.color_range else {}
    video = media.video.model_copy(update=_facts(name, working) | brought)
    picture = media.picture.model_copy(update={"pix_fmt": video.pix_fmt} | brought)
    return media.model_copy(update={"video": video, "picture": picture})


@dataclass(frozen=True, kw_only=True)
class WorkingFormat:
    """What a pixel format becomes before the network, and what that costs it."""

    layout: PlaneLayout
    changes: tuple[str, ...] = ()
    """In half sentences, what changes and loses nothing."""
    loses: tuple[str, ...] = ()
    """In half sentences, what is lost."""
    color_range: int = 0
    """AVColorRange that pictures of full range are brought to. 0: they keep theirs."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Both; empty where every sample stays as it is."""
        return self.changes + self.loses


def _losses_of(name: str, color_range: int, row: VideoCodec) -> tuple[str, ...]:
    return working_format(name, row.name, color_range, TARGETS[row.suffix]).loses


def working_format(
    name: str, codec: str | None = None, color_range: int = 0, muxer: str | None = None, wish: PixelWish = ANY
) -> WorkingFormat:
    """The working format of an FFmpeg pixel format, for a job that encodes with `codec` into a file of `muxer` (None:
    into one that holds all the codec can). `color_range` is the AVColorRange of the pictures, as far as the format does
    not say it. What is lost because it is wished for counts as a change.

    Raises InputUnsupported for formats that cannot be brought to one, or that the codec holds nothing like.
    """
    source = pixel_format(name)
    layouts = _layouts(codec, muxer)
    fitting = [layout for layout in layouts if layout.chroma in _CHROMA[source.sampling]]
    if not fitting:
        raise InputUnsupported(
            f"{codec} holds no pixel format near the source's {name}.", hint="Choose another codec, e.g. ffv1."
        )
    nearest = min(fitting, key=lambda one: _cost(source, one))
    wished = [layout for layout in fitting if wish.admits(layout)]
    layout = min(wished, key=lambda one: _cost(source, one)) if wished else nearest
    is_asked = layout != nearest
    is_full = source.is_full_range or color_range == FULL
    new_range = LIMITED if is_full and codec is not None and CODECS[codec].is_limited_range else 0
    losses = tuple(_losses(source, layout, codec, new_range, is_asked=is_asked))
    return WorkingFormat(
        layout=layout,
        changes=(*_changes(name, source, layout, new_range), *(losses if is_asked else ())),
        loses=() if is_asked else losses,
        color_range=new_range,
    )


def _layouts(codec: str | None, muxer: str | None) -> Iterable[PlaneLayout]:
    if codec is None:
        return EVERY
    row = CODECS[codec]
    is_held = muxer is None or muxer in row.alpha_muxers
    return [layout for layout in row.layouts if is_held or not layout.has_alpha]


def _wanted_bits(source: PixelFormat) -> int:
    return min(16, source.bit_depth + (_RGB_BITS if source.is_rgb else 0))


def _cost(source: PixelFormat, layout: PlaneLayout) -> tuple[int, int, int, int]:
    """The smaller, the nearer."""
    wanted = _wanted_bits(source)
    chroma = _CHROMA[source.sampling].index(layout.chroma)
    if source.sampling == "gray" and layout.has_alpha:
        chroma -= 1  # gray with alpha lies in no planes of its own: chroma without colour goes with it
    short = max(0, wanted - layout.bit_depth)
    return int(source.has_alpha != layout.has_alpha), chroma, short, layout.bit_depth


def _changes(name: str, source: PixelFormat, layout: PlaneLayout, new_range: int) -> Iterable[str]:
    if source.is_rgb:
        named = "limited" if new_range == LIMITED else "full"
        yield f"RGB ({name}) becomes {layout.pix_fmt} of {named} range by the matrix of BT.709"
    elif source.sampling == "gray" and layout.chroma != "gray":
        yield f"gray is held as {layout.pix_fmt} without colour"
    elif source.sampling != layout.chroma and not _is_coarser(source, layout):
        yield f"chroma is resampled from {_spoken(source.sampling)} to {_spoken(layout.chroma)}"
    if not source.is_rgb and source.bit_depth < layout.bit_depth:
        yield f"{source.bit_depth} bits are held in {layout.bit_depth}"
    if not source.is_rgb and new_range == LIMITED:
        yield "full range becomes limited range"


def _losses(
    source: PixelFormat, layout: PlaneLayout, codec: str | None, new_range: int, *, is_asked: bool
) -> Iterable[str]:
    holder = codec or "the working format"
    with_alpha = " with alpha" if layout.has_alpha else ""
    if source.bit_depth > layout.bit_depth:
        because = "was asked for" if is_asked else f"{holder} holds no more"
        yield f"{source.bit_depth} bits are rounded to {layout.bit_depth}, as {because}"
    if _is_coarser(source, layout):
        because = "was asked for" if is_asked else f"{holder} holds no finer one{with_alpha}"
        yield f"chroma is resampled to {_spoken(layout.chroma)}, as {because}"
    if source.is_rgb and layout.bit_depth < _wanted_bits(source) <= 10:
        because = "was asked for" if is_asked else f"{holder} holds {layout.bit_depth} bits"
        yield f"RGB is rounded, as {because} and {_wanted_bits(source)} are needed"
    if not source.is_rgb and new_range == LIMITED and source.bit_depth == layout.bit_depth:
        yield f"{source.bit_depth} bits of full range are rounded, as {holder} holds limited range alone"
    if source.has_alpha and not layout.has_alpha:
        yield f"alpha is flattened onto black, as {holder} in such a file holds none"


def _is_coarser(source: PixelFormat, layout: PlaneLayout) -> bool:
    """Whether there are fewer samples of chroma on an axis."""
    return any(old < new for old, new in zip(FACTORS[source.sampling], FACTORS[layout.chroma], strict=True)) and (
        source.sampling != "gray"
    )


def _spoken(sampling: Sampling) -> str:
    return ":".join(sampling)
