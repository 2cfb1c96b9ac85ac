"""What the clips show: flat, natural, noisy, synthetic and moving pictures of any size from 8x8 px on."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

Draw = Callable[[int, int, int], np.ndarray]
"""Frame number, width, height -> `[rows, columns, 3]` uint8 RGB."""

_BARS = np.array(
    [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)], np.uint8
)


def _codes(image: np.ndarray, width: int, height: int) -> np.ndarray:
    wide = np.broadcast_to(np.asarray(image, np.float64), (height, width, 3))
    return np.clip(np.round(wide), 0, 255).astype(np.uint8)


def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:height, :width]
    return rows[..., None], columns[..., None]


def flat(colour: tuple[int, int, int]) -> Draw:
    return lambda number, width, height: _codes(np.array(colour), width, height)


def gradient(number: int, width: int, height: int) -> np.ndarray:
    rows, columns = _grid(width, height)
    return _codes(40 + 170 * (columns + number) / (width + 24) * [1, 0.8, 0.5] + 20 * rows / height, width, height)


def still_gradient(number: int, width: int, height: int) -> np.ndarray:
    return gradient(0, width, height)


@lru_cache(maxsize=16)
def _photograph(name: str) -> np.ndarray:
    import skimage.data

    image = np.atleast_3d(getattr(skimage.data, name)())
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]


def pan(name: str, step: float = 1.3, zoom: float = 1.0) -> Draw:
    """A pan over a photograph that shows the same part of it at every size; `zoom`: a smaller part, from nearer."""

    def draw(number: int, width: int, height: int) -> np.ndarray:
        image = _photograph(name)
        longer = max(width, height)
        fit = zoom * max(longer + 40, 96) / min(image.shape[:2])
        small = cv2.resize(image, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
        move = np.array([[1, 0, 6 + step * number % 24], [0, 1, 6 + 0.3 * number % 12]], np.float32)
        return cv2.warpAffine(
            small, move, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        )

    return draw


def noisy(draw: Draw, sigma: float, size: float = 0.0) -> Draw:
    """The picture with noise of `sigma` codes; `size`: blurred so far, as grain of film is."""

    def spoilt(number: int, width: int, height: int) -> np.ndarray:
        rng = np.random.default_rng(number)
        noise = rng.normal(0, 1, (height, width, 1 if size else 3))
        if size:
            noise = cv2.GaussianBlur(noise, (0, 0), size)[..., None]
            noise /= max(float(noise.std()), 1e-6)
        return _codes(draw(number, width, height) + sigma * noise, width, height)

    return spoilt


def static(number: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def checks(side: int, moves: bool) -> Draw:
    def draw(number: int, width: int, height: int) -> np.ndarray:
        rows, columns = _grid(width, height)
        return _codes(30 + 195 * ((rows // side + (columns + number * moves) // side) % 2), width, height)

    return draw


def lines(number: int, width: int, height: int) -> np.ndarray:
    """Lines of one px on white: down, across and slanted, one of them moving."""
    image = np.full((height, width, 3), 235, np.uint8)
    image[:, ::7] = (20, 20, 120)
    image[3::9] = (0, 0, 0)
    cv2.line(image, (number % width, 0), (width - 1, height - 1), (200, 0, 0), 1)
    return image


def text(number: int, width: int, height: int) -> np.ndarray:
    image = np.full((height, width, 3), (250, 250, 245), np.uint8)
    for line in range(-1, height // 9 + 2):
        cv2.putText(image, f"{line} scrolling text 0123 and words", (1, 9 * line + 8 - number % 9),
                    cv2.FONT_HERSHEY_PLAIN, 0.6, (20, 20, 40), 1, cv2.LINE_AA)  # fmt: skip
    return image


def palette(number: int, width: int, height: int) -> np.ndarray:
    """Windows, buttons and a pointer in few colours, as on a screen."""
    image = np.full((height, width, 3), (0, 128, 128), np.uint8)
    image[height // 6 :, width // 5 :] = (192, 192, 192)
    image[height // 6 : height // 6 + 4, width // 5 :] = (0, 0, 128)
    image[height // 2 : height // 2 + 5, width // 3 : width // 3 + 7] = (255, 255, 0)
    x, y = number * 2 % width, number % height
    image[y : y + 3, x : x + 3] = (255, 0, 0)
    return image


def bars(number: int, width: int, height: int) -> np.ndarray:
    columns = np.arange(width) * len(_BARS) // width
    image = np.repeat(_BARS[columns][None], height, axis=0).copy()
    image[: height // 4, number * 2 % width :][:, : max(2, width // 8)] = (255, 255, 255)
    return image


def still_bars(number: int, width: int, height: int) -> np.ndarray:
    return np.repeat(_BARS[np.arange(width) * len(_BARS) // width][None], height, axis=0).copy()


def graphics(number: int, width: int, height: int) -> np.ndarray:
    """Sharp shapes that move fast."""
    image = np.full((height, width, 3), (30, 40, 90), np.uint8)
    radius = max(2, min(width, height) // 5)
    cv2.circle(image, (5 * number % width, height // 2), radius, (250, 180, 20), -1)
    x = width - 1 - 3 * number % width
    cv2.rectangle(image, (x, 0), (x + radius, height // 3), (20, 230, 90), -1)
    return image


def code(number: int, width: int, height: int) -> np.ndarray:
    """Black and white modules of 2 px, as of a QR code, others every eight frames."""
    rng = np.random.default_rng(number // 8)
    modules = rng.integers(0, 2, (-(-height // 2), -(-width // 2), 1), np.uint8) * 255
    return np.repeat(np.repeat(np.repeat(modules, 2, axis=0), 2, axis=1), 3, axis=2)[:height, :width]


def fade(number: int, width: int, height: int) -> np.ndarray:
    return _codes(pan("astronaut", 0.3)(number, width, height) * abs(np.sin(0.13 * number)), width, height)


def flash(number: int, width: int, height: int) -> np.ndarray:
    image = pan("coffee", 0.5)(number, width, height)
    return np.full_like(image, 245) if number % 11 in (5, 6) else image


def cuts(number: int, width: int, height: int) -> np.ndarray:
    names = ("astronaut", "coffee", "chelsea", "rocket")
    return pan(names[number // 5 % 4])(number, width, height)


def dark(number: int, width: int, height: int) -> np.ndarray:
    return noisy(lambda n, w, h: _codes(pan("rocket", 0.4)(n, w, h) * 0.12, w, h), 3)(number, width, height)


def sample(number: int, width: int, height: int) -> np.ndarray:
    from sr_tasks.media.sample import draw

    side = max(width, height, 64)
    return np.ascontiguousarray(draw(number * 3, side, side)[:height, :width, ::-1])


CONTENTS: dict[str, Draw] = {
    "grey": flat((126, 126, 126)),
    "black": flat((0, 0, 0)),
    "white": flat((255, 255, 255)),
    "red": flat((220, 10, 10)),
    "gradient": gradient,
    "still gradient": still_gradient,
    "astronaut": pan("astronaut"),
    "coffee": pan("coffee", 0.15),
    "brick": pan("brick", 1.7, 2.0),
    "cat near": pan("chelsea", 0.8, 3.0),
    "sample": sample,
    "noise 3": noisy(pan("astronaut"), 3),
    "noise 10": noisy(pan("chelsea", 0.4), 10),
    "noise 25": noisy(pan("coffee", 0.4), 25),
    "noise on grey": noisy(flat((120, 120, 120)), 6),
    "film grain": noisy(pan("rocket", 0.7), 9, 0.8),
    "static": static,
    "checks 1": checks(1, False),
    "checks 2": checks(2, True),
    "checks 5": checks(5, True),
    "lines": lines,
    "text": text,
    "palette": palette,
    "bars": bars,
    "still bars": still_bars,
    "graphics": graphics,
    "code": code,
    "tiny motion": pan("astronaut", 0.02),
    "fade": fade,
    "flash": flash,
    "cuts": cuts,
    "dark": dark,
}
