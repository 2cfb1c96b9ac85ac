"""Which clips are made: every content at every size, with formats, codecs and models drawn by a fixed seed."""

import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.quality.calibrate.contents import CONTENTS

SIZES = (
    (8, 8), (10, 12), (16, 16), (17, 33), (24, 24), (8, 128), (160, 10), (32, 32), (33, 17), (48, 36), (64, 48),
    (64, 64), (96, 54), (128, 96), (160, 120), (320, 192),
)  # fmt: skip
"""Width and height in px."""
MODELS = {
    "compact-x2": 2, "quality-x2": 2, "restore-x2": 2, "bicubic": 2, "compact-x4": 4, "restore-x4": 4, "ink-wash": 1,
}  # fmt: skip
"""Name -> scale."""
_MODEL_WEIGHTS = (30, 12, 20, 14, 14, 6, 4)
_PIX_FMTS = {
    "yuv420p": 52,
    "yuv420p10le": 12,
    "yuv422p": 8,
    "yuv444p": 10,
    "gray": 8,
    "yuv444p12le": 5,
    "yuv420p full": 5,
}
_SOURCES = {"ffv1": 40, "crf 17": 20, "crf 23": 15, "crf 29": 15, "crf 35": 10}
_CODECS = {"h264": 70, "hevc": 15, "ffv1": 8, "h264 crf 28": 7}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A clip, and the job that enlarges it."""

    content: str
    width: int
    height: int
    frames: int
    pix_fmt: str
    """`full` behind it if of full range."""
    source: str
    """`ffv1`, or `crf N` of libx264."""
    model: str
    codec: str
    """Of the output; `crf N` behind it if not the default."""

    @property
    def scale(self) -> int:
        return MODELS[self.model]

    @property
    def name(self) -> str:
        words = (self.content, f"{self.width}x{self.height}", str(self.frames), self.pix_fmt, self.source, self.model,
                 self.codec)  # fmt: skip
        return " ".join(words)


def all_cases(seed: int = 8) -> list[Case]:
    """Every content at every size once, in a fixed order."""
    rng = random.Random(seed)
    return [_case(content, width, height, rng) for width, height in SIZES for content in CONTENTS]


def _case(content: str, width: int, height: int, rng: random.Random) -> Case:
    def one_of(choices: dict[str, int]) -> str:
        return rng.choices(list(choices), list(choices.values()))[0]

    pix_fmt, source, codec = one_of(_PIX_FMTS), one_of(_SOURCES), one_of(_CODECS)
    if "12" in pix_fmt:
        source, codec = "ffv1", "hevc" if codec != "ffv1" else codec
    if width % 2 or height % 2:
        source = "ffv1"  # libx264 takes no odd sizes
    if pix_fmt == "gray":
        codec = "hevc" if codec != "ffv1" else codec
    model = rng.choices(list(MODELS), _MODEL_WEIGHTS)[0]
    if model == "ink-wash" and (pix_fmt == "gray" or min(width, height) < 16 or width % 2 or height % 2):
        model = "compact-x2"
    if min(width, height) * MODELS[model] < 32 and codec == "hevc":
        codec = "h264" if pix_fmt not in ("gray", "yuv444p12le") else "ffv1"  # x265 spoils smaller pictures
    frames = rng.choices((24, 12, 3, 2, 1), (60, 15, 8, 8, 9))[0]
    return Case(content=content, width=width, height=height, frames=frames, pix_fmt=pix_fmt, source=source,
                model=model, codec=codec)  # fmt: skip


def write_source(path: Path, case: Case) -> Path:
    """The clip, in Matroska, at 25 frames a second, with BT.601 tags."""
    pix_fmt, _, is_full = case.pix_fmt.partition(" ")
    full_or_limited = 2 if is_full else 1
    codec, options = ("ffv1", {}) if case.source == "ffv1" else ("libx264", {"crf": case.source.split()[1]})
    if codec == "libx264":
        options |= {"preset": "veryfast", "x264-params": "cpu-independent=1"}
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = case.width, case.height, pix_fmt
        context = stream.codec_context
        context.thread_count = 1
        context.time_base = Fraction(1, 25)
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = full_or_limited, 6, 6, 6
        for number in range(case.frames):
            image = CONTENTS[case.content](number, case.width, case.height)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=6, dst_color_range=full_or_limited)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
