"""The CUDA and TensorRT backends without a GPU: what they ask of ONNX Runtime, in which order, and what they say when
it does not do it.

ONNX Runtime is replaced at the door by one that notes what it was asked and then works on the CPU: providers and their
options are proved by construction here. That they do what they should is proved by `make gpu-check` on a GPU.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from sr_tasks.commands import gpu_check
from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.graphs.convert import converted_graph
from sr_tasks.graphs.graph import build_graph
from sr_tasks.graphs.prepare import prepare
from sr_tasks.inference.backend import BACKENDS, backend_for
from sr_tasks.inference.backends import nvidia, onnxruntime_gpu
from sr_tasks.inference.backends.bound import BoundSlot
from sr_tasks.inference.backends.onnxruntime_gpu import CudaBackend, TensorRtBackend
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import network_entry, noise_planes, random_network, variant, write_model
from tests.inference.gpu_stand_in import CPU, CUDA, TENSORRT, FakeRuntime, gpu, installed

WIDTH, HEIGHT = 63, 37


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    return installed(monkeypatch, gpu())


def prepared(tmp_path: Path, backend: Any, precision: str = "fp16", kind: GraphVariant | None = None) -> PreparedModel:
    entry = network_entry(tmp_path, random_network(layers=4), precisions=["fp32", "fp16", "int8"])
    kind = kind or variant()
    return prepare(entry, kind, backend, precision, tmp_path / "cache", width=WIDTH, height=HEIGHT)[0]


def test_auto_takes_the_fastest_that_loads(runtime: FakeRuntime) -> None:
    assert list(BACKENDS) == ["tensorrt", "cuda", "openvino", "onnxruntime"]
    assert backend_for("auto").name == "tensorrt"
    runtime.broken = (TENSORRT,)
    assert backend_for("auto").name == "cuda"
    runtime.broken = (TENSORRT, CUDA)
    assert backend_for("auto").name == "openvino"


def test_auto_is_openvino_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "visible", tuple)
    assert backend_for("auto").name == "openvino"
    with pytest.raises(UsageError, match="needs an NVIDIA GPU"):
        backend_for("cuda")


@pytest.mark.parametrize(("backend", "provider"), [("cuda", CUDA), ("tensorrt", TENSORRT)])
def test_a_provider_that_silently_does_not_load_is_named(runtime: FakeRuntime, backend: str, provider: str) -> None:
    runtime.broken = (provider,)
    with pytest.raises(UsageError, match=f"{provider}, but it does not load: {CPU} would run instead") as caught:
        backend_for(backend)
    assert "requirements-gpu.txt" in caught.value.hint


def test_a_provider_that_is_lost_later_is_named_too(runtime: FakeRuntime, tmp_path: Path) -> None:
    backend = CudaBackend()
    model = prepared(tmp_path, backend)
    runtime.broken = (CUDA,)
    with pytest.raises(UsageError, match="does not load"):
        backend.open(model, WIDTH, HEIGHT)


def test_an_onnxruntime_without_gpus_is_named(monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> None:
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["AzureExecutionProvider", CPU])
    with pytest.raises(UsageError, match=f"has no {TENSORRT}, only AzureExecutionProvider, {CPU}"):
        backend_for("tensorrt")


def test_cuda_is_asked_for_exact_fp32_and_for_fp16_networks(runtime: FakeRuntime, tmp_path: Path) -> None:
    backend = CudaBackend()
    assert prepared(tmp_path / "a", backend, "fp32").precision == "fp32"
    assert prepared(tmp_path / "b", backend, "auto").precision == "fp16"
    options = [providers[0][1] for model, providers in runtime.asked if model != "probe"]
    assert [one["use_tf32"] for one in options] == ["0", "1"]
    assert {one["cudnn_conv_algo_search"] for one in options} == {"EXHAUSTIVE"}
    assert not any("user_compute_stream" in one for one in options)
    with pytest.raises(UsageError, match="'int8'"):
        prepared(tmp_path / "c", backend, "int8")


@pytest.mark.parametrize(("precision", "flags"), [("fp32", "00"), ("fp16", "10"), ("int8", "11")])
def test_tensorrt_is_asked_for_one_shape_and_keeps_what_it_builds(
    runtime: FakeRuntime, tmp_path: Path, precision: str, flags: str
) -> None:
    backend = TensorRtBackend()
    model = prepared(tmp_path, backend, precision)
    assert model.precision == precision
    asked = [providers for path, providers in runtime.asked if path == str(model.onnx_path)]
    assert [name for name, _ in asked[-1][:2]] == [TENSORRT, CUDA]
    options = asked[-1][0][1]
    profile = f"y:1x1x{HEIGHT}x{WIDTH},u:1x1x19x32,v:1x1x19x32"
    assert {options[f"trt_profile_{end}_shapes"] for end in ("min", "opt", "max")} == {profile}
    assert options["trt_fp16_enable"] + options["trt_int8_enable"] == flags
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    assert int(options["trt_max_workspace_size"]) == 4 << 30
    for path in (options["trt_engine_cache_path"], options["trt_timing_cache_path"]):
        assert Path(path).is_relative_to(model.onnx_path.parent)
    assert all(isinstance(value, str) for value in options.values())


def test_an_engine_is_built_once_and_opened_from_its_context(runtime: FakeRuntime, tmp_path: Path) -> None:
    backend = TensorRtBackend()
    model = prepared(tmp_path, backend)
    (folder,) = (model.onnx_path.parent / "engines").iterdir()
    assert folder.name.startswith(f"{WIDTH}x{HEIGHT}-")
    assert sorted(path.name for path in folder.iterdir()) == ["built", "context.onnx"]
    runtime.asked.clear()
    backend.open(model, WIDTH, HEIGHT, streams=5).infer((noise_planes(variant(), WIDTH, HEIGHT),))
    assert [path for path, _ in runtime.asked] == [str(folder / "context.onnx")] * 2
    assert not any("trt_dump_ep_context_model" in providers[0][1] for _, providers in runtime.asked)
    again, hit = prepare(
        Registry(tmp_path / "models").get("sample"), variant(), backend, "fp16", tmp_path / "cache",
        width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    assert (hit, again) == (True, model)


def test_engines_alone_are_enough_where_no_context_was_written(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.dumps_context = False
    backend = TensorRtBackend()
    model = prepared(tmp_path, backend)
    runtime.asked.clear()
    backend.open(model, WIDTH, HEIGHT)
    ((path, providers),) = runtime.asked
    assert path == str(model.onnx_path)
    (folder,) = (model.onnx_path.parent / "engines").iterdir()
    assert providers[0][1]["trt_engine_cache_path"] == str(folder)


def test_an_engine_whose_building_was_killed_is_built_again(
    runtime: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = TensorRtBackend()
    model = prepared(tmp_path, backend)
    with monkeypatch.context() as patched:
        patched.setattr(onnxruntime_gpu, "write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            backend.open(model, 32, 16)
    engines = model.onnx_path.parent / "engines"
    assert [path.name.partition("-")[0] for path in engines.iterdir()] == [f"{WIDTH}x{HEIGHT}"]
    backend.open(model, 32, 16)
    assert len(list(engines.glob("32x16-*/context.onnx"))) == 1


def test_an_engine_of_one_kind_of_gpu_is_not_opened_on_another(runtime: FakeRuntime, tmp_path: Path) -> None:
    first = TensorRtBackend(gpu())
    model = prepared(tmp_path, first)
    runtime.asked.clear()
    TensorRtBackend(gpu(1, gibibytes=24)).open(model, WIDTH, HEIGHT)
    opened = [path for path, _ in runtime.asked if path != "probe"]
    assert opened[0] == str(model.onnx_path), "it is built anew"
    assert len(list((model.onnx_path.parent / "engines").iterdir())) == 2
    runtime.asked.clear()
    TensorRtBackend(gpu(1)).open(model, WIDTH, HEIGHT)
    (path,) = (path for path, _ in runtime.asked if path != "probe")
    assert path.endswith("context.onnx"), "the same kind finds it, whatever its number"


@pytest.mark.parametrize("backend", [CudaBackend, TensorRtBackend])
def test_everything_is_opened_on_the_gpu_that_was_given(runtime: FakeRuntime, tmp_path: Path, backend: Any) -> None:
    prepared(tmp_path, backend(gpu(3)))
    assert runtime.devices() == {"3"}
    assert set(runtime.buffers_on) == {3}


@pytest.mark.parametrize("backend", [CudaBackend, TensorRtBackend])
def test_a_file_that_no_provider_takes_is_a_rejected_model(runtime: FakeRuntime, tmp_path: Path, backend: Any) -> None:
    model = prepared(tmp_path, backend())
    model.onnx_path.write_bytes(b"no graph")
    with pytest.raises(ModelRejected, match=r"model\.onnx at 20x10"):
        backend().open(model, 20, 10)


def test_the_architecture_of_a_gpu_tells_chip_driver_and_libraries(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = [SimpleNamespace(name="tensorrt-cu13", version="10.16.1"), SimpleNamespace(name="numpy", version="2")]
    monkeypatch.setattr(onnxruntime_gpu.importlib.metadata, "distributions", lambda: packages)
    found = TensorRtBackend()
    assert found.device == "NVIDIA Test"
    assert found.architecture == "compute 9.0, driver 580.1, 16384 MiB, tensorrt-cu13 10.16.1"


@pytest.mark.parametrize("kind", [variant(), variant(bit_depth=10, chroma="422"), variant(chroma="gray", scale=4)])
def test_bound_buffers_give_what_a_plain_session_gives(tmp_path: Path, kind: GraphVariant) -> None:
    graph = build_graph(network_entry(tmp_path), kind).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=[CPU])
    slot = BoundSlot(session, kind, WIDTH, HEIGHT, device="cpu")
    for seed in range(2):
        planes = noise_planes(kind, WIDTH, HEIGHT, seed=seed)
        names = ("y", "u", "v")[: len(planes)]
        feeds = {name: plane[np.newaxis, np.newaxis] for name, plane in zip(names, planes, strict=True)}
        expected = [value[0, 0] for value in session.run([f"{name}_out" for name in names], feeds)]
        found = tuple(np.zeros_like(value) for value in expected)
        slot.infer(tuple(np.asfortranarray(plane) for plane in planes), found)
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "kind", [variant(), variant(bit_depth=10), variant(chroma="444"), variant(chroma="422", scale=4)]
)
def test_gpus_move_floats_where_cpus_move_bytes_and_nothing_else_differs(tmp_path: Path, kind: GraphVariant) -> None:
    entry = network_entry(tmp_path)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    feeds = {name: plane[np.newaxis, np.newaxis] for name, plane in zip("yuv", planes, strict=True)}
    graphs = [converted_graph(entry, kind, "fp32", backend, []) for backend in ("openvino", "tensorrt")]
    results = [onnxruntime.InferenceSession(graph, providers=[CPU]).run(None, feeds) for graph in graphs]
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)
    import onnx

    nodes = onnx.load_from_string(graphs[1]).graph.node
    last = {name: node.op_type for node in nodes for name in node.output if name.endswith("_out")}
    assert last == {"y_out": "Cast", "u_out": "Cast", "v_out": "Cast"}


def test_the_check_says_so_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvidia, "visible", tuple)
    assert gpu_check.main([]) == 3
    assert capsys.readouterr().out == "This machine has no NVIDIA GPU that its driver shows: nothing was checked.\n"


def test_the_check_measures_every_precision_and_finds_nothing_wrong_with_a_good_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "models", "sample", network=random_network(layers=4))
    entry = Registry(tmp_path / "models").get("sample")
    assert gpu_check.check("onnxruntime", entry, tmp_path / "cache", sizes=[(64, 48)], seconds=0.01) == []
    told = capsys.readouterr().out
    assert "fp32  64x48: " in told
    assert "int8  64x48: " in told


def test_the_check_fails_where_a_backend_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "visible", tuple)
    write_model(tmp_path / "models", "sample", network=random_network())
    entry = Registry(tmp_path / "models").get("sample")
    (failure,) = gpu_check.check("tensorrt", entry, tmp_path / "cache", sizes=[(64, 48)], seconds=0.01)
    assert "needs an NVIDIA GPU" in failure


@pytest.mark.gpu
@pytest.mark.skipif(not nvidia.visible(), reason="this CPU has no NVIDIA GPU beside it")
def test_all_of_the_check_holds_on_this_gpu() -> None:
    assert gpu_check.main([]) == 0
