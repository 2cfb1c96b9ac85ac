"""The settings of every encoder, in FFmpeg's words. The same settings and pictures are the same bytes."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sr_tasks.media import hdr
from sr_tasks.records.encode import EncodeSettings

_CHROMA_LOCATION: Final = {1: "left", 2: "center", 3: "topleft", 4: "top", 5: "bottomleft", 6: "bottom"}
_PRESETS: Final = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
_AV1_PRESETS: Final = dict(zip(_PRESETS, (12, 11, 10, 9, 8, 6, 5, 4, 3), strict=True))
"""SVT-AV1's numbers, lower is slower."""
_VP9_SPEEDS: Final = dict(zip(_PRESETS, (8, 6, 5, 4, 3, 2, 1, 1, 0), strict=True))
"""libvpx's `cpu-used`: up to 5 with the deadline `good`, past it with `realtime`."""
_AV1_THREADED_PX: Final = 64
"""With more than one thread SVT-AV1 4 never comes back from some pictures whose shorter side has fewer px."""

_HEVC_TREE_PX: Final = 64
"""In a narrower picture (below 50 px) x265 4.1 writes past its buffers where it weighs blocks by what follows from them
(`cutree`), which ends the process."""
_RGB_CHROMA_QP: Final = -9
"""Steps of quantisation that chroma is finer than luma where it holds RGB: an error of chroma is one of twice the size
in red or blue. With it flat colours come back to within one 8-bit code at the default quality; with 0 they do not."""

_HEVC_REORDERED_FRAMES: Final = 3
"""In a shorter file x265 4.1 reads what nobody wrote where it looks for B-frames: each try gives other bytes, and some
give time stamps that no muxer takes."""


def encoder_options(s: EncodeSettings, frames: int) -> dict[str, str]:
    """FFmpeg's options for a file of that many frames. The thread count is among them, since it can decide bytes."""
    options: dict[str, str] = {}
    if s.chroma_location in _CHROMA_LOCATION and "420" in s.pix_fmt and not _is_left_unsaid(s):
        options["chroma_sample_location"] = _CHROMA_LOCATION[s.chroma_location]
    if s.codec in _OPTIONS:
        options |= _OPTIONS[s.codec](s)
    if s.codec == "hevc" and frames < _HEVC_REORDERED_FRAMES:
        options["x265-params"] += ":bframes=0"
    return options


def _is_left_unsaid(s: EncodeSettings) -> bool:
    """Chroma at the left is what H.264 and HEVC mean by saying nothing."""
    return s.chroma_location == 1 and s.codec in ("h264", "hevc")


def _h264(s: EncodeSettings) -> dict[str, str]:
    # Without it libx264 takes another path on every kind of processor, and on some another one at every call.
    private = {"cpu-independent": "1"} | hdr.x26x_params(s.hdr, "mastering-display", "cll")
    if s.is_rgb:
        private["chroma-qp-offset"] = str(_RGB_CHROMA_QP)
    return {"crf": str(s.crf), "preset": s.preset, "x264-params": _joined(private)}


def _hevc(s: EncodeSettings) -> dict[str, str]:
    private = hdr.x26x_params(s.hdr, "master-display", "max-cll")
    private |= {"log-level": "error", "pools": str(s.threads), "frame-threads": "1"}
    if s.width < _HEVC_TREE_PX:
        private |= {"cutree": "0"}
    if s.is_rgb:
        private |= {"cbqpoffs": str(_RGB_CHROMA_QP), "crqpoffs": str(_RGB_CHROMA_QP)}
    return {"crf": str(s.crf), "preset": s.preset, "x265-params": _joined(private)}


def _ffv1(s: EncodeSettings) -> dict[str, str]:
    return {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}


def _av1(s: EncodeSettings) -> dict[str, str]:
    os.environ.setdefault("SVT_LOG", "1")  # errors alone; FFmpeg's own log level does not reach the library
    threads = s.threads if min(s.width, s.height) >= _AV1_THREADED_PX else 1
    private = {"lp": str(min(threads, 6))} | hdr.svt_params(s.hdr)
    if s.crf % 1:
        private["crf"] = str(s.crf)  # FFmpeg's own option takes whole numbers alone
    return {"crf": str(int(s.crf)), "preset": str(_AV1_PRESETS[s.preset]), "svtav1-params": _joined(private)}


def _vp9(s: EncodeSettings) -> dict[str, str]:
    speed = _VP9_SPEEDS[s.preset]
    return {
        "crf": str(int(s.crf)),
        "b": "0",
        "deadline": "good" if speed <= 5 else "realtime",
        "cpu-used": str(speed),
        "row-mt": "1",
        "tile-columns": "2",
    } | ({"auto-alt-ref": "0"} if "yuva" in s.pix_fmt else {})


def chunk_options(s: EncodeSettings) -> dict[str, str]:
    """FFmpeg's options for the muxer of a chunk file."""
    exact = {"avoid_negative_ts": "disabled"}  # else muxers shift all time stamps to make decoding times positive
    if s.codec == "vp9" and "yuva" in s.pix_fmt:
        # Alpha is in packets of their own beside those of the picture, which NUT holds in its fourth version.
        return exact | {"strict": "experimental", "syncpoints": "none"}
    return exact


def _prores(s: EncodeSettings) -> dict[str, str]:
    profile = "hq" if "422" in s.pix_fmt else "4444"
    return {"profile": profile, "vendor": "apl0"} | ({"alpha_bits": "16"} if "yuva" in s.pix_fmt else {})


_OPTIONS: Final = MappingProxyType(
    {"h264": _h264, "hevc": _hevc, "ffv1": _ffv1, "av1": _av1, "vp9": _vp9, "prores": _prores}
)
"""Codec -> its own options. A codec that is not here has none."""


def _joined(private: Mapping[str, str]) -> str:
    return ":".join(f"{key}={value}" for key, value in private.items())
