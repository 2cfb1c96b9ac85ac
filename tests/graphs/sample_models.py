"""Small models made on the spot: cards, entries and networks with random weights."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.registry import ModelEntry, Registry

Rim = Literal["edge", "zero"]


def variant(**changes: Any) -> GraphVariant:
    fields = {"scale": 2, "chroma": "420", "bit_depth": 8, "chroma_location": 1} | changes
    return GraphVariant(**fields)


def noise_planes(kind: GraphVariant, width: int, height: int, *, seed: int = 0) -> tuple[NDArray[Any], ...]:
    """Independent random codes over the whole range: the hardest picture for a resampler."""
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if kind.bit_depth == 8 else np.uint16
    columns = -(-width // 2) if kind.chroma in ("420", "422") else width
    rows = -(-height // 2) if kind.chroma == "420" else height
    shapes = [(height, width), (rows, columns), (rows, columns)][: 1 if kind.chroma == "gray" else 3]
    return tuple(rng.integers(0, 2**kind.bit_depth, shape).astype(dtype) for shape in shapes)


def random_network(
    *, rim: Rim = "edge", width: int = 16, layers: int = 3, seed: int = 0, strength: float = 0.08
) -> onnx.ModelProto:
    """A residual network over a bilinear base, x2, like the trained ones. `strength` is that of the residual."""
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, array: NDArray[Any]) -> str:
        weights.append(numpy_helper.from_array(array, name))
        return name

    def add(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def extended(name: str, by: int) -> str:
        pads = constant(f"{name}_pads", np.array([0, 0, by, by] * 2, dtype=np.int64))
        return add("Pad", ["luma", pads], name, mode="edge")

    value = extended("context", layers) if rim == "edge" else "luma"
    channels = [1, *[width] * (layers - 1), 4]
    for index, (before, after) in enumerate(zip(channels, channels[1:], strict=False)):
        last = index == layers - 1
        spread = np.sqrt(2 / (9 * before)) * (strength if last else 1.0)
        kernel = constant(f"w{index}", (rng.normal(size=(after, before, 3, 3)) * spread).astype(np.float32))
        bias = constant(f"b{index}", (rng.normal(size=after) * 0.02).astype(np.float32))
        value = add("Conv", [value, kernel, bias], f"conv{index}", pads=[int(rim == "zero")] * 4)
        value = value if last else add("Relu", [value], f"relu{index}")
    phases = np.array([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    base = np.einsum("ai,bj->abij", phases, phases).reshape(4, 1, 3, 3).astype(np.float32)
    value = add("Add", [value, add("Conv", [extended("rim", 1), constant("base_kernel", base)], "base")], "sum")
    add("DepthToSpace", [value], "upscaled", blocksize=2, mode="CRD")
    return network_model(nodes, weights)


def network_model(
    nodes: Sequence[onnx.NodeProto], weights: Sequence[onnx.TensorProto], *, opset: int = 17
) -> onnx.ModelProto:
    luma = helper.make_tensor_value_info("luma", TensorProto.FLOAT, [1, 1, "rows", "columns"])
    upscaled = helper.make_tensor_value_info("upscaled", TensorProto.FLOAT, [1, 1, "out_rows", "out_columns"])
    graph = helper.make_graph(list(nodes), "sample", [luma], [upscaled], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def write_model(
    models_dir: Path, name: str, version: str = "1", /, network: onnx.ModelProto | bytes | None = None, **changes: Any
) -> Path:
    """Write a card, and weights if there is a network. Give the folder."""
    folder = models_dir / name / version
    folder.mkdir(parents=True)
    card: dict[str, Any] = {
        "name": name, "version": version, "title": name, "architecture": "sample", "scale": 2, "parameters": 0,
        "receptive_field": 9, "licence": "Apache-2.0", "training_data": "none", "intended_content": "tests",
        "kind": "resampler" if network is None else "network", "max_passes": 2 if network is None else 1,
        "gate": {"global_psnr_min": 30, "frame_psnr_min": 30, "block_psnr_min": 20, "ssim_min": 0.5},
    }  # fmt: skip
    if network is not None:
        data = network if isinstance(network, bytes) else network.SerializeToString()
        (folder / "weights.onnx").write_bytes(data)
        card["weights"] = {"file": "weights.onnx", "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "card.yaml").write_text(yaml.safe_dump(card | changes))
    return folder


def network_entry(tmp_path: Path, network: onnx.ModelProto | bytes | None = None, **changes: Any) -> ModelEntry:
    options = {"max_passes": 2, "precisions": ["fp32", "bf16"]} | changes
    write_model(tmp_path / "models", "sample", network=random_network() if network is None else network, **options)
    return Registry(tmp_path / "models").get("sample")


def resampler_entry(tmp_path: Path) -> ModelEntry:
    write_model(tmp_path / "models", "cubic")
    return Registry(tmp_path / "models").get("cubic")
