"""Measuring a luma network on photographs: Y-PSNR and SSIM beside bicubic. Trains nothing, stores no photograph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.metrics import psnr, ssim
from sr_tasks.planes.scaling import Codes, Floats, area, cubic, to_codes
from sr_tasks.training.downscale import downscale
from sr_tasks.training.recipe import DownScaling

GRID: Final = 4
"""Sides of test photographs are multiples of this, so that every scale divides them."""

REDUCTION: Final = 2
TEST_KINDS: Final[tuple[DownScaling, ...]] = ("bicubic", "area", "aliased")

PHOTOGRAPHS: Final[tuple[tuple[str, str], ...]] = (
    ("skimage", "astronaut"),
    ("skimage", "camera"),
    ("skimage", "chelsea"),
    ("skimage", "coffee"),
    ("skimage", "rocket"),
    ("skimage", "stereo_motorcycle"),
    ("sklearn", "china.jpg"),
    ("sklearn", "flower.jpg"),
)
"""Every photograph of an everyday scene that the wheels of scikit-image and scikit-learn carry: chosen by that rule,
before any result was seen. Each is first halved by area, which clears JPEG blocks and camera softness away."""

TEST_SET: Final = "8 photographs of scikit-image and scikit-learn, halved by area"

Upscaler = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Luma float32 [H, W] in 0..1 to [scale * H, scale * W] of the same range."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One photograph under one down-scaling; PSNR in dB on 8-bit luma, a border of `scale` px left out of both."""

    photograph: str
    down_scaling: DownScaling
    psnr_db: float
    ssim: float
    bicubic_psnr_db: float
    bicubic_ssim: float

    @property
    def gain_db(self) -> float:
        return self.psnr_db - self.bicubic_psnr_db


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The mean over the photographs under one down-scaling."""

    down_scaling: DownScaling
    psnr_db: float
    ssim: float
    gain_db: float
    worst_gain_db: float


def luma_601(rgb: Codes) -> Codes:
    """Y of BT.601 in limited range, uint8, of uint8 RGB [H, W, 3] or of grey [H, W] taken as equal R, G and B."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    colours = rgb[..., None].repeat(3, axis=-1) if rgb.ndim == 2 else rgb[..., :3]
    return to_codes(16 + colours.astype(np.float64) @ weights)


def luma_psnr(upscaled: Floats | Codes, truth: Codes, *, crop: int) -> float:
    """PSNR in dB, at most `PSNR_CAP`, of a plane that is first rounded to codes; `crop` px are cut from every side."""
    return psnr(to_codes(np.asarray(upscaled, np.float64)), truth, crop=crop)


def luma_ssim(upscaled: Floats | Codes, truth: Codes, *, crop: int) -> float:
    """SSIM of a plane that is first rounded to codes; `crop` px are cut from every side."""
    return ssim(to_codes(np.asarray(upscaled, np.float64)), truth, crop=crop)


def photographs() -> dict[str, Codes]:
    """The test photographs by name: luma uint8, halved by area, sides multiples of 4. Needs scikit-image and -learn."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    planes = {}
    for package, name in PHOTOGRAPHS:
        picture = getattr(data, name)() if package == "skimage" else load_sample_image(name)
        luma = luma_601(picture[0] if isinstance(picture, tuple) else picture)
        grid = REDUCTION * GRID
        height, width = (side // grid * grid for side in luma.shape)
        planes[name.removesuffix(".jpg")] = to_codes(area(luma[:height, :width].astype(np.float64), REDUCTION))
    return planes


def evaluate(
    upscaler: Upscaler, truths: dict[str, Codes], kinds: Sequence[DownScaling] = TEST_KINDS, *, scale: int = 2
) -> list[Row]:
    """One row per photograph and down-scaling. The small picture is rounded to 8 bits before it is enlarged."""
    rows = []
    for kind in kinds:
        for name, truth in truths.items():
            small = to_codes(downscale(truth.astype(np.float64), kind, scale)).astype(np.float64)
            upscaled = upscaler((small / 255).astype(np.float32)).astype(np.float64) * 255
            baseline = cubic(small, *truth.shape)
            rows.append(
                Row(
                    photograph=name,
                    down_scaling=kind,
                    psnr_db=luma_psnr(upscaled, truth, crop=scale),
                    ssim=luma_ssim(upscaled, truth, crop=scale),
                    bicubic_psnr_db=luma_psnr(baseline, truth, crop=scale),
                    bicubic_ssim=luma_ssim(baseline, truth, crop=scale),
                )
            )
    return rows


def summarise(rows: Sequence[Row]) -> list[Summary]:
    """One summary per down-scaling, in the order of the rows."""
    kinds = list(dict.fromkeys(row.down_scaling for row in rows))
    groups = [[row for row in rows if row.down_scaling == kind] for kind in kinds]
    return [
        Summary(
            down_scaling=kind,
            psnr_db=float(np.mean([row.psnr_db for row in group])),
            ssim=float(np.mean([row.ssim for row in group])),
            gain_db=float(np.mean([row.gain_db for row in group])),
            worst_gain_db=min(row.gain_db for row in group),
        )
        for kind, group in zip(kinds, groups, strict=True)
    ]


def onnx_upscaler(path: Path, threads: int = 1, *, level: float = 0.0) -> Upscaler:
    """The network in the ONNX file `path`, run by onnxruntime on the CPU; `level` is for one that is told it."""
    session = _session(path, threads)
    names = [value.name for value in session.get_inputs()]

    def upscale(luma: NDArray[np.float32]) -> NDArray[np.float32]:
        feeds = {"luma": luma[None, None], "level": np.array([level], dtype=np.float32)}
        upscaled: NDArray[np.float32] = session.run(None, {name: feeds[name] for name in names})[0][0, 0]
        return upscaled

    return upscale


def takes_level(path: Path) -> bool:
    """Whether the network in the ONNX file `path` is given the degradation level of its source."""
    return any(value.name == "level" for value in _session(path, 1).get_inputs())


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
