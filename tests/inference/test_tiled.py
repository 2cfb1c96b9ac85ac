"""Tiled sessions: the same bytes as the whole picture at once, whatever the network, the planes and the size."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from loguru import logger
from onnx import helper, numpy_helper

from sr_tasks.errors import ChunkFailed, ModelRejected, UsageError
from sr_tasks.graphs.graph import build_graph
from sr_tasks.graphs.runtime import Planes, Session, Window
from sr_tasks.inference.backend import CPU_BACKENDS, backend_for
from sr_tasks.inference.opened import open_session
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import network_entry, noise_planes, random_network, resampler_entry, variant

WIDTH, HEIGHT = 141, 103
MODELS = Path(__file__).resolve().parents[2] / "include" / "models"


def prepared(tmp_path: Path, entry: ModelEntry, kind: GraphVariant, backend: str = "openvino") -> PreparedModel:
    """Built, not verified: verification has its own tests."""
    path = tmp_path / f"{entry.card.name}.onnx"
    path.write_bytes(build_graph(entry, kind).SerializeToString())
    return PreparedModel(
        name=entry.card.name, version="1", weights_sha256="", variant=kind, backend=backend,  # type: ignore[arg-type]
        precision="fp32", onnx_path=path, key="key", device="",
    )  # fmt: skip


def opened(
    tmp_path: Path, entry: ModelEntry, kind: GraphVariant, tile_px: int, *, backend: str = "openvino",
    width: int = WIDTH, height: int = HEIGHT, streams: int = 2,
) -> Session:  # fmt: skip
    model = prepared(tmp_path, entry, kind, backend)
    return open_session(backend_for(backend), model, entry.card, width, height, streams=streams, tile_px=tile_px)


def whole(tmp_path: Path, entry: ModelEntry, kind: GraphVariant, planes: Planes, backend: str = "openvino") -> Planes:
    """The backend's own answer for the whole frame, without any of the code for tiles."""
    rows, columns = planes[0].shape
    return backend_for(backend).open(prepared(tmp_path, entry, kind, backend), columns, rows).infer((planes,))


def require_same(found: Planes, expected: Planes) -> None:
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        different = np.argwhere(one != other)
        assert not len(different), f"plane {index} departs at {different[:3].tolist()} and {len(different)} more"


def entry_of(name: str, tmp_path: Path, **changes: Any) -> ModelEntry:
    if name == "compact-x2":
        return Registry(MODELS).get(name)
    if name == "bicubic":
        return resampler_entry(tmp_path)
    networks = {
        "deep": random_network(rim="zero", width=24, layers=6, seed=4),
        "rgb": plain_network(channels=3, scale=2),
        "rgb-x1": plain_network(channels=3, scale=1),
        "luma-x1": plain_network(channels=1, scale=1),
        "pointwise": plain_network(channels=1, scale=2, kernel=1),
        "strided": strided_network(),
    }
    cards: dict[str, dict[str, Any]] = {
        "deep": {"receptive_field": 15},
        "rgb": {"receptive_field": 7, "color": "rgb", "max_passes": 1},
        "rgb-x1": {"receptive_field": 7, "color": "rgb", "scale": 1, "max_passes": 1},
        "luma-x1": {"receptive_field": 7, "scale": 1, "max_passes": 1},
        "pointwise": {"tiling": {"halo": 0}, "max_passes": 1},
        "strided": {"tiling": {"halo": 4, "multiple": 4}, "max_passes": 1},
    }
    return network_entry(tmp_path, networks[name], **(cards[name] | changes))


def plain_network(*, channels: int, scale: int, layers: int = 3, kernel: int = 3) -> onnx.ModelProto:
    """Convolutions with zero padding and random weights over nearest-neighbour enlargement."""
    rng = np.random.default_rng(channels * 10 + scale)
    out = channels * scale**2
    widths = [channels, *[12] * (layers - 1), out]
    nodes, weights, value = [], [], "picture"
    for index, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        shape = (after, before, kernel, kernel)
        kernels = rng.normal(size=shape) * np.sqrt(2 / (before * kernel**2)) * (0.3 if after == out else 1)
        weights.append(numpy_helper.from_array(kernels.astype(np.float32), f"w{index}"))
        pads = [kernel // 2] * 4
        nodes.append(helper.make_node("Conv", [value, f"w{index}"], [f"c{index}"], pads=pads))
        nodes.append(helper.make_node("Relu" if after != out else "Identity", [f"c{index}"], [f"a{index}"]))
        value = f"a{index}"
    repeat = np.repeat(np.eye(channels), scale**2, axis=0).reshape(out, channels, 1, 1).astype(np.float32)
    weights.append(numpy_helper.from_array(repeat, "repeat"))
    nodes.append(helper.make_node("Conv", ["picture", "repeat"], ["base"]))
    nodes.append(helper.make_node("Add", [value, "base"], ["sum"]))
    nodes.append(helper.make_node("DepthToSpace", ["sum"], ["enlarged"], blocksize=scale, mode="CRD"))
    return model_of(nodes, weights, channels)


def strided_network() -> onnx.ModelProto:
    """Works on every fourth px, as networks with a pixel unshuffle do: where a window starts matters."""
    rng = np.random.default_rng(9)
    inner = (rng.normal(size=(64, 16, 3, 3)) * 0.05).astype(np.float32)
    repeat = np.zeros((64, 16, 1, 1), np.float32)
    for row in range(8):
        for column in range(8):
            repeat[row * 8 + column, row // 2 * 4 + column // 2] = 1
    weights = [numpy_helper.from_array(inner, "inner"), numpy_helper.from_array(repeat, "repeat")]
    nodes = [
        helper.make_node("SpaceToDepth", ["picture"], ["small"], blocksize=4),
        helper.make_node("Conv", ["small", "inner"], ["detail"], pads=[1] * 4),
        helper.make_node("Conv", ["small", "repeat"], ["base"]),
        helper.make_node("Add", ["detail", "base"], ["sum"]),
        helper.make_node("DepthToSpace", ["sum"], ["enlarged"], blocksize=8, mode="CRD"),
    ]
    return model_of(nodes, weights, 1)


def global_network(nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """x2 by repetition, of what `nodes` make of `picture` as `seen`."""
    repeat = np.ones((4, 1, 1, 1), np.float32)
    enlarge = [
        helper.make_node("Conv", ["seen", "repeat"], ["repeated"]),
        helper.make_node("DepthToSpace", ["repeated"], ["enlarged"], blocksize=2, mode="CRD"),
    ]
    return model_of([*nodes, *enlarge], [numpy_helper.from_array(repeat, "repeat")], 1)


def model_of(nodes: Sequence[onnx.NodeProto], weights: Sequence[onnx.TensorProto], channels: int) -> onnx.ModelProto:
    source = helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, channels, "rows", "columns"])
    result = helper.make_tensor_value_info("enlarged", onnx.TensorProto.FLOAT, [1, channels, "more", "wider"])
    graph = helper.make_graph(list(nodes), "sample", [source], [result], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


KINDS = {
    "420": variant(),
    "420 10 bit, centred": variant(bit_depth=10, chroma_location=2),
    "422 10 bit": variant(chroma="422", bit_depth=10),
    "444": variant(chroma="444"),
    "gray 12 bit": variant(chroma="gray", bit_depth=12),
    "x4": variant(scale=4, chroma_location=3),
}


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("model", ["compact-x2", "bicubic", "deep"])
def test_tiles_give_the_bytes_of_the_whole_picture(
    tmp_path: Path, backend: str, kind: GraphVariant, model: str
) -> None:
    entry, planes = entry_of(model, tmp_path), noise_planes(kind, WIDTH, HEIGHT)
    expected = whole(tmp_path, entry, kind, planes, backend)
    for tile_px in (32, 64):
        require_same(opened(tmp_path, entry, kind, tile_px, backend=backend).infer((planes,)), expected)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("pointwise", variant()), ("pointwise", variant(chroma="444")),
        ("luma-x1", variant(scale=1)), ("luma-x1", variant(scale=1, chroma="422", bit_depth=10)),
        ("rgb", variant(colorspace=1, color_range=1)), ("rgb", variant(colorspace=6, color_range=2, chroma_location=2)),
        ("rgb", variant(colorspace=9, color_range=1, chroma="422", bit_depth=10)),
        ("rgb", variant(colorspace=1, color_range=1, chroma="444")), ("rgb", variant(color_range=1, chroma="gray")),
        ("rgb-x1", variant(scale=1, colorspace=1, color_range=1)),
        ("rgb-x1", variant(scale=1, colorspace=1, color_range=1, chroma_location=2, bit_depth=10)),
    ],
)  # fmt: skip
def test_tiles_of_networks_that_see_less_than_the_resamplers_of_chroma_and_of_rgb_networks(
    tmp_path: Path, backend: str, model: str, kind: GraphVariant
) -> None:
    entry, planes = entry_of(model, tmp_path), noise_planes(kind, WIDTH, HEIGHT)
    expected = whole(tmp_path, entry, kind, planes, backend)
    require_same(opened(tmp_path, entry, kind, 32, backend=backend).infer((planes,)), expected)


@pytest.mark.parametrize("size", [(141, 103), (140, 104), (16, 17), (33, 90)])
@pytest.mark.parametrize("tile_px", [0, 32])
def test_a_picture_whose_sides_are_no_multiple_is_extended_and_cut(
    tmp_path: Path, size: tuple[int, int], tile_px: int
) -> None:
    entry, kind, (width, height) = entry_of("strided", tmp_path), variant(chroma="444"), size
    planes = noise_planes(kind, width, height)
    extended = tuple(np.pad(plane, ((0, -height % 4), (0, -width % 4)), mode="edge") for plane in planes)
    expected = tuple(plane[: 2 * height, : 2 * width] for plane in whole(tmp_path, entry, kind, extended))
    require_same(opened(tmp_path, entry, kind, tile_px, width=width, height=height).infer((planes,)), expected)


def test_a_picture_below_the_smallest_size_of_a_network_is_extended(tmp_path: Path) -> None:
    entry = entry_of("deep", tmp_path, tiling={"halo": 7, "minimum": 64})
    planes = noise_planes(variant(), 40, 22)
    y, u, v = (np.pad(plane, [(0, end - there) for end, there in zip(goal, plane.shape, strict=True)], mode="edge")
               for plane, goal in zip(planes, [(64, 64), (32, 32), (32, 32)], strict=True))  # fmt: skip
    expected = tuple(plane[:44, :80] if index == 0 else plane[:22, :40]
                     for index, plane in enumerate(whole(tmp_path, entry, variant(), (y, u, v))))  # fmt: skip
    require_same(opened(tmp_path, entry, variant(), 0, width=40, height=22).infer((planes,)), expected)


def test_a_network_of_one_size_takes_pictures_of_any_other(tmp_path: Path) -> None:
    entry = entry_of("deep", tmp_path, tiling={"halo": 7, "fixed": [80, 96]})
    planes = noise_planes(variant(), WIDTH, HEIGHT)
    model, backend = prepared(tmp_path, entry, variant()), _Recording()
    found = open_session(backend, model, entry.card, WIDTH, HEIGHT, streams=1, tile_px=0).infer((planes,))
    assert backend.opened == [(96, 80)]
    padded = (np.pad(planes[0], ((0, 1), (0, 1)), mode="edge"), *planes[1:])
    luma = whole(tmp_path, entry, variant(), padded)[0]
    inner = np.s_[: 2 * HEIGHT - 14, : 2 * WIDTH - 14]
    assert np.array_equal(found[0][inner], luma[inner])


@pytest.mark.parametrize("streams", [1, 3])
def test_planes_may_lie_anywhere_and_frames_may_be_computed_at_once(tmp_path: Path, streams: int) -> None:
    entry, kind = entry_of("deep", tmp_path), variant(bit_depth=10)
    frames = [noise_planes(kind, WIDTH, HEIGHT, seed=seed) for seed in range(4)]
    session = opened(tmp_path, entry, kind, 48, streams=streams)
    results: dict[int, Planes] = {}

    def work(index: int) -> None:
        apart = tuple(np.zeros((rows, columns + 9), np.uint16) for rows, columns in session.output_shapes)
        out = tuple(plane[:, 4:-5] for plane in apart)
        results[index] = session.infer((tuple(np.asfortranarray(plane) for plane in frames[index]),), out)
        assert results[index][0] is out[0]
        assert not any(plane[:, :4].any() or plane[:, -5:].any() for plane in apart), "written beyond the plane"

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, planes in enumerate(frames):
        require_same(results[index], whole(tmp_path, entry, kind, planes))


def overlapping(tmp_path: Path, network: onnx.ModelProto, halo: int = 24, **tiling: Any) -> ModelEntry:
    return network_entry(tmp_path, network, max_passes=1, tiling={"mode": "overlap", "halo": halo, **tiling})


@pytest.mark.parametrize("kind", [variant(), variant(bit_depth=12, chroma="422")])
def test_what_neighbours_agree_on_is_not_changed_by_blending(tmp_path: Path, kind: GraphVariant) -> None:
    entry = overlapping(tmp_path, global_network([helper.make_node("Identity", ["picture"], ["seen"])]))
    planes = noise_planes(kind, WIDTH, HEIGHT)
    planes[0][:40, :40] = 2**kind.bit_depth - 1
    session = opened(tmp_path, entry, kind, 48)
    require_same(session.infer((planes,)), whole(tmp_path, entry, kind, planes))
    assert entry.card.tiles.mode == "overlap"


@pytest.mark.parametrize("kind", [variant(chroma="gray"), variant(chroma="gray", bit_depth=12)])
def test_neighbours_that_disagree_leave_no_seam(tmp_path: Path, kind: GraphVariant) -> None:
    """A network that gives every px the mean of what it sees: side by side its tiles would be a staircase."""
    mean = helper.make_node("GlobalAveragePool", ["picture"], ["mean"])
    spread = helper.make_node("Add", ["nothing", "mean"], ["seen"])
    network = global_network([mean, helper.make_node("Sub", ["picture", "picture"], ["nothing"]), spread])
    peak = 2**kind.bit_depth - 1
    slope = np.linspace(0.1, 0.9, WIDTH)[None] + np.linspace(-0.05, 0.05, HEIGHT)[:, None]
    luma = np.rint(slope * peak).astype(np.uint8 if kind.bit_depth == 8 else np.uint16)
    entry = overlapping(tmp_path, network)
    found = opened(tmp_path, entry, kind, 64).infer(((luma,),))[0].astype(float)
    levels = np.unique(found[0]), np.unique(found[:, 0])
    assert levels[0][-1] - levels[0][0] > 0.3 * peak, "the tiles do differ"
    steepest = 0.5 * np.pi * (levels[0][-1] - levels[0][0]) / 48
    assert np.abs(np.diff(found, axis=1)).max() <= 1.02 * steepest + 1
    assert np.abs(np.diff(found, axis=0)).max() <= 1.02 * steepest + 1
    assert np.all(np.diff(found, axis=1) >= 0), "from the lower mean to the higher without a swing"
    again = opened(tmp_path, entry, kind, 64, streams=1).infer(((luma,),))[0]
    assert np.array_equal(found, again)


def test_planes_of_another_kind_are_refused(tmp_path: Path) -> None:
    session = opened(tmp_path, entry_of("bicubic", tmp_path), variant(), 32)
    y, u, v = noise_planes(variant(), WIDTH, HEIGHT)
    with pytest.raises(UsageError, match="source planes"):
        session.infer(((y[:-1], u, v),))
    with pytest.raises(UsageError, match="output planes"):
        session.infer(((y, u, v),), (y, u, v))


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    session = opened(tmp_path, entry_of("bicubic", tmp_path), variant(), 32)
    session.close()
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.infer((noise_planes(variant(), WIDTH, HEIGHT),))


class _Recording:
    """OpenVINO, with a record of the windows it was opened for, and a memory that holds windows up to `limit` px."""

    name, version, device, architecture, compiles_ahead = "openvino", "1", "", "", False
    precisions = ("fp32",)

    def __init__(self, limit: int = 10**9, *, fails_at: str = "infer", error: Exception | None = None) -> None:
        self.opened: list[tuple[int, int]] = []
        self._inner, self._limit, self._fails_at = backend_for("openvino"), limit, fails_at
        self._error = error or MemoryError()

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        self.opened.append((width, height))
        too_large = width * height > self._limit
        if too_large and self._fails_at == "open":
            raise self._error
        session = self._inner.open(model, width, height, streams=streams)
        return _Failing(session, self._error) if too_large else session


class _Failing:
    """A session that gets through the first frame and fails at every other one."""

    def __init__(self, inner: Session, error: Exception) -> None:
        self._inner, self._error, self._left = inner, error, 1
        self.output_shapes = inner.output_shapes

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return self._inner.infer(window, out)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    lines: list[str] = []
    handle = logger.add(lambda message: lines.append(str(message)), level="WARNING", format="{message}")
    yield lines
    logger.remove(handle)


OUT_OF_MEMORY = [
    MemoryError(),
    ChunkFailed("OpenVINO broke off: std::bad_alloc"),
    ChunkFailed(
        "ONNX Runtime broke off: [E] bfc_arena.cc:359 Failed to allocate memory for requested buffer of size 9"
    ),
    ChunkFailed("ONNX Runtime broke off: CUDA failure 2: out of memory ; GPU=0"),
    ModelRejected("TensorRT does not take it: Cuda Runtime (out of memory)"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=[str(error)[-24:] for error in OUT_OF_MEMORY])
@pytest.mark.parametrize("fails_at", ["open", "infer"])
def test_where_memory_runs_out_smaller_tiles_take_over_with_the_same_result(
    tmp_path: Path, error: Exception, fails_at: str, warnings: list[str]
) -> None:
    entry = entry_of("deep", tmp_path)
    model, backend = prepared(tmp_path, entry, variant()), _Recording(64 * 64, fails_at=fails_at, error=error)
    session = open_session(backend, model, entry.card, WIDTH, HEIGHT, streams=2, tile_px=0)
    for seed in range(3):
        planes = noise_planes(variant(), WIDTH, HEIGHT, seed=seed)
        require_same(session.infer((planes,)), whole(tmp_path, entry, variant(), planes))
    areas = [width * height for width, height in backend.opened]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] <= 64 * 64 < areas[-2]
    assert len(warnings) == len(areas) - 1
    assert "memory does not suffice for windows of 141x103" in warnings[0]


def test_callers_at_once_make_room_once(tmp_path: Path) -> None:
    entry = entry_of("bicubic", tmp_path)
    model, backend = prepared(tmp_path, entry, variant()), _Recording(WIDTH * HEIGHT - 1)
    session = open_session(backend, model, entry.card, WIDTH, HEIGHT, streams=3, tile_px=0)
    frames = [noise_planes(variant(), WIDTH, HEIGHT, seed=seed) for seed in range(6)]
    found: dict[int, Planes] = {}
    threads = [
        threading.Thread(target=lambda index=index: found.update({index: session.infer((frames[index],))}))  # type: ignore[misc]
        for index in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, planes in enumerate(frames):
        require_same(found[index], whole(tmp_path, entry, variant(), planes))
    assert len(backend.opened) == 2


def test_when_the_smallest_tiles_do_not_fit_the_error_is_the_runtimes_own(tmp_path: Path) -> None:
    entry = entry_of("deep", tmp_path)
    model = prepared(tmp_path, entry, variant())
    with pytest.raises(ChunkFailed, match="bad_alloc"):
        open_session(
            _Recording(1, fails_at="open", error=ChunkFailed("std::bad_alloc")), model, entry.card, WIDTH, HEIGHT,
            streams=1, tile_px=0,
        )  # fmt: skip


def test_other_failures_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    entry = entry_of("deep", tmp_path)
    backend = _Recording(1, error=ChunkFailed("OpenVINO broke off: the device was removed"))
    session = open_session(backend, prepared(tmp_path, entry, variant()), entry.card, 32, 32, streams=1, tile_px=0)
    planes = noise_planes(variant(), 32, 32)
    session.infer((planes,))
    with pytest.raises(ChunkFailed, match="device was removed"):
        session.infer((planes,))
    assert len(backend.opened) == 1


def test_a_card_that_understates_its_halo_shows(tmp_path: Path) -> None:
    """The tests above can fail: with one px less than the network sees, tiles do differ."""
    entry, kind = entry_of("deep", tmp_path, tiling={"halo": 3}), variant(chroma="gray")
    planes = noise_planes(kind, WIDTH, HEIGHT)
    found = opened(tmp_path, entry, kind, 32).infer((planes,))[0]
    assert not np.array_equal(found, whole(tmp_path, entry, kind, planes)[0])
