"""Runs a network in ONNX Runtime, in fp32 as it is written, to learn about it. The only door to that library here."""

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

Picture = NDArray[np.float32]
"""[1, C, rows, columns], 0..1 unless said otherwise."""

RUN_ERRORS = (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
    ValueError,
)
"""What ONNX Runtime raises for a file or a size it cannot run."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Runner:
    """An opened network; the same input gives the same output to the bit. Raises what is in RUN_ERRORS."""

    def __init__(self, data: bytes, *, threads: int = 1, level: float = 0.0) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it would log is raised as well
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._inputs = self._session.get_inputs()
        self._level = level

    def __call__(self, picture: Picture) -> Picture:
        """The network's output as float32, of whatever shape."""
        feeds: dict[str, NDArray[np.generic]] = {
            self._inputs[0].name: picture.astype(_TYPES.get(self._inputs[0].type, np.float32))
        }
        for further in self._inputs[1:]:
            feeds[further.name] = np.array([self._level], dtype=np.float32)
        return np.asarray(self._session.run(None, feeds)[0]).astype(np.float32)
