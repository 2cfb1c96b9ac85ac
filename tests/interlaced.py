"""Clips for tests of interlaced sources: what moves is drawn at the rate of fields, then woven into frames."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from sr_tasks.media.sample import draw

Frames = list[np.ndarray]
"""Luma [H, W], uint8."""

WIDTH, HEIGHT = 160, 128


def moving(count: int, step: float = 2.0) -> Frames:
    """Spokes, rings and text that move by `step` of their own steps from frame to frame."""
    return [cv2.cvtColor(draw(int(3 + n * step), WIDTH, HEIGHT), cv2.COLOR_BGR2GRAY) for n in range(count)]


def panned(count: int, across: float, down: float = 0.0, turn: float = 0.0, seed: int = 0) -> Frames:
    """Rough texture like a natural picture's that moves by so many px, and turns by so many degrees, a frame."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(0, 1, (512 >> level, 512 >> level)) * 1.5**level for level in range(6)]
    whole = sum(cv2.resize(layer, (512, 512), interpolation=cv2.INTER_CUBIC) for layer in layers)
    picture = np.clip(128 + whole * 5, 16, 235).astype(np.uint8)
    frames = []
    for n in range(count):
        place = cv2.getRotationMatrix2D((256, 256), turn * n, 1)
        place[:, 2] += (WIDTH / 2 - 256 + across * n, HEIGHT / 2 - 256 + down * n)
        frames.append(cv2.warpAffine(picture, place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=4))
    return frames


def softened(frame: np.ndarray) -> np.ndarray:
    """As cameras read their rows out for fields: each row with a part of its neighbours."""
    rows = np.pad(frame.astype(np.float32), ((1, 1), (0, 0)), "edge")
    return ((rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 4).astype(np.uint8)


def interlaced(fields: Frames, order: str) -> Frames:
    """Frames of two moments each, `tff` or `bff`, of pictures at twice the rate."""
    upper = 0 if order == "tff" else 1
    frames = []
    for first, second in zip(fields[::2], fields[1::2], strict=False):
        frame = softened(first)
        frame[1 - upper :: 2] = softened(second)[1 - upper :: 2]
        frames.append(frame)
    return frames


def telecined(film: Frames, order: str = "tff", lead: int = 0) -> Frames:
    """Video of film: its frames for two and three fields in turn, the first `lead` frames of video left out."""
    upper = 0 if order == "tff" else 1
    shown = [frame for number, frame in enumerate(film) for _ in range(2 + number % 2)][2 * lead :]
    frames = []
    for first, second in zip(shown[::2], shown[1::2], strict=False):
        frame = first.copy()
        frame[1 - upper :: 2] = second[1 - upper :: 2]
        frames.append(frame)
    return frames


def noisy(frames: Frames, deviation: float) -> Frames:
    rng = np.random.default_rng(5)
    return [np.clip(f + rng.normal(0, deviation, f.shape), 0, 255).astype(np.uint8) for f in frames]


def write(
    path: Path, frames: Sequence[np.ndarray], codec: str = "ffv1", options: dict[str, str] | None = None,
    rate: Fraction = Fraction(25), pix_fmt: str = "yuv420p", sound: bool = False,
) -> Path:  # fmt: skip
    """Encode luma without colour. `options` may say `flags=+ildct+ilme`, `top=1` and the like."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], pix_fmt
        stream.codec_context.thread_count = 1
        track = out.add_stream("pcm_s16le" if path.suffix != ".ts" else "mp2", rate=48_000) if sound else None
        for number, luma in enumerate(frames):
            gray = np.full((luma.shape[0] // 2, luma.shape[1]), 128, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, gray]), format="yuv420p").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            samples = round(len(frames) / float(rate) * 48_000)
            tone = (np.sin(np.arange(samples) / 20) * 8000).astype(np.int16).repeat(2).reshape(1, -1)
            heard = av.AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, 0, Fraction(1, 48_000)
            out.mux(track.encode(heard))
            out.mux(track.encode(None))
    return path


def comb(frame: np.ndarray) -> float:
    """Share of px that lie far above or far below both the row over and the row under them, as a comb's do, while those
    rows agree: another measure than the product's."""
    f = frame.astype(np.int16)
    above, below = f[1:-1] - f[:-2], f[1:-1] - f[2:]
    stands_out = (np.minimum(np.abs(above), np.abs(below)) > 12) & (above * below > 0) & (np.abs(f[:-2] - f[2:]) < 8)
    return float(stands_out.mean())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, float(((a.astype(float) - b) ** 2).mean()))))


Kind = Callable[[int], Frames]
