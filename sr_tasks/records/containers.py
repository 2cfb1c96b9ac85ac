"""The containers that outputs may have, and what becomes of the streams that a container does not hold.

A further container is one row in each table. Whether a stream is held at all is asked of FFmpeg's muxer itself
(`streams/plan.py`); these tables say what is tried instead where it is not.
"""

from typing import Final

from sr_tasks.records.codecs import CODECS
from sr_tasks.records.media import FLAT, VideoInfo, ViewInfo

TARGETS: Final = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Suffix of an output -> FFmpeg's muxer."""

MUXER_OPTIONS: Final = {"mp4": {"strict": "experimental"}}
"""Options that decide which streams a muxer takes. MP4 holds TrueHD, which FFmpeg calls experimental."""

TEXT_TARGETS: Final = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""Muxer -> encoder for text subtitles in a codec that it does not hold."""

LOSSLESS_TARGETS: Final = {"mp4": "flac", "mov": "alac", "matroska": "flac", "webm": "libopus"}
"""Muxer -> encoder for sound without loss, but PCM where the muxer holds PCM well."""

LOSSY_TARGETS: Final = {"mp4": "aac", "mov": "aac", "matroska": "flac", "webm": "libopus"}
"""Muxer -> encoder for sound with loss. FLAC, where players of the container know it, adds no further loss."""

PCM_CONTAINERS: Final = frozenset({"mov", "matroska"})
"""Muxers whose PCM every player reads. Many read PCM in MP4 as 16 bits, whatever its depth."""

COVER_CODECS: Final = {"mp4": frozenset({"mjpeg", "png", "bmp"}), "mov": frozenset[str](), "webm": frozenset[str]()}
"""Muxer -> codecs of covers. Matroska is not here: it holds every file as an attachment."""

_PROJECTION_CONTAINERS: Final = frozenset({"mp4", "matroska", "webm"})
"""Muxers that say of a picture that it is spherical. FFmpeg writes it in MP4, not in MOV."""
_STEREO: Final = {
    "matroska": frozenset({"side by side", "top and bottom", "frame sequence"}),
    "webm": frozenset({"side by side", "top and bottom"}),
    "mp4": frozenset({"side by side", "top and bottom"}),
}
"""Muxer -> kinds of stereo 3D that it says. MP4 has no word for the right eye first."""

_SAYS_SITING: Final = {"h264": frozenset(range(7)), "hevc": frozenset(range(7)), "av1": frozenset({0, 1, 3})}
"""Codec -> values of AVChromaLocation that its stream says itself."""
_SITING_CONTAINERS: Final = {
    "matroska": frozenset({1, 2, 3, 4}),
    "webm": frozenset({1, 2, 3, 4}),
    "mp4": frozenset({1, 3}),
}
"""Muxer -> those that the file says of VP9 and FFV1."""

MATROSKA: Final = frozenset({"matroska", "webm"})
ATTACHMENT_CONTAINERS: Final = frozenset({"matroska"})
QUICKTIME: Final = frozenset({"mp4", "mov"})
"""Muxers that write tracks of their own behind all others, for chapters and for the picture's `timecode` tag; that keep
tags of any name as QuickTime keys alone; and that refuse two packets of a stream with one decoding time."""

_LOSSLESS: Final = frozenset({
    "flac", "alac", "truehd", "mlp", "tta", "wavpack", "shorten", "ape", "tak", "mp4als", "wmalossless", "ralf",
    "s302m",
})  # fmt: skip
_PCM_IN_MP4: Final = frozenset({"pcm_s16le", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le"})
"""16 bits are read rightly everywhere; nothing else holds 32 bits without loss."""
_PCM_OF_FORMAT: Final = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}
_DEEP: Final = frozenset({"pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_s64le"})
_24_BITS: Final = frozenset({"pcm_dvd", "pcm_bluray", "s302m"})
"""Decoders whose 32-bit samples hold 24 bits at most."""


def stated_view(view: ViewInfo, muxer: str) -> ViewInfo:
    """A view as far as the container says it."""
    flat = FLAT if muxer not in _PROJECTION_CONTAINERS else view
    has_word = view.stereo in _STEREO.get(muxer, ()) and not (muxer == "mp4" and view.is_right_first)
    eyes = view if has_word else FLAT
    return flat.model_copy(update={"stereo": eyes.stereo, "is_right_first": eyes.is_right_first})


def siting_is_stated(codec: str, muxer: str, video: VideoInfo) -> bool:
    """Whether the container, and not the codec, is to say where chroma lies."""
    is_said = video.chroma_location in _SAYS_SITING.get(codec, ())
    return video.chroma == "420" and not is_said and video.chroma_location in _SITING_CONTAINERS.get(muxer, ())


def loses_siting(codec: str, muxer: str, video: VideoInfo) -> bool:
    """Whether an output cannot say where chroma lies."""
    is_said = video.chroma != "420" or video.chroma_location in _SAYS_SITING.get(codec, (0,))
    return not is_said and not siting_is_stated(codec, muxer, video)


def holds(suffix: str, codec: str) -> bool:
    """Whether a file with that suffix (lower case, with its dot) can be written and holds that video codec."""
    return TARGETS.get(suffix) in CODECS[codec].muxers


def is_lossless(codec: str) -> bool:
    """Whether that sound codec (a name of FFmpeg's decoder or encoder) gives back the very samples it was given."""
    return codec in _LOSSLESS or codec.startswith("pcm_")


def loses_nothing(codec: str, encoder: str) -> bool:
    """Whether sound that is converted keeps its very samples. FLAC and ALAC hold 24 bits."""
    return is_lossless(codec) and is_lossless(encoder) and not (codec in _DEEP and encoder in ("flac", "alac"))


def is_read_everywhere(muxer: str, codec: str) -> bool:
    """False for sound that FFmpeg's muxer takes and other players read wrongly."""
    if muxer == "mov":
        return codec != "speex"  # its last packet is lost
    return muxer != "mp4" or not codec.startswith("pcm_") or codec in _PCM_IN_MP4


def sound_target(muxer: str, codec: str, sample_format: str) -> str:
    """The encoder for sound that a container does not hold. `sample_format`: FFmpeg's name of the decoded samples."""
    packed = sample_format.removesuffix("p")
    if not is_lossless(codec):
        return LOSSY_TARGETS[muxer]
    if muxer in PCM_CONTAINERS and (codec.startswith("pcm_") or codec == "s302m"):
        return "pcm_s24le" if codec in _24_BITS and packed == "s32" else _PCM_OF_FORMAT[packed]
    if packed in ("flt", "dbl"):
        return LOSSY_TARGETS[muxer]
    return LOSSLESS_TARGETS[muxer]
