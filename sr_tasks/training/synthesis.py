"""Synthetic luma images, drawn from a seed alone: no file is read and no photograph is used. Knows no network."""

import math
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sr_tasks.training.recipe import PoolRecipe, SceneKind

Canvas = NDArray[np.float32]
Rng = np.random.Generator

OVERSAMPLING: Final = 2
TEXTURE_SIDE: Final = 512
TEXTURES: Final = 12
SUBPIXEL_BITS: Final = 4
DEFOCUS_EDGE_SIGMA: Final = 12.0


def draw_image(recipe: PoolRecipe, seed: int, index: int) -> NDArray[np.uint8]:
    """Image `index` of the pool of `seed`: uint8 [side, side]. The same arguments give the same bytes."""
    rng = np.random.default_rng([seed, index])
    kinds = list(recipe.scenes)
    shares = np.array([recipe.scenes[kind] for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    canvas = _SCENES[kind](rng, recipe.side * OVERSAMPLING, seed)
    return _photograph(rng, canvas, recipe)


def _photograph(rng: Rng, canvas: Canvas, recipe: PoolRecipe) -> NDArray[np.uint8]:
    """Lens, partial defocus, reduction to the image's size, contrast, grain, rounding."""
    if rng.random() < recipe.lens_blur_probability:
        canvas = _blurred(canvas, rng.uniform(0.5, recipe.lens_blur_sigma_max))
    if rng.random() < recipe.defocus_probability:
        mask = _clouds(rng, canvas.shape[0], 3.0) > rng.uniform(-0.5, 0.8)
        blend = _blurred(mask.astype(np.float32), DEFOCUS_EDGE_SIGMA)
        canvas = canvas + blend * (_blurred(canvas, rng.uniform(2, 8)) - canvas)
    image = cv2.resize(canvas, (recipe.side, recipe.side), interpolation=cv2.INTER_AREA)
    if rng.random() < recipe.faint_probability:
        image = image.mean() + (image - image.mean()) * np.float32(rng.uniform(recipe.faint_contrast_min, 1))
    if rng.random() < recipe.grain_probability:
        grain = rng.standard_normal(image.shape, dtype=np.float32)
        image = image + grain * np.float32(rng.uniform(0, recipe.grain_sigma_max))
    codes: NDArray[np.uint8] = np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)
    return codes


def _blurred(canvas: Canvas, sigma: float) -> Canvas:
    return cv2.GaussianBlur(canvas, (0, 0), sigma).astype(np.float32, copy=False)


def _clouds(rng: Rng, side: int, exponent: float) -> Canvas:
    """Noise [side, side] of power 1/f^exponent, periodic, mean 0, standard deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum * frequency ** (-exponent / 2), s=(side, side))
    normed: Canvas = (noise / noise.std()).astype(np.float32)
    return normed


def _in_range(canvas: Canvas) -> Canvas:
    inside: Canvas = np.clip(canvas, np.float32(0), np.float32(255))
    return inside


def _grating(rng: Rng, side: int) -> Canvas:
    """Warped stripes or checks [side, side] in -1..1; the period runs from 3 px to 64 px."""
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    bend = _clouds(rng, side, 3.5) * rng.uniform(0, 12)
    period, angle = np.exp(rng.uniform(math.log(3), math.log(64))), rng.uniform(0, math.pi)
    along = xs * math.cos(angle) + ys * math.sin(angle) + bend
    wave = np.sin(along * (2 * math.pi / period))
    if rng.random() < 0.35:
        across = ys * math.cos(angle) - xs * math.sin(angle) + bend
        wave = wave * np.sin(across * (2 * math.pi / period))
    if rng.random() < 0.6:
        wave = np.clip(wave * rng.uniform(2, 20), -1, 1)
    stripes: Canvas = wave.astype(np.float32)
    return stripes


def _fibres(rng: Rng, side: int) -> Canvas:
    """Noise [side, side] drawn out along one direction and bent, as hair, grass or wood; standard deviation 1."""
    u, v = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    angle, stretch = rng.uniform(0, math.pi), np.exp(rng.uniform(math.log(2), math.log(16)))
    frequency = np.hypot(
        u * math.cos(angle) + v * math.sin(angle), stretch * (v * math.cos(angle) - u * math.sin(angle))
    )
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * frequency ** -rng.uniform(0.4, 1.4)
    straight = np.fft.irfft2(spectrum, s=(side, side)).astype(np.float32)
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    reach = np.float32(rng.uniform(0, 20))
    bends = [_clouds(rng, side, 4.0) * reach for _ in range(2)]
    bent = cv2.remap(straight, xs + bends[0], ys + bends[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    normed: Canvas = ((bent - bent.mean()) / bent.std()).astype(np.float32)
    return normed


def _litter(rng: Rng, side: int) -> Canvas:
    """Small flat shapes [side, side] strewn densely, as gravel, foliage or a crowd; standard deviation 1."""
    canvas = np.zeros((side, side), dtype=np.float32)
    largest = np.exp(rng.uniform(math.log(3), math.log(24)))
    for _ in range(int(3 * (side / largest) ** 2)):
        points = _outline(rng, largest * rng.uniform(0.3, 1.0)) + rng.uniform(0, side, 2)
        fixed = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], float(rng.normal()), shift=SUBPIXEL_BITS)
    normed: Canvas = ((canvas - canvas.mean()) / canvas.std()).astype(np.float32)
    return normed


@lru_cache(maxsize=2)
def _texture_bank(seed: int) -> tuple[Canvas, ...]:
    """Textures of standard deviation near 1 that leaves are cut from, shared by all images of a seed."""
    rng = np.random.default_rng([seed, 0, 1])
    noises = [_clouds(rng, TEXTURE_SIDE, rng.uniform(0.8, 3.0)) for _ in range(TEXTURES)]
    drawn = [draw(rng, TEXTURE_SIDE) for draw in (_fibres, _litter, _grating) for _ in range(TEXTURES)]
    return (*noises, *drawn)


def _outline(rng: Rng, radius: float) -> NDArray[np.float64]:
    """The corners [n, 2] of an ellipse, a rectangle or a polygon around the origin, turned at random."""
    shape = rng.integers(4)
    if shape <= 1:
        angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius
        points[:, 1] *= rng.uniform(0.25, 1.0) if shape else 1.0
    elif shape == 2:
        half = radius * rng.uniform(0.15, 1.0)
        points = np.array([[-radius, -half], [radius, -half], [radius, half], [-radius, half]])
    else:
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 9))))
        reach = radius * rng.uniform(0.4, 1.0, len(angles))
        points = np.stack([np.cos(angles) * reach, np.sin(angles) * reach], axis=1)
    turn = rng.uniform(0, 2 * math.pi)
    cosine, sine = math.cos(turn), math.sin(turn)
    turned: NDArray[np.float64] = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _leaf_paint(rng: Rng, height: int, width: int, level: float, radius: float, bank: tuple[Canvas, ...]) -> Canvas:
    """The fill [height, width] of one leaf: its level, often shaded, often textured."""
    paint = np.full((height, width), level, dtype=np.float32)
    if rng.random() < 0.4:
        slope = rng.normal(0, 40 / max(radius, 16), 2)
        paint += (slope[0] * (np.arange(height) - height / 2))[:, None].astype(np.float32)
        paint += (slope[1] * (np.arange(width) - width / 2)).astype(np.float32)
    if radius > 8 and rng.random() < 0.6:
        texture = bank[int(rng.integers(len(bank)))]
        top, left = rng.integers(0, TEXTURE_SIDE, 2)
        rows, columns = (top + np.arange(height)) % TEXTURE_SIDE, (left + np.arange(width)) % TEXTURE_SIDE
        paint += texture[np.ix_(rows, columns)] * np.float32(rng.gamma(2.0, 7.0))
    return paint


def _leaves(rng: Rng, side: int, seed: int) -> Canvas:
    """Dead leaves: shapes of power-law sizes that hide one another, as things in a photograph do."""
    bank = _texture_bank(seed)
    exponent = rng.uniform(2.6, 3.2)
    smallest, largest = rng.uniform(2, 16), rng.uniform(80, 500)
    count = int(np.exp(rng.uniform(math.log(800), math.log(5000))) * (side / 1024) ** 2) + 1
    low, high = smallest ** (1 - exponent), largest ** (1 - exponent)
    radii = (low + rng.random(count) * (high - low)) ** (1 / (1 - exponent))
    if rng.random() < 0.6:
        levels = rng.normal(rng.uniform(60, 190), rng.uniform(15, 70), count)
    else:
        levels = rng.uniform(0, 255, count)
    canvas: Canvas = rng.uniform(0, 255) + _clouds(rng, side, 2.5) * np.float32(rng.uniform(0, 30))
    for radius, level in zip(radii, levels, strict=True):
        _paint_leaf(rng, canvas, float(radius), float(level), bank)
    return _in_range(canvas)


def _paint_leaf(rng: Rng, canvas: Canvas, radius: float, level: float, bank: tuple[Canvas, ...]) -> None:
    points = _outline(rng, radius) + rng.uniform(0, canvas.shape[0], 2)
    corner = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    end = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, canvas.shape[0])
    width, height = (int(extent) for extent in end - corner)
    if width <= 0 or height <= 0:
        return
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, [np.round((points - corner) * 2**SUBPIXEL_BITS).astype(np.int32)], 1, shift=SUBPIXEL_BITS)
    region = canvas[corner[1] : end[1], corner[0] : end[0]]
    np.copyto(region, _leaf_paint(rng, height, width, level, radius, bank), where=mask.astype(bool))


def _ground(rng: Rng, side: int) -> Canvas:
    """A calm background in 0..255."""
    return rng.uniform(30, 225) + _clouds(rng, side, 3.0) * np.float32(rng.uniform(0, 25))


def _text(rng: Rng, side: int, seed: int) -> Canvas:
    """Lines of random words in random sizes and greys, some of them slanted."""
    canvas = _ground(rng, side)
    letters = np.array(list(string.ascii_letters + string.digits + ".,:;-+()!?&%"))
    for _ in range(int(rng.integers(6, 30))):
        size = float(np.exp(rng.uniform(math.log(14), math.log(160))))
        words = ("".join(rng.choice(letters, int(rng.integers(1, 10)))) for _ in range(int(rng.integers(1, 8))))
        layer = Image.new("L", (side, side), 0)
        place = (float(rng.uniform(-0.1, 0.8) * side), float(rng.uniform(0, 1) * side))
        ImageDraw.Draw(layer).text(place, " ".join(words), fill=255, font=ImageFont.load_default(size))
        if rng.random() < 0.4:
            layer = layer.rotate(rng.normal(0, 20), Image.Resampling.BICUBIC)
        cover = np.asarray(layer, dtype=np.float32) / 255
        canvas += cover * (np.float32(rng.uniform(0, 255)) - canvas)
    return _in_range(canvas)


def _lines(rng: Rng, side: int, seed: int) -> Canvas:
    """Straight lines, fans of parallels and smooth curves of every thickness."""
    canvas = _ground(rng, side).astype(np.float32)
    for _ in range(int(rng.integers(20, 160))):
        start, heading = rng.uniform(0, side, 2), rng.uniform(0, 2 * math.pi)
        bend = rng.normal(0, 0.02) if rng.random() < 0.5 else 0.0
        headings = heading + bend * np.arange(100)
        strides = np.stack([np.cos(headings), np.sin(headings)], axis=1) * rng.uniform(2, 14)
        points = start + np.cumsum(strides, axis=0)
        spacing = rng.uniform(4, 24) * np.array([-math.sin(heading), math.cos(heading)])
        thickness, level = int(rng.integers(1, 11)), float(rng.uniform(0, 255))
        for line in range(int(rng.integers(2, 9)) if rng.random() < 0.3 else 1):
            fixed = np.round((points + line * spacing) * 2**SUBPIXEL_BITS).astype(np.int32)
            cv2.polylines(canvas, [fixed], False, level, thickness, shift=SUBPIXEL_BITS)
    return canvas


def _gratings(rng: Rng, side: int, seed: int) -> Canvas:
    """Patches of stripes and checks beside one another."""
    canvas = _ground(rng, side)
    for _ in range(int(rng.integers(1, 7))):
        mask = np.zeros((side, side), dtype=np.uint8)
        points = _outline(rng, rng.uniform(0.2, 0.8) * side) + rng.uniform(0, side, 2)
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
        paint = rng.uniform(60, 190) + _grating(rng, side) * np.float32(rng.uniform(10, 110))
        np.copyto(canvas, paint, where=mask.astype(bool))
    return _in_range(canvas)


def _cloudscape(rng: Rng, side: int, seed: int) -> Canvas:
    """Nothing but noise of power 1/f^a."""
    canvas: Canvas = rng.uniform(70, 180) + _clouds(rng, side, rng.uniform(1.6, 3.2)) * np.float32(rng.uniform(15, 60))
    return _in_range(canvas)


_SCENES: Final[dict[SceneKind, Callable[[Rng, int, int], Canvas]]] = {
    "leaves": _leaves,
    "text": _text,
    "lines": _lines,
    "gratings": _gratings,
    "clouds": _cloudscape,
}
