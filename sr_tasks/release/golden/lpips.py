"""LPIPS by a network that a deployment brings, as weights of it come with licences of their own. Trains nothing."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sr_tasks.errors import UsageError
from sr_tasks.release.golden.scenes import Rgb


class Lpips:
    """An ONNX file with two inputs [1, 3, rows, columns], R, G, B in -1..1, and one output, their distance. Raises
    UsageError for a file that is none or has another form."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # ONNX Runtime raises classes of its own that share no base but this
            raise UsageError(f"LPIPS cannot be read from {path}: {exc}", hint="Correct SR_LPIPS_PATH.") from exc
        self._inputs = [port.name for port in self._session.get_inputs()]
        if len(self._inputs) != 2:
            raise UsageError(f"{path} takes {len(self._inputs)} pictures, not 2.", hint="Correct SR_LPIPS_PATH.")

    def __call__(self, output: Rgb, truth: Rgb) -> float:
        feeds = {name: _in_range(rgb) for name, rgb in zip(self._inputs, (output, truth), strict=True)}
        return float(np.asarray(self._session.run(None, feeds)[0]).reshape(-1)[0])


def _in_range(rgb: Rgb) -> NDArray[np.float32]:
    return np.asarray(rgb.transpose(2, 0, 1)[None], np.float32) / np.float32(127.5) - np.float32(1)
