"""Pictures generated for proofs and for calibration: seeded, in 0..1, never the same twice but for the same seed."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float64]

_LEAVES = 260
_TEXTURED = 0.6
_LENS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def natural_picture(rows: int, columns: int, *, seed: int, softness: int = 1) -> Picture:
    """[rows, columns] with the statistics of photographs: leaves of all sizes that hide one another, shaded and with
    1/f texture in them. `softness` is how many times it is blurred by one px; at 0 it is as harsh as gravel."""
    rng = np.random.default_rng([seed, rows, columns])
    tall, wide = 2 * rows, 2 * columns
    texture = _clouds(tall, wide, rng)
    picture = 0.5 + 0.2 * texture
    y, x = np.ogrid[0:tall, 0:wide]
    longest = 0.35 * max(tall, wide)
    shortest = 4.0
    for _ in range(_LEAVES):
        # Radii follow r^-3: the law that makes pictures look alike at any distance.
        radius = 1 / np.sqrt(rng.uniform(1 / longest**2, 1 / shortest**2))
        top, left = rng.uniform(-radius, tall + radius), rng.uniform(-radius, wide + radius)
        stretch = rng.uniform(0.5, 2.0)
        shade, tilt, grain = rng.normal(0.5, 0.22), rng.normal(0.0, 0.1, 2), rng.uniform(0.05, 0.25)
        is_textured = rng.uniform() < _TEXTURED
        reach = radius * max(stretch, 1 / stretch)
        box = np.s_[
            max(0, int(top - reach)) : max(0, int(top + reach) + 1),
            max(0, int(left - reach)) : max(0, int(left + reach) + 1),
        ]
        dy, dx = (y[box[0]] - top) / radius, (x[:, box[1]] - left) / radius
        inside = (dy * stretch) ** 2 + (dx / stretch) ** 2 < 1
        leaf = shade + tilt[0] * dy + tilt[1] * dx
        if is_textured:
            leaf = leaf + grain * texture[box]
        picture[box] = np.where(inside, leaf, picture[box])
    # Drawn at twice the size, so that edges have in-between values.
    result = picture.reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    for _ in range(softness):
        result = _softened(_softened(result).T).T
    return np.asarray(np.clip(result, 0.0, 1.0))


def _softened(picture: Picture) -> Picture:
    padded = np.pad(picture, ((2, 2), (0, 0)), mode="edge")
    rows = len(picture)
    return np.asarray(sum(padded[tap : tap + rows] * weight for tap, weight in enumerate(_LENS)))


def drawn_picture(rows: int, columns: int, *, seed: int) -> Picture:
    """[rows, columns] with what drawings and screens have: gradients, edges, fine stripes, flat areas, grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    chirp = 0.2 * np.sin(x * x / (4.0 * max(columns, 1)) * np.pi) * np.cos(y / (5.0 + seed))
    gradient = 0.25 + 0.5 * (x + seed * y) / (columns + seed * rows)
    disc = 0.3 * (np.hypot(x - columns * 0.6, y - rows * 0.4) < min(rows, columns) * 0.3)
    bars = 0.25 * ((x + y) // (3 + seed) % 2) * (y > rows * 0.7)
    grain = rng.normal(0.0, 0.02, (rows, columns)) * (x < columns * 0.8)
    return np.asarray(np.clip(gradient + chirp + disc + bars + grain, 0.0, 1.0))


def shrunk(picture: Picture, scale: int) -> Picture:
    """The picture at 1/scale of its size, by antialiased cubic interpolation; its sides must be multiples."""
    return _shrunk_rows(_shrunk_rows(picture, scale).T, scale).T


def _shrunk_rows(picture: Picture, scale: int) -> Picture:
    if scale == 1:
        return picture
    taps = np.arange(-2 * scale, 3 * scale)
    distance = np.abs(taps - (scale - 1) / 2) / scale
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    kernel = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    kernel /= kernel.sum()
    padded = np.pad(picture, ((2 * scale, 3 * scale), (0, 0)), mode="edge")
    count = len(picture) // scale
    rows = [padded[tap : tap + count * scale : scale] * weight for tap, weight in enumerate(kernel)]
    return np.asarray(np.sum(rows, axis=0))


def _clouds(rows: int, columns: int, rng: np.random.Generator) -> Picture:
    """1/f noise of mean 0 and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(rows)[:, np.newaxis], np.fft.rfftfreq(columns)[np.newaxis])
    frequency[0, 0] = np.inf
    phases = np.exp(2j * np.pi * rng.uniform(size=frequency.shape))
    noise = np.fft.irfft2(phases / frequency, s=(rows, columns))
    return np.asarray(noise / noise.std())
