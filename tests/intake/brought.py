"""Weight files as people have them: small networks with random weights, in the layouts of their projects."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.config import Settings
from sr_tasks.intake import torch_file
from sr_tasks.intake.add import add_model
from sr_tasks.intake.request import AddRequest
from sr_tasks.registry.registry import ModelEntry, Registry

torch_file.declare_operators()
torch.set_num_threads(1)  # several on few cores wait for one another

from spandrel import ModelLoader  # noqa: E402
from spandrel.architectures.Compact import Compact  # noqa: E402
from spandrel.architectures.DAT import DAT  # noqa: E402
from spandrel.architectures.ESRGAN import ESRGAN  # noqa: E402
from spandrel.architectures.HAT import HAT  # noqa: E402
from spandrel.architectures.MoSR import MoSR  # noqa: E402
from spandrel.architectures.OmniSR import OmniSR  # noqa: E402
from spandrel.architectures.PLKSR import PLKSR, RealPLKSR  # noqa: E402
from spandrel.architectures.RealCUGAN import UpCunet2x  # noqa: E402
from spandrel.architectures.SAFMN import SAFMN  # noqa: E402
from spandrel.architectures.SPAN import SPAN  # noqa: E402
from spandrel.architectures.SwinIR import SwinIR  # noqa: E402

Floats = NDArray[np.float32]

ARCHITECTURES: dict[str, Callable[[], torch.nn.Module]] = {
    "compact": lambda: Compact(num_feat=8, num_conv=2, upscale=2),
    "rrdb": lambda: ESRGAN(num_filters=8, num_blocks=1, scale=4),
    "span": lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2),
    "swinir": lambda: SwinIR(
        img_size=16, embed_dim=8, depths=[2], num_heads=[2], window_size=8, upscale=2, mlp_ratio=2,
        upsampler="pixelshuffledirect",
    ),
    "omnisr": lambda: OmniSR(num_feat=8, block_num=1, res_num=1, up_scale=2),
    "realcugan": lambda: UpCunet2x(),
    "safmn": lambda: SAFMN(dim=8, n_blocks=1, upscaling_factor=2),
    "plksr": lambda: PLKSR(dim=8, n_blocks=1, upscaling_factor=2, kernel_size=5),
    "realplksr": lambda: RealPLKSR(dim=8, n_blocks=1, upscaling_factor=2, kernel_size=5),
    "mosr": lambda: MoSR(upscale=2, n_block=1, dim=8),
    "hat": lambda: HAT(
        img_size=16, embed_dim=8, depths=(1,), num_heads=(2,), window_size=8, upscale=2, mlp_ratio=2,
        compress_ratio=2, squeeze_factor=4,
    ),
    "dat": lambda: DAT(
        img_size=16, embed_dim=32, split_size=[2, 4], depth=[1], num_heads=[2], expansion_factor=2, upscale=2,
        upsampler="pixelshuffledirect",
    ),
}  # fmt: skip


def network(name: str) -> torch.nn.Module:
    """The architecture with random weights, always the same."""
    torch.manual_seed(3)
    return ARCHITECTURES[name]().eval()


def settings_of(tmp_path: Path, **changes: Any) -> Settings:
    return Settings(workdir=tmp_path / "work", models_dir=tmp_path / "models", threads=1, **changes)


def added(path: Path, tmp_path: Path, /, **request: Any) -> ModelEntry:
    """The file as a version of a model in a registry below `tmp_path`."""
    settings = settings_of(tmp_path)
    asked = AddRequest(**{"name": "brought", "licence": "MIT"} | request)
    return add_model(str(path), asked, Registry.of(settings), settings)


def by_spandrel(path: Path, picture: Floats) -> Floats:
    """What spandrel itself makes of the picture with the file."""
    return np.asarray(ModelLoader().load_from_file(path)(torch.from_numpy(picture.copy())))


def by_registry(entry: ModelEntry, picture: Floats) -> Floats:
    """What the registered network makes of it, clipped as spandrel clips."""
    return np.clip(run(entry.read_weights(), picture), 0.0, 1.0)


def run(data: bytes, picture: Floats, **more: Floats) -> Floats:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: picture, **more})[0])


def picture(rows: int, columns: int, channels: int = 3, seed: int = 0) -> Floats:
    """Smooth shapes and grain in 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns] / 9.0
    planes = [0.5 + 0.3 * np.sin(x + shift) * np.cos(y - shift) for shift in range(channels)]
    grain = rng.normal(0, 0.05, (channels, rows, columns))
    return np.clip(np.stack(planes) + grain, 0, 1)[np.newaxis].astype(np.float32)


def convolutional(
    *,
    channels: int = 3,
    scale: int = 2,
    layers: int = 3,
    shape: Sequence[int | str] = (1, 3, "h", "w"),
    half: bool = False,
    opset: int = 17,
    value_range: float = 1.0,
    seed: int = 0,
) -> onnx.ModelProto:
    """A residual network over nearest enlargement, zero-padded, as people export them. Its reach is `layers` px."""
    rng = np.random.default_rng(seed)
    dtype = np.float16 if half else np.float32
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    value, width = "input", 8
    sizes = [channels, *[width] * (layers - 1), channels * scale**2]
    for index, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        spread = np.sqrt(2 / (9 * before)) * (0.1 if index == layers - 1 else 1.0)
        weights += [
            numpy_helper.from_array((rng.normal(size=(after, before, 3, 3)) * spread).astype(dtype), f"w{index}"),
            numpy_helper.from_array((rng.normal(size=after) * 0.02 * value_range).astype(dtype), f"b{index}"),
        ]
        nodes.append(helper.make_node("Conv", [value, f"w{index}", f"b{index}"], [f"c{index}"], pads=[1] * 4))
        value = f"c{index}"
        if index < layers - 1:
            nodes.append(helper.make_node("Relu", [value], [f"r{index}"]))
            value = f"r{index}"
    identity = np.zeros((channels * scale**2, channels, 1, 1), dtype)
    for channel in range(channels):
        identity[channel * scale**2 : (channel + 1) * scale**2, channel] = 1
    weights.append(numpy_helper.from_array(identity, "nearest"))
    nodes += [
        helper.make_node("Conv", ["input", "nearest"], ["base"]),
        helper.make_node("Add", [value, "base"], ["sum"]),
        helper.make_node("DepthToSpace", ["sum"], ["output"], blocksize=scale, mode="CRD"),
    ]
    larger = [size * scale if isinstance(size, int) else f"out_{size}" for size in shape[2:]]
    graph = helper.make_graph(
        nodes, "made by /home/somebody/train.py",
        [helper.make_tensor_value_info("input", kind, list(shape))],
        [helper.make_tensor_value_info("output", kind, [shape[0], shape[1], *larger])],
        weights,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    model.doc_string = "trained on host-17"
    helper.set_model_props(model, {"path": "/home/somebody/net.pth"})
    return model


def saved(model: onnx.ModelProto, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path
