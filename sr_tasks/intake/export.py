"""From torch to ONNX by torch's new exporter, for any size where the network lets it. Reads and writes no files."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch

from sr_tasks.errors import ModelInvalid, ModelRejected
from sr_tasks.intake.canonical import Canonical
from sr_tasks.intake.proof import MAX_DEPARTURE, Run, departure, drawn, natural
from sr_tasks.intake.running import RUN_ERRORS, Picture, Runner
from sr_tasks.intake.tidy import tidied
from sr_tasks.intake.torch_file import TorchNetwork

OPSET = 20
FIXED_PX = 256
"""Side of the tiles of a network that cannot be exported for any size."""

_SAMPLE_PX = 32
_WINDOWS = (8, 16, 32, 64)
_NOISY = ("torch", "torch.__trace", "torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")

_EXPORT_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError, NotImplementedError)
"""torch's own ExporterError is a RuntimeError; a network's code may fail in any other way while it is traced."""


def export_torch(network: TorchNetwork, label: str) -> Canonical:
    """Export and prove: on two pictures of different size, ONNX Runtime must say what torch says.

    A network that fails that for open sizes is exported for one. Raises ModelInvalid if it cannot be exported at
    all, ModelRejected if what was exported departs by more than MAX_DEPARTURE.
    """
    reference = _in_torch(network.module)
    if not np.isfinite(reference(natural(network.channels, *_sample(network)))).all():
        raise ModelInvalid(f"{label} gives what is no number.", hint="Its weights are damaged or not trained.")
    reasons = []
    for fixed in (None, _fixed(network)):
        try:
            data = _exported(network, fixed)
        except _EXPORT_ERRORS as exc:
            reasons.append(_reason(exc))
            continue
        for multiple in (network.multiple,) if fixed else _multiples(network):
            pictures = _pictures(network, fixed, multiple)
            try:
                worst = departure(Runner(data), reference, pictures, label)
            except (*RUN_ERRORS, ModelRejected) as exc:
                reasons.append(_reason(exc))
                continue
            if worst <= MAX_DEPARTURE:
                return _canonical(network, data, fixed, multiple, worst)
            reasons.append(f"it departs by {255 * worst:.2f} 8-bit codes")
    raise ModelInvalid(
        f"{label} ({network.architecture}) cannot be turned into ONNX: {reasons[-1]}",
        hint="Bring it as ONNX, exported by whoever trained it.",
    )


def _canonical(
    network: TorchNetwork, data: bytes, fixed: tuple[int, int] | None, multiple: int, worst: float
) -> Canonical:
    return Canonical(
        data=data,
        architecture=network.architecture,
        scale=network.scale,
        channels=network.channels,
        fixed=fixed,
        multiple=multiple,
        minimum=network.minimum,
        is_global=network.is_global,
        supports_half=network.supports_half,
        supports_bfloat16=network.supports_bfloat16,
        parameters=network.parameters,
        departure=worst,
    )


def _exported(network: TorchNetwork, fixed: tuple[int, int] | None) -> bytes:
    rows, columns = fixed or _sample(network)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network.module,
            (torch.rand(1, network.channels, rows, columns),),
            dynamo=True,
            dynamic_shapes=None if fixed else ({2: _open("rows", network), 3: _open("columns", network)},),
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["enlarged"],
            verbose=False,
            external_data=False,
        )
    model: onnx.ModelProto = program.model_proto  # type: ignore[union-attr]
    return tidied(model, scale=network.scale, channels=network.channels, fixed=fixed)


def _open(name: str, network: TorchNetwork) -> Any:
    """An open size; where it must be a multiple, the exporter has to know, as code asks whether it is."""
    if network.multiple == 1:
        return torch.export.Dim.DYNAMIC
    return network.multiple * torch.export.Dim(name, min=2, max=1 << 14)


def _sample(network: TorchNetwork) -> tuple[int, int]:
    """Rows and columns to trace with. They differ, or the exporter would take them for one number; and where any size
    will do they are odd, or padding to whole windows inside the network would not be seen, and left out."""
    rows = _up(max(_SAMPLE_PX, network.minimum), network.multiple) + (3 if network.multiple == 1 else network.multiple)
    return rows, rows + (10 if network.multiple == 1 else 2 * network.multiple)


def _fixed(network: TorchNetwork) -> tuple[int, int]:
    side = _up(max(FIXED_PX, network.minimum), network.multiple)
    return side, side


def _multiples(network: TorchNetwork) -> list[int]:
    """Of what sides may have to be multiples. Networks of windows pad what they are given; where that padding did not
    survive the export, sides of whole windows need none."""
    return [network.multiple, *(one for one in _WINDOWS if one > network.multiple and one % network.multiple == 0)]


def _pictures(network: TorchNetwork, fixed: tuple[int, int] | None, multiple: int) -> list[Picture]:
    """One like a photograph and one like a drawing, of sizes other than the one that was traced."""
    channels = network.channels
    if fixed is not None:
        return [natural(channels, *fixed)]
    rows = _up(max(_SAMPLE_PX, network.minimum), 2 * multiple) + multiple
    return [natural(channels, rows, rows + 2 * multiple), drawn(channels, rows + 3 * multiple, rows + multiple)]


def _in_torch(module: torch.nn.Module) -> Run:
    def run(picture: Picture) -> Picture:
        with torch.no_grad():
            result: Picture = module(torch.from_numpy(picture)).numpy()
            return result

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of its own inner life out of the terminal; what fails is raised."""
    noisy = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)


def _reason(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc.__cause__ or exc).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(exc).__name__


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
