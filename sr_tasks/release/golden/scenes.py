"""The scenes of the golden set: drawn ones and photographs of scikit-image, all of one size. Judges nothing."""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.media.sample import draw

CANVAS: Final = (224, 336)
"""Rows, columns of a scene: the picture and room to pan over it."""
PICTURE: Final = (192, 288)
"""Rows, columns of what is enlarged to: whole multiples of 2, 3, 4 and 8, halved for chroma."""

PHOTOGRAPHS: Final = ("astronaut", "camera", "chelsea", "coffee", "rocket", "stereo_motorcycle")
"""Every photograph of an everyday scene that scikit-image's wheel carries."""

Rgb = NDArray[np.uint8]
"""[rows, columns, 3], R, G, B."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Something to look at, `CANVAS` in size."""

    name: str
    kind: Literal["drawn", "photograph"]
    rgb: Rgb


def drawn() -> tuple[Scene, ...]:
    """Text and lines, leaves over leaves, gratings, a page, and a cartoon; the same at every call."""
    pictures = {
        "titles": cv2.cvtColor(draw(12, CANVAS[1], CANVAS[0]), cv2.COLOR_BGR2RGB),
        "leaves": _shrunk(_leaves()),
        "gratings": _shrunk(_gratings()),
        "page": _shrunk(_page()),
        "cartoon": _shrunk(_cartoon()),
    }
    return tuple(Scene(name=name, kind="drawn", rgb=np.asarray(rgb, np.uint8)) for name, rgb in pictures.items())


def photographs() -> tuple[Scene, ...]:
    """The photographs, cut to the canvas's aspect and made smaller by area, which clears old compression away."""
    from skimage import data

    scenes = []
    for name in PHOTOGRAPHS:
        found = getattr(data, name)()
        rgb = found[0] if isinstance(found, tuple) else found
        rgb = np.repeat(rgb[..., None], 3, axis=2) if rgb.ndim == 2 else rgb[..., :3]
        scenes.append(Scene(name=name.removeprefix("stereo_"), kind="photograph", rgb=fitted(rgb)))
    return tuple(scenes)


def fitted(rgb: Rgb) -> Rgb:
    """The middle of a picture at the canvas's aspect and size."""
    rows, columns = rgb.shape[:2]
    factor = min(rows / CANVAS[0], columns / CANVAS[1])
    height, width = int(CANVAS[0] * factor), int(CANVAS[1] * factor)
    top, left = (rows - height) // 2, (columns - width) // 2
    middle = np.ascontiguousarray(rgb[top : top + height, left : left + width])
    return np.asarray(cv2.resize(middle, (CANVAS[1], CANVAS[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _blank(color: tuple[int, int, int]) -> Rgb:
    """Twice the canvas, so that what is drawn on it has soft edges once it is shrunk."""
    return np.full((CANVAS[0] * 2, CANVAS[1] * 2, 3), color, np.uint8)


def _shrunk(rgb: Rgb) -> Rgb:
    return np.asarray(cv2.resize(rgb, (CANVAS[1], CANVAS[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _leaves() -> Rgb:
    """Discs and blocks of all sizes over each other: the statistics of edges in nature."""
    rng = np.random.default_rng(11)
    picture = _blank((96, 110, 84))
    rows, columns = picture.shape[:2]
    for _ in range(1400):
        radius = int(min(160.0, 4.0 * rng.uniform(0.0004, 1.0) ** -0.55))
        place = int(rng.integers(0, columns)), int(rng.integers(0, rows))
        tint = rng.normal((118, 120, 104), 16) + rng.normal(0, 48)
        color = tuple(int(part) for part in np.clip(tint, 0, 255))
        if rng.random() < 0.6:
            cv2.circle(picture, place, radius, color, -1, cv2.LINE_AA)
        else:
            corner = place[0] + radius, place[1] + int(radius * rng.uniform(0.4, 1.6))
            cv2.rectangle(picture, place, corner, color, -1)
    grain = rng.normal(0.0, 5.0, picture.shape[:2])[..., None]
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


def _gratings() -> Rgb:
    """A zone plate that stays below what a halved picture can hold, beside stripes in colour."""
    rows, columns = CANVAS[0] * 2, CANVAS[1] * 2
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    squared = (x - columns / 3) ** 2 + (y - rows / 2) ** 2
    wave = 127.5 + 100.0 * np.cos(squared * np.pi / (rows * 9.0))
    picture = np.repeat(wave[..., None], 3, axis=2)
    stripes = x > columns * 0.72
    for channel, period in enumerate((17.0, 23.0, 31.0)):
        picture[..., channel][stripes] = (127.5 + 90.0 * np.sin((x + 0.4 * y) * 2 * np.pi / period))[stripes]
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _page() -> Rgb:
    """Small print and a table, as on a screen."""
    picture = _blank((244, 244, 240))
    words = "The quick brown fox jumps over the lazy dog 0123456789 (+-*/) "
    for line in range(13):
        ink = (24, 24, 30) if line % 4 else (20, 60, 150)
        size = 0.55 + 0.05 * (line % 5)
        place = (14, 30 + line * 32)
        cv2.putText(picture, words[line % 9 :] * 2, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    for step in range(8):
        cv2.line(picture, (430 + step * 32, 250), (430 + step * 32, 430), (90, 90, 90), 2)
        cv2.line(picture, (430, 250 + step * 26), (654, 250 + step * 26), (90, 90, 90), 2)
    return picture


def _cartoon() -> Rgb:
    """Flat colours behind black outlines, and a smooth sky."""
    picture = _blank((0, 0, 0))
    sky = np.linspace(0.0, 1.0, picture.shape[0])[:, None]
    picture[:] = ((np.array([90, 150, 235]) + sky * np.array([130, 80, 10]))[:, None, :]).astype(np.uint8)
    shapes = (
        ((180, 250), (120, 150), (240, 205, 160)),
        ((470, 300), (150, 110), (205, 60, 60)),
        ((560, 120), (60, 60), (250, 225, 90)),
        ((330, 390), (210, 60), (70, 150, 80)),
    )
    for centre, axes, color in shapes:
        cv2.ellipse(picture, centre, axes, 12, 0, 360, color, -1, cv2.LINE_AA)
        cv2.ellipse(picture, centre, axes, 12, 0, 360, (12, 12, 12), 6, cv2.LINE_AA)
    for eye in (135, 225):
        cv2.circle(picture, (eye, 220), 22, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(picture, (eye, 222), 10, (10, 10, 10), -1, cv2.LINE_AA)
    return picture
