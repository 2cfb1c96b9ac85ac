"""Noise and compression put on a small luma image, and the level that says how far it departs from the clean one."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sr_tasks.errors import ChunkFailed, UsageError
from sr_tasks.planes.metrics import rms_error
from sr_tasks.planes.scaling import Codes
from sr_tasks.training.recipe import DegradationKind, DegradationRecipe

Rng = np.random.Generator
VideoCodec = Literal["libx264", "libx265", "libvpx-vp9", "mpeg4", "mpeg2video"]

_DECODERS: Final[dict[VideoCodec, str]] = {
    "libx264": "h264",
    "libx265": "hevc",
    "libvpx-vp9": "vp9",
    "mpeg4": "mpeg4",
    "mpeg2video": "mpeg2video",
}
_ALWAYS: Final[dict[VideoCodec, dict[str, str]]] = {
    "libx264": {"x264-params": "cpu-independent=1"},
    "libx265": {"x265-params": "log-level=none:pools=1:frame-threads=1"},
}
"""What makes the same bytes at every call."""

PRESETS: Final = ("superfast", "veryfast", "medium")
FRAMES_BEFORE_MAX: Final = 3
SHIFT_MAX_PX: Final = 3
CORRELATED_PROBABILITY: Final = 0.25


def degrade(recipe: DegradationRecipe, rng: Rng, clean: Codes) -> Codes:
    """One degraded version of a clean image, both uint8 [H, W] with even sides. The same `rng` gives the same bytes."""
    kinds = list(recipe.kinds)
    shares = np.array([recipe.kinds[kind] for kind in kinds])
    kind: DegradationKind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    if kind == "noise":
        return noisy(clean, float(rng.uniform(0.5, recipe.noise_sigma_max)), rng)
    if kind == "jpeg":
        return jpeg(clean, int(rng.integers(recipe.jpeg_quality[0], recipe.jpeg_quality[1] + 1)))
    image = clean
    if kind == "noisy_video":
        image = noisy(clean, float(rng.uniform(0.5, recipe.noise_sigma_max / 2)), rng)
    crf = int(rng.integers(recipe.crf[0], recipe.crf[1] + 1))
    shifts = rng.integers(-SHIFT_MAX_PX, SHIFT_MAX_PX + 1, size=(int(rng.integers(FRAMES_BEFORE_MAX + 1)), 2))
    frames = [np.roll(image, (int(dy), int(dx)), axis=(0, 1)) for dy, dx in shifts]
    return h264([*frames, image], crf, preset=PRESETS[int(rng.integers(len(PRESETS)))])[-1]


def level_of(degraded: Codes, clean: Codes) -> float:
    """Root mean square difference of two images in 8-bit codes."""
    return rms_error([degraded], [clean])


def noisy(clean: Codes, sigma: float, rng: Rng) -> Codes:
    """Gaussian noise of deviation `sigma` in codes, some of it correlated over neighbours as a camera's is."""
    noise: NDArray[np.float32] = rng.standard_normal(clean.shape, dtype=np.float32)
    if rng.random() < CORRELATED_PROBABILITY:
        noise = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.4, 0.9))).astype(np.float32)
        noise /= noise.std()
    codes: Codes = np.clip(np.rint(clean + sigma * noise), 0, 255).astype(np.uint8)
    return codes


def jpeg(clean: Codes, quality: int) -> Codes:
    """Through a JPEG file of that quality, 1 to 100."""
    done, data = cv2.imencode(".jpg", clean, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UsageError("OpenCV has no JPEG encoder.", hint="Install opencv-python-headless.")
    decoded: Codes = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    return decoded


def h264(frames: Sequence[Codes], crf: int, *, preset: str = "medium") -> list[Codes]:
    """Luma planes of one even size through H.264 at `crf`."""
    return encoded(frames, "libx264", {"crf": str(crf), "preset": preset})


def encoded(planes: Sequence[Codes], codec: VideoCodec, options: dict[str, str]) -> list[Codes]:
    """Luma planes of even sides, as frames of 25 a second, through a video encoder and its decoder.

    `options` are the encoder's own, and `qscale` for the quantiser of those that have no crf.
    """
    height, width = planes[0].shape
    encoder = av.CodecContext.create(codec, "w")
    decoder = av.CodecContext.create(_DECODERS[codec], "r")
    if not isinstance(encoder, VideoCodecContext) or not isinstance(decoder, VideoCodecContext):
        raise ChunkFailed(f"FFmpeg's {codec} is no video codec.")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.thread_count = decoder.thread_count = 1
    if "qscale" in options:
        encoder.qmin = encoder.qmax = int(options["qscale"])
    encoder.options = _ALWAYS.get(codec, {}) | {key: value for key, value in options.items() if key != "qscale"}
    packets = []
    for number, plane in enumerate(planes):
        grey = np.full((height // 2, width), 128, dtype=np.uint8)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(np.vstack([plane, grey])), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    frames.sort(key=lambda frame: frame.pts or 0)
    return [frame.to_ndarray()[:height].astype(np.uint8) for frame in frames]
