"""Fates of a video before it reaches us: noise, then JPEG or one of several codecs, then re-scaling and another encode.
Builds on `degrade`; knows no network."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sr_tasks.planes.scaling import Codes, to_codes
from sr_tasks.training.degrade import VideoCodec, encoded, jpeg, noisy

Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """A source as it comes in and as it was before: uint8 [H, W] both."""

    source: Codes
    truth: Codes
    compression_share: float
    """How much of the square error compression made, 0..1; the rest is noise."""


def random_codec(rng: Rng, *, light: bool = False) -> tuple[VideoCodec, dict[str, str]]:
    """A codec at a random quality; `light`: so good that it hides what came before rather than adds to it."""
    kind = rng.random()
    preset = str(rng.choice(["ultrafast", "veryfast", "medium"]))
    if light:
        return "libx264", {"crf": str(int(rng.integers(10, 19))), "preset": preset}
    if kind < 0.55:
        tune = {"tune": "animation"} if rng.random() < 0.1 else {}
        return "libx264", {"crf": str(int(rng.integers(12, 41))), "preset": preset, **tune}
    if kind < 0.72:
        return "libx265", {"crf": str(int(rng.integers(12, 41))), "preset": "ultrafast"}
    if kind < 0.84:
        return "libvpx-vp9", {"crf": str(int(rng.integers(10, 60))), "b": "0", "cpu-used": "8", "deadline": "realtime"}
    codec: VideoCodec = "mpeg4" if kind < 0.93 else "mpeg2video"
    return codec, {"qscale": str(int(rng.integers(2, 16)))}


def suffer(rng: Rng, planes: Sequence[Codes]) -> Degraded:
    """One of `planes`, consecutive pictures of a clean video (even sides), after a random fate; its truth beside it."""
    fate = rng.random()
    shown = int(rng.integers(len(planes)))
    truth = planes[shown]
    if fate < 0.2:
        return Degraded(source=truth, truth=truth, compression_share=0.5)
    noise_first = 0.2 <= fate < 0.42 or fate >= 0.86
    before = _random_noise(rng, planes) if noise_first else list(planes)
    if fate < 0.42:
        after = before[shown]
    elif fate < 0.58:
        after = jpeg(before[shown], int(rng.integers(25, 98)))
    else:
        codec, options = random_codec(rng)
        after = encoded(before, codec, options)[shown]
    noise, compression = _energy(before[shown], truth), _energy(after, before[shown])
    if rng.random() < 0.12:
        after, truth = _passed_on(rng, after, truth)
    share = compression / max(compression + noise, 1e-9)
    return Degraded(source=after, truth=truth, compression_share=share)


def _random_noise(rng: Rng, planes: Sequence[Codes]) -> list[Codes]:
    sigma = float(np.exp(rng.uniform(np.log(0.4), np.log(12))))
    return [noisy(plane, sigma, rng) for plane in planes]


def _passed_on(rng: Rng, after: Codes, truth: Codes) -> tuple[Codes, Codes]:
    """Re-scaled, and encoded once more at a high quality: the second encoder's numbers say nothing of the first."""
    size = 16 * round(rng.uniform(0.6, 1.0) * after.shape[0] / 16)
    shrunk = [cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA) for plane in (after, truth)]
    pair = [to_codes(plane.astype(np.float64)) for plane in shrunk]
    if rng.random() < 0.7:
        codec, options = random_codec(rng, light=True)
        pair[0] = encoded([pair[0]], codec, options)[0]
    return pair[0], pair[1]


def _energy(first: Codes, second: Codes) -> float:
    return float(np.mean((first.astype(np.float64) - second) ** 2))
