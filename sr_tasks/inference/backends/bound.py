"""A stream of ONNX Runtime whose planes have their buffers on the device. Works on any device it has memory on."""

import numpy as np
import onnxruntime as ort

from sr_tasks.errors import ChunkFailed
from sr_tasks.graphs.runtime import Planes
from sr_tasks.graphs.verify import ONNXRUNTIME_ERRORS
from sr_tasks.planes.arrays import dtype_of
from sr_tasks.records.prepared import GraphVariant


class BoundSlot:
    """See `Slot`. Planes are copied into buffers that stay bound, computed, and copied back: nothing is allocated."""

    def __init__(
        self,
        session: ort.InferenceSession,
        variant: GraphVariant,
        width: int,
        height: int,
        *,
        device: str,
        ordinal: int = 0,
    ) -> None:
        """`device` is cuda or cpu: where the buffers are; `ordinal` which of several GPUs."""
        self._session = session
        self._binding = session.io_binding()
        names, dtype = variant.layout.names, dtype_of(variant.layout)

        def buffers(shapes: tuple[tuple[int, int], ...]) -> list[ort.OrtValue]:
            return [ort.OrtValue.ortvalue_from_shape_and_type([1, 1, *one], dtype, device, ordinal) for one in shapes]

        self._inputs = buffers(variant.layout.shapes(width, height))
        self._outputs = buffers(variant.output_shapes(width, height))
        for name, source, result in zip(names, self._inputs, self._outputs, strict=True):
            self._binding.bind_ortvalue_input(name, source)
            self._binding.bind_ortvalue_output(f"{name}_out", result)

    def infer(self, planes: Planes, results: Planes) -> None:
        try:
            for buffer, plane in zip(self._inputs, planes, strict=True):
                buffer.update_inplace(np.ascontiguousarray(plane)[np.newaxis, np.newaxis])
            self._session.run_with_iobinding(self._binding)
            for buffer, result in zip(self._outputs, results, strict=True):
                np.copyto(result, buffer.numpy()[0, 0])
        except ONNXRUNTIME_ERRORS as exc:
            raise ChunkFailed(f"ONNX Runtime broke off: {exc}", hint="The chunk can be tried again.") from exc
