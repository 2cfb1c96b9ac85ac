"""Loads torch weights of any architecture spandrel knows, through its restricted unpickler. Runs nothing of a file."""

import contextlib
import importlib.util
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from sr_tasks.errors import ModelInvalid
from sr_tasks.intake.sniff import Finding

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

_SUFFIX = {"torch": ".pth", "safetensors": ".safetensors"}
_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_LOAD_ERRORS = (pickle.UnpicklingError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError, TypeError)
_BUILD_ERRORS = (
    RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, ArithmeticError,
)  # fmt: skip
"""What reading a state dict of almost the right keys can end in."""


@dataclass(frozen=True, kw_only=True)
class TorchNetwork:
    """A network in torch, as it was brought. Shapes are [1, channels, rows, columns], values 0..1."""

    module: torch.nn.Module
    """float32, in evaluation mode, frozen; takes and gives one picture, without clipping."""
    architecture: str
    """As spandrel names it, with its tags."""
    scale: int
    channels: int
    multiple: int
    minimum: int
    is_global: bool
    """Said to need the whole picture."""
    supports_half: bool
    supports_bfloat16: bool
    parameters: int


class _Plain(torch.nn.Module):
    """A network behind the call that spandrel knows for it."""

    def __init__(self, descriptor: "ImageModelDescriptor[Any]") -> None:
        super().__init__()
        self.net = descriptor.model
        self._call = descriptor._call_fn

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        # Some networks change what they are given.
        result: torch.Tensor = self._call(self.net, picture.clone())
        return result


def load_torch(path: Path, finding: Finding, folder: Path) -> TorchNetwork:
    """The network in a file that `sniff` found to be of torch or safetensors; `folder` is scratch.

    Raises ModelInvalid for a damaged file, one that holds more than tensors, an unknown architecture, and one that is
    not from picture to picture.
    """
    declare_operators()
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    loader = ModelLoader()
    # By its suffix alone spandrel decides how to read a file; .pt it would first try as a program.
    alias = folder / f"weights{_SUFFIX[finding.form]}"
    alias.symlink_to(path)
    try:
        state = loader.load_state_dict_from_file(alias)
    except _LOAD_ERRORS as exc:
        raise ModelInvalid(
            f"{path.name!r} cannot be loaded as {finding.words}: {_first_line(exc)}", hint="Fetch or save it again."
        ) from exc
    finally:
        alias.unlink()
    try:
        descriptor = loader.load_from_state_dict(state)
    except UnsupportedModelError as exc:
        raise _unknown(path, state) from exc
    except _BUILD_ERRORS as exc:
        raise ModelInvalid(
            f"The tensors of {path.name!r} do not make up a network: {_first_line(exc)}",
            hint="Check that the file is whole and of an architecture that spandrel knows.",
        ) from exc
    if not isinstance(descriptor, ImageModelDescriptor):
        raise _unfit(path, descriptor.architecture.name, "it needs a mask beside the picture")
    return _of(path, descriptor)


def _of(path: Path, descriptor: "ImageModelDescriptor[Any]") -> TorchNetwork:
    name, sizes = descriptor.architecture.name, descriptor.size_requirements
    channels = descriptor.input_channels
    if descriptor.purpose == "FaceSR":
        raise _unfit(path, name, "it is for faces cut out of a picture")
    if channels != descriptor.output_channels or channels not in (1, 3):
        raise _unfit(path, name, f"it makes {descriptor.output_channels} channels of {channels}")
    if sizes.square:
        raise _unfit(path, name, "it takes square pictures only")
    module = _Plain(descriptor.float().eval()).eval().requires_grad_(False)
    _fold_branches(module)
    return TorchNetwork(
        module=module,
        architecture=" ".join([name, *descriptor.tags]),
        scale=descriptor.scale,
        channels=channels,
        multiple=sizes.multiple_of,
        minimum=sizes.minimum,
        is_global=descriptor.tiling.name != "SUPPORTED",
        supports_half=descriptor.supports_half,
        supports_bfloat16=descriptor.supports_bfloat16,
        parameters=sum(tensor.numel() for tensor in descriptor.model.parameters()),
    )


def _fold_branches(module: torch.nn.Module) -> None:
    """SPAN folds its branches into one convolution at each call, by writing to its own weights, which no exporter
    survives. Fold them once, and no more."""
    for part in module.modules():
        if callable(update := getattr(part, "update_params", None)):
            update()
            part.__dict__["update_params"] = _nothing


def _nothing() -> None:
    """The branches are folded."""


def declare_operators() -> None:
    """spandrel imports torchvision, which asks for operators that its compiled part declares. Where that part does not
    load, as beside a CPU-only torch, the two schemas are enough: super resolution calls neither."""
    spec = importlib.util.find_spec("torchvision")
    if spec is not None and spec.submodule_search_locations:
        compiled = Path(spec.submodule_search_locations[0]) / "_C.so"
        with contextlib.suppress(OSError):  # which is what the declarations below are for
            torch.ops.load_library(str(compiled))  # type: ignore[no-untyped-call]
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


def _unknown(path: Path, state: Mapping[str, object]) -> ModelInvalid:
    keys = ", ".join(str(key) for key in list(state)[:4]) if isinstance(state, Mapping) else type(state).__name__
    return ModelInvalid(
        f"{path.name!r} holds {len(state)} tensors of no known architecture: first keys {keys}.",
        hint="Known are those of spandrel 0.4; export others to ONNX and bring that.",
    )


def _unfit(path: Path, architecture: str, why: str) -> ModelInvalid:
    return ModelInvalid(f"{path.name!r} is a {architecture}, which cannot be used: {why}.", hint="Bring another model.")


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0][:200] if lines else type(exc).__name__
