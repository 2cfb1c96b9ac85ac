"""Faults that are put into enlarged frames before the encode, for pictures of any size. 8-bit 4:2:0 planes."""

from collections.abc import Callable

import cv2
import numpy as np

Planes = list[np.ndarray]
Spoil = Callable[[list[Planes]], list[Planes]]


def add(plane: np.ndarray, where: tuple[slice, slice], codes: int) -> np.ndarray:
    changed = plane.copy()
    changed[where] = np.clip(changed[where].astype(np.int16) + codes, 0, 255)
    return changed


def on_luma(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda frames: [[change(planes[0]), *planes[1:]] for planes in frames]


def on_chroma(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda frames: [[planes[0], *(change(plane) for plane in planes[1:])] for planes in frames]


def tile(plane: np.ndarray, side: int) -> tuple[slice, slice]:
    """In the middle, at most `side` px and at most a third of the plane's side."""
    rows, columns = (min(side, max(2, length // 3)) for length in plane.shape)
    y, x = (plane.shape[0] - rows) // 2, (plane.shape[1] - columns) // 2
    return slice(y, y + rows), slice(x, x + columns)


def swapped(frames: list[Planes]) -> list[Planes]:
    return [*frames[:10], frames[11], frames[10], *frames[12:]]


def repeated(frames: list[Planes]) -> list[Planes]:
    return [*frames[:10], frames[9], *frames[11:]]


def one_late(frames: list[Planes]) -> list[Planes]:
    return [frames[0], *frames[:-1]]


def two_dropped(frames: list[Planes]) -> list[Planes]:
    return [*frames[:8], *frames[10:], frames[-1], frames[-1]]


def frozen(frames: list[Planes]) -> list[Planes]:
    return [*frames[:8], *[frames[7]] * 4, *frames[12:]]


def blacked_out(frames: list[Planes]) -> list[Planes]:
    black = [np.full_like(frames[0][0], 16), *(np.full_like(plane, 128) for plane in frames[0][1:])]
    return [*frames[:10], black, *frames[11:]]


def black_tile(frames: list[Planes]) -> list[Planes]:
    luma, *chroma = frames[7]
    return [*frames[:7], [add(luma, tile(luma, 64), -255), *chroma], *frames[8:]]


def other_tile(frames: list[Planes]) -> list[Planes]:
    """A tile of a frame far away."""
    luma, other = frames[4][0].copy(), frames[16][0]
    where = tile(luma, 64)
    luma[where] = np.roll(other, (other.shape[0] // 3, other.shape[1] // 3), axis=(0, 1))[where]
    return [*frames[:4], [luma, *frames[4][1:]], *frames[5:]]


def noise_burst(frames: list[Planes]) -> list[Planes]:
    noise = np.random.default_rng(5).normal(0, 30, frames[9][0].shape)
    spoilt = np.clip(frames[9][0] + noise, 0, 255).astype(np.uint8)
    return [*frames[:9], [spoilt, *frames[9][1:]], *frames[10:]]


def exchanged(frames: list[Planes]) -> list[Planes]:
    return [[luma, v, u] for luma, u, v in frames]


def other_matrix(wrong: int, right: int) -> Spoil:
    """Planes made for one matrix as if they had been made for the other."""
    weights = {601: (0.299, 0.114), 709: (0.2126, 0.0722)}

    def forward(red: float, blue: float) -> np.ndarray:
        green = 1 - red - blue
        return np.array(
            [
                [red, green, blue],
                [-red / (2 - 2 * blue), -green / (2 - 2 * blue), 0.5],
                [0.5, -green / (2 - 2 * red), -blue / (2 - 2 * red)],
            ]
        )

    mix = forward(*weights[wrong]) @ np.linalg.inv(forward(*weights[right]))

    def change(planes: Planes) -> Planes:
        rows, columns = planes[0].shape
        y = (planes[0].astype(np.float64) - 16) / 219
        u, v = (cv2.resize((p.astype(np.float64) - 128) / 224, (columns, rows)) for p in planes[1:])
        y, u, v = np.moveaxis(np.stack([y, u, v], axis=-1) @ mix.T, -1, 0)
        size = planes[1].shape[::-1]
        small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) * 224 + 128 for p in (u, v)]
        return [np.clip(np.round(p), 0, 255).astype(np.uint8) for p in (y * 219 + 16, *small)]

    return lambda frames: [change(planes) for planes in frames]


def stretched(frames: list[Planes]) -> list[Planes]:
    """Limited range taken for full."""
    return [_scaled(planes, 16.0, 0.0, 255 / 219, 255 / 224) for planes in frames]


def squeezed(frames: list[Planes]) -> list[Planes]:
    """Full range taken for limited."""
    return [_scaled(planes, 0.0, 16.0, 219 / 255, 224 / 255) for planes in frames]


def _scaled(planes: Planes, before: float, after: float, luma: float, chroma: float) -> Planes:
    changed = [(planes[0] - before) * luma + after, *((plane - 128.0) * chroma + 128.0 for plane in planes[1:])]
    return [np.clip(np.round(plane), 0, 255).astype(np.uint8) for plane in changed]


FAULTS: dict[str, Spoil] = {
    "swapped frames": swapped,
    "repeated frame": repeated,
    "one frame late": one_late,
    "two frames dropped": two_dropped,
    "frozen stretch": frozen,
    "black frame": blacked_out,
    "601 for 709": other_matrix(601, 709),
    "709 for 601": other_matrix(709, 601),
    "limited for full": stretched,
    "full for limited": squeezed,
    "chroma exchanged": exchanged,
    "seam down": on_luma(lambda y: add(y, (slice(None), slice(y.shape[1] // 2, y.shape[1] // 2 + 2)), 24)),
    "seam across": on_luma(lambda y: add(y, (slice(y.shape[0] // 2, y.shape[0] // 2 + 2), slice(None)), 24)),
    "black tile": black_tile,
    "tile of another frame": other_tile,
    "green tile": on_chroma(lambda c: add(c, tile(c, 32), -255)),
    "brighter tile": on_luma(lambda y: add(y, tile(y, 128), 5)),
    "one output px right": on_luma(lambda y: np.roll(y, 1, axis=1)),
    "one output px down": on_luma(lambda y: np.roll(y, 1, axis=0)),
    "two output px right": on_luma(lambda y: np.roll(y, 2, axis=1)),
    "luma + 2": on_luma(lambda y: add(y, np.s_[:, :], 2)),
    "chroma + 2": on_chroma(lambda c: add(c, np.s_[:, :], 2)),
    "noise burst": noise_burst,
    "grey": lambda frames: [[np.full_like(plane, 128) for plane in planes] for planes in frames],
}  # fmt: skip
