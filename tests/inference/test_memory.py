"""Sizes of tiles from memory: what fits is left whole, what does not is cut until it does, and it really fits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sr_tasks.graphs.graph import build_graph
from sr_tasks.inference import machine
from sr_tasks.inference.memory import Room, bytes_per_px, choose_tile_px, frames_in_flight
from sr_tasks.inference.tiles import Layout
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import network_entry, network_model, random_network, resampler_entry, variant

REPOSITORY = Path(__file__).resolve().parents[2]
COMPACT = Registry(REPOSITORY / "include" / "models").get("compact-x2")


def room(megabytes: int, streams: int = 2) -> Room:
    return Room(memory=megabytes << 20, streams=streams)


def per_px(entry: ModelEntry) -> float:
    return bytes_per_px(build_graph(entry, variant()), variant(), Layout.of(entry.card, variant()))


def test_frames_are_left_whole_where_they_fit() -> None:
    assert choose_tile_px(COMPACT, variant(), 640, 360, room(8000)) == 0
    assert choose_tile_px(COMPACT, variant(), 3840, 2160, room(64_000)) == 0


def test_less_memory_more_px_or_more_streams_make_tiles_smaller() -> None:
    def size(width: int, height: int, megabytes: int, streams: int = 2) -> int:
        return choose_tile_px(COMPACT, variant(), width, height, room(megabytes, streams)) or 10**6

    for larger, smaller in [
        (size(7680, 4320, 16_000), size(7680, 4320, 2000)),
        (size(640, 360, 2000), size(7680, 4320, 2000)),
        (size(7680, 4320, 16_000), size(7680, 4320, 16_000, streams=64)),
    ]:
        assert smaller < larger
    assert size(7680, 4320, 64) >= 32


def test_a_side_that_was_asked_for_is_taken() -> None:
    assert choose_tile_px(COMPACT, variant(), 640, 360, room(64_000), wanted=100) == 100


def test_the_estimate_counts_what_is_alive_at_once(tmp_path: Path) -> None:
    """A network of 32 channels holds two maps of them in float32 while a layer runs; planes and edges are little."""
    wide = network_entry(tmp_path / "wide", random_network(width=32, layers=5))
    narrow = network_entry(tmp_path / "narrow", random_network(width=16, layers=5))
    assert 2 * 32 * 4 <= per_px(wide) <= 2 * 32 * 4 * 1.5
    assert 2 * 16 * 4 <= per_px(narrow) <= 2 * 16 * 4 * 1.6
    assert per_px(resampler_entry(tmp_path / "cubic")) < per_px(narrow)


def test_a_graph_whose_sizes_cannot_be_told_is_taken_for_a_large_one(tmp_path: Path) -> None:
    weights = [
        numpy_helper.from_array(np.ones((4, 1, 1, 1), np.float32), "repeat"),
        numpy_helper.from_array(np.array(0.5, np.float32), "half"),
    ]
    nodes = [
        helper.make_node("Greater", ["luma", "half"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["where"]),
        helper.make_node("Shape", ["where"], ["count"]),
        helper.make_node("Cast", ["count"], ["number"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["number"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "luma"], ["product"]),
        helper.make_node("Conv", ["product", "repeat"], ["repeated"]),
        helper.make_node("DepthToSpace", ["repeated"], ["upscaled"], blocksize=2, mode="CRD"),
    ]
    entry = network_entry(tmp_path, network_model(nodes, weights), max_passes=1)
    assert per_px(entry) > per_px(network_entry(tmp_path / "wide", random_network(width=64)))


def test_only_a_few_very_large_frames_are_under_way_at_once() -> None:
    assert frames_in_flight(variant(), 640, 360, room(8000)) == 6
    assert frames_in_flight(variant(), 7680, 4320, room(4000)) == 2
    large = frames_in_flight(variant(), 7680, 4320, room(16_000, streams=16))
    assert large < 3 * 16
    assert large * 7680 * 4320 * 1.5 * 5 <= 0.125 * (16_000 << 20)


@pytest.mark.parametrize(
    ("own", "files", "limits"),
    [
        (
            "0::/jobs/one\n",
            {"jobs/one/memory.max": "3000", "jobs/memory.max": "max", "memory.max": "9000"},
            {3000, 9000},
        ),
        ("0::/of/the/host\n", {"memory.max": "5000\n"}, {5000}),
        ("0::/../../elsewhere\n", {"memory.max": "5000"}, {5000}),
        (
            "9:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n",
            {"memory/docker/abc/memory.limit_in_bytes": "700", "memory/memory.limit_in_bytes": "9223372036854771712"},
            {700, 9223372036854771712},
        ),
        ("0::/\n", {}, set()),
    ],
)
def test_limits_of_control_groups_are_found(tmp_path: Path, own: str, files: dict[str, str], limits: set[int]) -> None:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "own").write_text(own)
    assert set(machine.cgroup_limits(tmp_path / "cgroup", tmp_path / "own")) == limits


def test_a_system_without_control_groups_has_its_memory(tmp_path: Path) -> None:
    assert list(machine.cgroup_limits(tmp_path, tmp_path / "none")) == []
    assert Room.of_machine(3).streams == 3
    assert Room.of_machine(1).memory > 1 << 28


_LARGE_FRAME = """
import sys
from pathlib import Path
import numpy as np
from sr_tasks.inference.backend import backend_for
from sr_tasks.inference.memory import Room, choose_tile_px
from sr_tasks.inference.opened import open_session
from sr_tasks.registry.registry import Registry
from sr_tasks.graphs.prepare import prepare
from sr_tasks.records.prepared import GraphVariant
entry = Registry(Path("include/models")).get("bicubic")
kind = GraphVariant(scale=2, chroma="420", bit_depth=8, chroma_location=1)
tile_px = choose_tile_px(entry, kind, 7680, 4320, Room(memory=1 << 30, streams=2))
backend = backend_for("openvino")
model, _ = prepare(entry, kind, backend, "auto", Path(sys.argv[1]), width=256, height=256)
def peak():
    return int(dict(line.split(":", 1) for line in open("/proc/self/status"))["VmHWM"].split()[0]) >> 10
before = peak()
session = open_session(backend, model, entry.card, 7680, 4320, streams=2, tile_px=tile_px)
rng = np.random.default_rng(0)
row = rng.integers(0, 256, 7680, dtype=np.uint8)
planes = tuple(np.tile(row[:columns], (rows, 1)) for rows, columns in ((4320, 7680), (2160, 3840), (2160, 3840)))
out = session.infer((planes,))
print(tile_px, before, peak(), out[0].shape, int(out[0].std() > 1))
"""


def test_a_frame_of_8k_is_computed_within_the_memory_there_is(tmp_path: Path) -> None:
    """Whole, it would take 3 GB a stream. In a process of its own, as peaks do not go down again."""
    command = [sys.executable, "-c", _LARGE_FRAME, str(tmp_path)]
    text = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    tile_px, before, after, *_ = (int(word) for word in text.split() if word.isdigit())
    assert text.split()[-1] == "1", "the picture is not flat"
    assert 32 <= tile_px <= 1024
    assert after - before < 1024
