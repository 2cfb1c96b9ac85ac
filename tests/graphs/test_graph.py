"""The planes-to-planes graph against references that share no code with it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from sr_tasks.errors import ModelRejected, ScaleUnsupported
from sr_tasks.graphs.graph import build_graph
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.registry import ModelEntry
from tests.graphs.sample_models import (
    network_entry,
    network_model,
    noise_planes,
    random_network,
    resampler_entry,
    variant,
)

WIDTH, HEIGHT = 23, 17
LEFT, CENTRE, TOP_LEFT = 1, 2, 3


def keys_kernel(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resampled(plane: NDArray[Any], positions: tuple[list[float], list[float]], peak: int) -> NDArray[np.int64]:
    """The kernel evaluated sample by sample at positions (rows, columns) of the source, edges repeated, in float64."""
    result = plane.astype(np.float64)
    for axis in (0, 1):
        size = plane.shape[axis]
        matrix = np.zeros((len(positions[axis]), size))
        for row, position in enumerate(positions[axis]):
            for sample in range(math.floor(position) - 1, math.floor(position) + 3):
                matrix[row, min(max(sample, 0), size - 1)] += keys_kernel(position - sample)
        result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return np.clip(np.floor(result + 0.5), 0, peak).astype(np.int64)


def positions_of(length: int, scale: int, *, halved: bool, cosited: bool) -> list[float]:
    """Where the samples of an enlarged axis lie in the source plane; `length` is that of the source's luma.

    Worked out on the common axis of luma: luma sample i covers [i, i + 1) in the source, 1/s as much in the output.
    """
    if not halved:
        return [(j + 0.5) / scale - 0.5 for j in range(length * scale)]
    count = math.ceil(length * scale / 2)
    if cosited:  # a chroma sample lies on the middle of luma sample 2j
        places = [(2 * j + 0.5) / scale for j in range(count)]
        return [(place - 0.5) / 2 for place in places]
    places = [(2 * j + 1) / scale for j in range(count)]  # between luma samples 2j and 2j + 1
    return [(place - 1) / 2 for place in places]


def run(entry: ModelEntry, kind: GraphVariant, planes: tuple[NDArray[Any], ...]) -> list[NDArray[Any]]:
    session = ort.InferenceSession(build_graph(entry, kind).SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs = session.run(
        [f"{name}_out" for name in names], {n: p[None, None] for n, p in zip(names, planes, strict=True)}
    )
    return [output[0, 0] for output in outputs]


def expected_chroma(plane: NDArray[Any], kind: GraphVariant) -> NDArray[np.int64]:
    rows = positions_of(HEIGHT, kind.scale, halved=kind.chroma == "420", cosited=kind.chroma_location == TOP_LEFT)
    columns = positions_of(
        WIDTH, kind.scale, halved=kind.chroma in ("420", "422"), cosited=kind.chroma_location in (LEFT, TOP_LEFT)
    )
    return resampled(plane, (rows, columns), 2**kind.bit_depth - 1)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(
    ("chroma", "location", "bit_depth"),
    [
        ("420", LEFT, 8), ("420", CENTRE, 8), ("420", TOP_LEFT, 8), ("420", LEFT, 10), ("420", TOP_LEFT, 12),
        ("422", LEFT, 8), ("422", CENTRE, 10), ("422", TOP_LEFT, 8), ("444", LEFT, 8), ("444", TOP_LEFT, 12),
        ("gray", LEFT, 8), ("gray", LEFT, 10), ("420", LEFT, 16),
    ],
)  # fmt: skip
def test_every_plane_is_resampled_where_its_samples_lie(
    tmp_path: Path, scale: int, chroma: str, location: int, bit_depth: int
) -> None:
    kind = variant(scale=scale, chroma=chroma, chroma_location=location, bit_depth=bit_depth)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    found = run(resampler_entry(tmp_path), kind, planes)
    luma = (
        positions_of(HEIGHT, scale, halved=False, cosited=False),
        positions_of(WIDTH, scale, halved=False, cosited=False),
    )
    expected = [resampled(planes[0], luma, 2**bit_depth - 1), *(expected_chroma(plane, kind) for plane in planes[1:])]
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == planes[0].dtype
        difference = np.abs(one.astype(np.int64) - other)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= max(2, one.size // 200), "more than ties of rounding"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (3, 3), (5, 2)])
def test_tiny_and_odd_frames_come_out_at_exactly_their_size(tmp_path: Path, width: int, height: int) -> None:
    entry = network_entry(tmp_path)
    for scale in (2, 4):
        kind = variant(scale=scale)
        shapes = [plane.shape for plane in run(entry, kind, noise_planes(kind, width, height))]
        half = (math.ceil(height * scale / 2), math.ceil(width * scale / 2))
        assert shapes == [(height * scale, width * scale), half, half]


def test_an_odd_scale_of_an_odd_frame_rounds_chroma_up(tmp_path: Path) -> None:
    repeat = onnx.helper.make_node("Concat", ["luma"] * 9, ["nine"], axis=1)
    unfold = onnx.helper.make_node("DepthToSpace", ["nine"], ["upscaled"], blocksize=3, mode="CRD")
    entry = network_entry(tmp_path, network_model([repeat, unfold], []), scale=3, max_passes=1)
    kind = variant(scale=3)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    found = run(entry, kind, planes)
    assert [plane.shape for plane in found] == [(51, 69), (26, 35), (26, 35)]
    assert np.array_equal(found[0], planes[0].repeat(3, axis=0).repeat(3, axis=1))
    assert np.abs(found[1].astype(np.int64) - expected_chroma(planes[1], kind)).max() <= 1


@pytest.mark.parametrize("bit_depth", [8, 10, 12])
@pytest.mark.parametrize("rim", ["edge", "zero"])
def test_luma_is_what_the_weights_give(tmp_path: Path, bit_depth: int, rim: Any) -> None:
    network = random_network(rim=rim)
    kind = variant(chroma="gray", bit_depth=bit_depth)
    luma = noise_planes(kind, WIDTH, HEIGHT)[0]
    peak = 2**bit_depth - 1
    unit = (luma / peak).astype(np.float32)[None, None]
    raw = ReferenceEvaluator(network).run(None, {"luma": unit})[0][0, 0].astype(np.float64) * peak
    expected = np.clip(np.floor(raw + 0.5), 0, peak)
    found = run(network_entry(tmp_path, network), kind, (luma,))[0]
    difference = np.abs(found - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= found.size // 200


def test_scale_squared_runs_the_network_twice_on_pictures_within_their_range(tmp_path: Path) -> None:
    network, kind = random_network(strength=0.3), variant(chroma="gray", scale=4)
    luma = noise_planes(kind, WIDTH, HEIGHT)[0]
    evaluator = ReferenceEvaluator(network)
    once = evaluator.run(None, {"luma": (luma / 255).astype(np.float32)[None, None]})[0]
    assert once.min() < 0, "the test picture must overshoot"
    twice = evaluator.run(None, {"luma": np.clip(once, 0, 1)})[0][0, 0]
    expected = np.clip(np.floor(twice.astype(np.float64) * 255 + 0.5), 0, 255)
    difference = np.abs(run(network_entry(tmp_path, network), kind, (luma,))[0] - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= difference.size // 200


@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
@pytest.mark.parametrize(
    ("chroma", "location"), [("420", LEFT), ("420", CENTRE), ("420", TOP_LEFT), ("422", LEFT), ("444", LEFT)]
)
def test_flat_planes_stay_just_as_they_are(tmp_path: Path, bit_depth: int, chroma: str, location: int) -> None:
    entry = resampler_entry(tmp_path)
    peak = 2**bit_depth - 1
    for scale in (2, 4):
        kind = variant(scale=scale, chroma=chroma, chroma_location=location, bit_depth=bit_depth)
        shapes = [plane.shape for plane in noise_planes(kind, WIDTH, HEIGHT)]
        for codes in ((0, peak, peak // 2), (peak // 16, peak - 1, 1), (peak // 2 + 1, peak // 3, peak * 3 // 4)):
            dtype = np.uint8 if bit_depth == 8 else np.uint16
            planes = tuple(np.full(shape, code, dtype) for shape, code in zip(shapes, codes, strict=True))
            for plane, code in zip(run(entry, kind, planes), codes, strict=True):
                assert np.unique(plane).tolist() == [code]


def test_no_factor_of_the_range_is_left_in_the_graph(tmp_path: Path) -> None:
    graph = build_graph(network_entry(tmp_path), variant(chroma="gray")).graph
    assert [node.op_type for node in graph.node if node.op_type in ("Mul", "Div", "Sub")] == []
    weights = {tensor.name: tensor for tensor in graph.initializer}
    base = next(tensor for name, tensor in weights.items() if name.startswith("base_kernel"))
    assert np.frombuffer(base.raw_data, np.float32).sum() == 4.0


def test_a_scale_the_model_cannot_do_is_refused_with_those_it_can(tmp_path: Path) -> None:
    with pytest.raises(ScaleUnsupported, match="3 times") as caught:
        build_graph(network_entry(tmp_path), variant(scale=3))
    assert "2, 4" in caught.value.hint
    with pytest.raises(ScaleUnsupported):
        build_graph(network_entry(tmp_path / "single", max_passes=1), variant(scale=4))


def test_a_model_of_another_colour_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="rgb"):
        build_graph(network_entry(tmp_path, color="rgb"), variant())
