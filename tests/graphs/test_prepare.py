"""Preparing models: what is kept, what is found again, what is built anew, and what is never let through."""

import dataclasses
import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sr_tasks.errors import ModelRejected, TargetUnwritable, UsageError
from sr_tasks.graphs.cache import ModelCache
from sr_tasks.graphs.graph import build_graph
from sr_tasks.graphs.prepare import cache_key, precision_ladder, prepare
from sr_tasks.graphs.runtime import Backend, BackendName, Planes, Precision, Session, Window
from sr_tasks.graphs.verify import Deviation, Original, synthetic_frame
from sr_tasks.inference.backend import backend_for
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.registry import ModelEntry
from tests.graphs.converted_networks import network_with_level, rgb_network
from tests.graphs.sample_models import (
    network_entry,
    network_model,
    noise_planes,
    random_network,
    resampler_entry,
    variant,
    write_model,
)


def ready(entry: ModelEntry, cache: Path, backend: Backend | None = None, *, precision: str = "auto",
          kind: GraphVariant | None = None) -> tuple[PreparedModel, bool]:  # fmt: skip
    chosen = backend or backend_for("onnxruntime")
    return prepare(entry, kind or variant(), chosen, precision, cache, width=99, height=51)


class Skewed:
    """A backend that is right at some precisions and off by some codes at others."""

    name: BackendName = "onnxruntime"
    version = "1"
    device = "skewed"
    architecture = "skewed"
    compiles_ahead = False
    precisions: tuple[Precision, ...] = ("fp32", "bf16")

    def __init__(self, codes: dict[str, int], plane: int = -1) -> None:
        self._codes, self._plane = codes, plane
        self._real = backend_for("onnxruntime")

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        fields = {name: getattr(model, name) for name in PreparedModel.__dataclass_fields__}
        real = self._real.open(PreparedModel(**fields | {"precision": "fp32"}), width, height, streams=streams)
        return SkewedSession(real, self._codes[model.precision], self._plane)


class SkewedSession:
    def __init__(self, real: Session, codes: int, plane: int) -> None:
        self._real, self._codes, self._plane = real, codes, plane
        self.output_shapes = real.output_shapes

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        results = self._real.infer(window, out)
        results[self._plane][:, ::2] ^= results[0].dtype.type(self._codes)
        return results

    def close(self) -> None:
        self._real.close()


def test_a_second_job_finds_the_model_in_the_cache(tmp_path: Path) -> None:
    entry = network_entry(tmp_path)
    first, hit = ready(entry, tmp_path / "cache")
    assert not hit
    assert (first.name, first.version, first.precision, first.backend) == ("sample", "1", "fp32", "onnxruntime")
    assert first.weights_sha256 == entry.weights_sha256
    again, hit = ready(entry, tmp_path / "cache")
    assert hit
    assert again == first


def test_a_moved_cache_is_still_good(tmp_path: Path) -> None:
    entry = resampler_entry(tmp_path)
    ready(entry, tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    found, hit = ready(entry, tmp_path / "after")
    assert hit
    assert found.onnx_path.is_file()


def test_whatever_changes_the_result_changes_the_key(tmp_path: Path) -> None:
    entry, backend = network_entry(tmp_path / "a"), backend_for("onnxruntime")
    elsewhere = Skewed({})
    elsewhere.architecture = "the same name, another chip"
    other = network_entry(tmp_path / "b", random_network(seed=1))
    keys = [
        cache_key(entry, variant(), backend, "fp32"),
        cache_key(other, variant(), backend, "fp32"),
        cache_key(entry, variant(scale=4), backend, "fp32"),
        cache_key(entry, variant(chroma_location=2), backend, "fp32"),
        cache_key(entry, variant(bit_depth=10), backend, "fp32"),
        cache_key(entry, variant(), backend, "bf16"),
        cache_key(entry, variant(), backend_for("openvino"), "fp32"),
        cache_key(entry, variant(), Skewed({}), "fp32"),
        cache_key(entry, variant(), elsewhere, "fp32"),
        cache_key(entry, variant(), backend, "int8", calibration="a"),
        cache_key(entry, variant(), backend, "int8", calibration="b"),
        cache_key(entry, variant(), backend, "fp32", size=(640, 360)),
        cache_key(entry, variant(level=0.5), backend, "fp32"),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key(entry, variant(), backend_for("onnxruntime"), "fp32") == keys[0]


@pytest.mark.parametrize("damage", ["graph cut off", "other graph", "no graph", "marker is no JSON", "other marker"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, damage: str) -> None:
    entry, cache = resampler_entry(tmp_path), tmp_path / "cache"
    first, _ = ready(entry, cache)
    original = first.onnx_path.read_bytes()
    marker = first.onnx_path.with_name("ready.json")
    if damage == "graph cut off":
        first.onnx_path.write_bytes(original[:-1])
    elif damage == "other graph":
        first.onnx_path.write_bytes(original[:-1] + b"?")
    elif damage == "no graph":
        first.onnx_path.unlink()
    elif damage == "marker is no JSON":
        marker.write_text(marker.read_text()[:-9])
    else:
        other, _ = ready(entry, cache, backend_for("openvino"))
        assert other.onnx_path.read_bytes() == original
        marker.write_bytes(other.onnx_path.with_name("ready.json").read_bytes())
    again, hit = ready(entry, cache)
    assert not hit
    assert again == first
    assert again.onnx_path.read_bytes() == original
    assert ready(entry, cache)[1]


def test_a_build_that_was_interrupted_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, cache = resampler_entry(tmp_path), tmp_path / "cache"
    with monkeypatch.context() as patched:
        patched.setattr(ModelCache, "finish", lambda self, prepared: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ready(entry, cache)
    assert [path.name for path in cache.glob("*/*")] == ["model.onnx"]
    assert ready(entry, cache)[1] is False
    assert ready(entry, cache)[1] is True
    assert sorted(path.name for path in cache.glob("*/*")) == ["model.onnx", "ready.json"]


def test_the_marker_tells_a_reader_what_was_prepared(tmp_path: Path) -> None:
    first, _ = ready(resampler_entry(tmp_path), tmp_path / "cache")
    told = json.loads(first.onnx_path.with_name("ready.json").read_text())
    assert told["prepared"]["name"] == "cubic"
    assert told["prepared"]["variant"]["chroma"] == "420"


def _prepare_in_process(folder: str) -> tuple[bool, str]:
    from sr_tasks.registry.registry import Registry

    found, hit = ready(Registry(Path(folder) / "models").get("sample"), Path(folder) / "cache")
    return hit, found.key


def test_two_processes_that_want_the_same_model_build_it_once(tmp_path: Path) -> None:
    network_entry(tmp_path)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.map(_prepare_in_process, [str(tmp_path)] * 4, chunksize=1)
    assert sorted(hit for hit, _ in results) == [False, True, True, True]
    assert len({key for _, key in results}) == 1


def test_changed_weights_are_rejected_before_anything_is_kept(tmp_path: Path) -> None:
    entry = network_entry(tmp_path)
    (entry.folder / "weights.onnx").write_bytes(random_network(seed=5).SerializeToString())
    with pytest.raises(ModelRejected, match="sha256"):
        ready(entry, tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*/*")) == []


def test_bf16_that_departs_too_far_gives_way_to_fp32_and_this_is_remembered(tmp_path: Path) -> None:
    entry, backend = network_entry(tmp_path), Skewed({"bf16": 8, "fp32": 0})
    first, _ = ready(entry, tmp_path / "cache", backend)
    assert first.precision == "fp32"
    again, hit = ready(entry, tmp_path / "cache", backend)
    assert hit
    assert again.precision == "fp32"
    assert again.precision_reason == first.precision_reason
    assert first.precision_reason.startswith("bf16 departs from its original: ")


def test_bf16_that_is_close_enough_stays(tmp_path: Path) -> None:
    assert ready(network_entry(tmp_path), tmp_path / "cache", Skewed({"bf16": 1, "fp32": 8}))[0].precision == "bf16"


@pytest.mark.parametrize("codes", [{"bf16": 8, "fp32": 2}, {"bf16": 255, "fp32": 255}])
def test_a_model_that_departs_from_its_original_is_rejected_every_time(tmp_path: Path, codes: dict[str, int]) -> None:
    entry = network_entry(tmp_path)
    for _ in range(2):
        with pytest.raises(ModelRejected, match="fp32 departs from its original"):
            ready(entry, tmp_path / "cache", Skewed(codes))


@pytest.mark.parametrize(
    ("bit_depth", "codes", "is_taken"), [(8, 1, True), (8, 2, False), (10, 4, True), (10, 8, False)]
)
def test_fp32_may_depart_by_a_255th_of_the_range(tmp_path: Path, bit_depth: int, codes: int, is_taken: bool) -> None:
    entry, backend = network_entry(tmp_path), Skewed({"fp32": codes})
    backend.precisions = ("fp32",)
    if is_taken:
        assert ready(entry, tmp_path / "cache", backend, kind=variant(bit_depth=bit_depth))[0].precision == "fp32"
    else:
        with pytest.raises(ModelRejected, match=f"at most {codes} codes"):
            ready(entry, tmp_path / "cache", backend, kind=variant(bit_depth=bit_depth))


def test_codes_beyond_the_bit_depth_are_never_let_through(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="out of range"):
        ready(network_entry(tmp_path), tmp_path / "cache", Skewed({"fp32": 1 << 10}), kind=variant(bit_depth=10))


def test_a_network_that_gives_no_numbers_is_rejected(tmp_path: Path) -> None:
    network = random_network()
    for tensor in network.graph.initializer:
        if tensor.name == "b0":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(16, np.nan, np.float32), "b0"))
    with pytest.raises(ModelRejected, match="no numbers"):
        ready(network_entry(tmp_path, network), tmp_path / "cache")


INT8 = ["fp32", "bf16", "int8"]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_int8_is_prepared_proved_and_found_again_on_request_alone(tmp_path: Path, backend: str) -> None:
    entry = network_entry(tmp_path, random_network(layers=5, strength=0.3), precisions=INT8)
    found, hit = ready(entry, tmp_path / "cache", backend_for(backend), precision="int8")
    assert (found.precision, found.precision_reason, hit) == ("int8", "", False)
    kinds = [node.op_type for node in onnx.load(found.onnx_path).graph.node]
    assert kinds.count("QuantizeLinear") == 3
    assert ready(entry, tmp_path / "cache", backend_for(backend), precision="int8") == (found, True)
    assert ready(entry, tmp_path / "cache", backend_for(backend))[0].precision != "int8"


def test_int8_is_fitted_to_the_frames_of_the_job(tmp_path: Path) -> None:
    entry, backend = network_entry(tmp_path, random_network(layers=4), precisions=INT8), backend_for("onnxruntime")
    frames = [np.random.default_rng(n).uniform(0, 255, (96, 128)).astype(np.float32) for n in range(3)]
    options: dict[str, Any] = {"width": 48, "height": 32}
    found, _ = prepare(entry, variant(), backend, "int8", tmp_path / "cache", frames=frames, **options)
    assert prepare(entry, variant(), backend, "int8", tmp_path / "cache", frames=iter(frames), **options) == (
        found,
        True,
    )
    other, hit = prepare(entry, variant(), backend, "int8", tmp_path / "cache", frames=frames[:1], **options)
    assert not hit
    assert other.onnx_path.read_bytes() != found.onnx_path.read_bytes()


def test_frames_of_the_job_are_not_decoded_for_other_precisions(tmp_path: Path) -> None:
    def never() -> Iterator[np.ndarray]:
        raise AssertionError("the source was read")
        yield

    entry, backend = network_entry(tmp_path), backend_for("onnxruntime")
    found, _ = prepare(entry, variant(), backend, "auto", tmp_path / "cache", width=64, height=48, frames=never())
    assert found.precision == "fp32"


def test_int8_that_loses_too_much_gives_way_and_says_so(tmp_path: Path) -> None:
    # A layer whose few large values drown the many small ones that its result depends on: 8 bits cannot hold both.
    network = random_network(layers=5, strength=3.0)
    for tensor in network.graph.initializer:
        if tensor.name == "w1":
            weights = onnx.numpy_helper.to_array(tensor).copy()
            weights[::2] *= 300
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights, "w1"))
        if tensor.name == "w2":
            weights = onnx.numpy_helper.to_array(tensor).copy()
            weights[:, ::2] /= 3000
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights, "w2"))
    entry = network_entry(tmp_path, network, precisions=["fp32", "int8"])
    found, _ = ready(entry, tmp_path / "cache", precision="int8")
    assert found.precision == "fp32"
    assert found.precision_reason.startswith("int8 departs from its original: ")


def test_a_network_that_cannot_be_quantised_gives_way(tmp_path: Path) -> None:
    entry = network_entry(tmp_path, random_network(layers=2), precisions=["fp32", "int8"])
    found, _ = ready(entry, tmp_path / "cache", precision="int8")
    assert found.precision == "fp32"
    assert "has no layers between" in found.precision_reason


def test_int8_must_not_lose_more_than_the_limit_against_true_pictures() -> None:
    fine = Deviation(max_codes=9, psnr_db=45.0, loss_db=0.1, is_in_range=True)
    assert fine.is_acceptable("int8", 8)
    assert not dataclasses.replace(fine, loss_db=0.2).is_acceptable("int8", 8)
    assert not dataclasses.replace(fine, psnr_db=41.9).is_acceptable("int8", 8)
    assert not dataclasses.replace(fine, is_in_range=False).is_acceptable("int8", 8)
    assert not fine.is_acceptable("bf16", 8)


def cancelling_network() -> onnx.ModelProto:
    """The random network, with a large number added to its features and taken away again: rounding becomes visible."""
    network = random_network()
    tensors = {tensor.name: tensor for tensor in network.graph.initializer}
    arrays = {name: onnx.numpy_helper.to_array(tensors[name]) for name in ("b1", "w2", "b2")}
    changed = {"b1": arrays["b1"] + 2e6, "b2": arrays["b2"] - 2e6 * arrays["w2"].sum(axis=(1, 2, 3), dtype=np.float64)}
    for name, array in changed.items():
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    return network


def test_fp32_may_be_as_far_off_as_rounding_takes_the_original_itself(tmp_path: Path) -> None:
    found = {}
    for name, network in (("plain", random_network()), ("cancelling", cancelling_network())):
        entry = network_entry(tmp_path / name, network)
        draft, _ = ready(network_entry(tmp_path / f"{name} draft"), tmp_path / "cache")
        graph = build_graph(entry, variant()).SerializeToString()
        original = Original(entry, variant(), graph, width=99, height=51)
        found[name] = original.compare(dataclasses.replace(draft, precision="fp32"), Skewed({"fp32": 3}, plane=0))
    assert found["plain"].rounding_codes <= 1
    assert found["cancelling"].rounding_codes > 3
    fine = Deviation(max_codes=12, psnr_db=50.0, loss_db=0.0, is_in_range=True, rounding_codes=3)
    assert fine.is_acceptable("fp32", 8)
    assert not dataclasses.replace(fine, rounding_codes=2).is_acceptable("fp32", 8)
    assert not dataclasses.replace(fine, psnr_db=47.9).is_acceptable("fp32", 8)
    assert not dataclasses.replace(fine, is_in_range=False).is_acceptable("fp32", 8)


def test_loss_against_true_pictures_is_what_a_worse_result_loses(tmp_path: Path) -> None:
    entry = network_entry(tmp_path)
    graph = build_graph(entry, variant()).SerializeToString()
    draft, _ = ready(entry, tmp_path / "cache")
    original = Original(entry, variant(), graph, width=99, height=51)
    losses = [original.compare(draft, Skewed({"fp32": codes}, plane=0)).loss_db for codes in (0, 8, 32)]
    assert losses[0] == pytest.approx(0.0, abs=1e-3)
    assert 0.02 < losses[1] < losses[2]


@pytest.mark.parametrize(
    ("precision", "bit_depth", "expected"),
    [
        ("auto", 8, ("fp16", "fp32")), ("auto", 10, ("fp32",)), ("fp16", 10, ("fp16", "fp32")), ("fp32", 8, ("fp32",)),
        ("int8", 8, ("int8", "fp16", "fp32")), ("int8", 10, ("int8", "fp32")),
    ],
)  # fmt: skip
def test_a_gpu_tries_fp16_first_and_int8_on_request(
    tmp_path: Path, precision: str, bit_depth: int, expected: tuple[str, ...]
) -> None:
    backend = Skewed({})
    backend.precisions = ("fp32", "fp16", "int8")
    entry = network_entry(tmp_path, precisions=["fp32", "fp16", "bf16", "int8"])
    assert precision_ladder(entry, variant(bit_depth=bit_depth), backend, precision) == expected


def test_what_a_device_compiles_ahead_is_kept_for_each_size(tmp_path: Path) -> None:
    class Compiling(Skewed):
        compiles_ahead = True

        def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
            engine = model.onnx_path.parent / "engines" / f"{width}x{height}"
            engine.parent.mkdir(exist_ok=True)
            engine.write_text("engine")
            return super().open(model, width, height, streams=streams)

    entry, backend = network_entry(tmp_path), Compiling({"fp32": 0})
    backend.precisions = ("fp32",)
    first, _ = prepare(entry, variant(), backend, "auto", tmp_path / "cache", width=640, height=360)
    assert (first.onnx_path.parent / "engines" / "640x360").is_file()
    other, hit = prepare(entry, variant(), backend, "auto", tmp_path / "cache", width=320, height=180)
    assert not hit
    assert other.key != first.key


def test_a_network_of_another_scale_than_its_card_says_is_rejected(tmp_path: Path) -> None:
    repeat = onnx.helper.make_node("Concat", ["luma"] * 9, ["nine"], axis=1)
    unfold = onnx.helper.make_node("DepthToSpace", ["nine"], ["upscaled"], blocksize=3, mode="CRD")
    with pytest.raises(ModelRejected, match=r"\(153, 297\)"):
        ready(network_entry(tmp_path, network_model([repeat, unfold], [])), tmp_path / "cache")


def test_a_network_that_does_not_run_is_rejected(tmp_path: Path) -> None:
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [1, 1, 77, 77])
    reshape = onnx.helper.make_node("Reshape", ["luma", "shape"], ["upscaled"])
    with pytest.raises(ModelRejected, match="does not run"):
        ready(network_entry(tmp_path, network_model([reshape], [shape])), tmp_path / "cache")


def test_deep_video_is_not_squeezed_through_bf16(tmp_path: Path) -> None:
    entry = network_entry(tmp_path)
    found, _ = ready(entry, tmp_path / "cache", Skewed({"bf16": 0, "fp32": 0}), kind=variant(bit_depth=10))
    assert found.precision == "fp32"


@pytest.mark.parametrize("precision", ["bf16", "int8", ""])
def test_a_precision_that_cannot_be_had_is_refused(tmp_path: Path, precision: str) -> None:
    with pytest.raises(UsageError, match=f"'{precision}'"):
        ready(network_entry(tmp_path), tmp_path / "cache", precision=precision)


def test_a_card_without_bf16_is_never_run_in_it(tmp_path: Path) -> None:
    entry = network_entry(tmp_path, precisions=["fp32"])
    assert ready(entry, tmp_path / "cache", Skewed({"bf16": 0, "fp32": 0}))[0].precision == "fp32"


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(TargetUnwritable, match="cache"):
        ready(resampler_entry(tmp_path), tmp_path / "cache")


def test_the_frame_of_the_proof_is_detailed_and_always_the_same() -> None:
    for kind in (variant(), variant(chroma="422", bit_depth=10), variant(chroma="gray")):
        once, twice = synthetic_frame(kind, 161, 97), synthetic_frame(kind, 161, 97)
        for plane, same in zip(once, twice, strict=True):
            assert np.array_equal(plane, same)
            assert np.abs(np.diff(plane.astype(float), axis=1)).mean() > 2**kind.bit_depth / 100
            assert plane.max() - plane.min() > 2**kind.bit_depth * 0.6


def test_odd_frames_are_proved_as_odd_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path, "cubic")
    sizes = []
    backend = backend_for("onnxruntime")
    real = type(backend).open

    def noted(self: Backend, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        sizes.append((width, height))
        return real(self, model, width, height, streams=streams)

    monkeypatch.setattr(type(backend), "open", noted)
    entry = resampler_entry(tmp_path)
    for number, (width, height) in enumerate([(1921, 1081), (1920, 1080), (7, 5)]):
        prepare(entry, variant(), backend, "auto", tmp_path / str(number), width=width, height=height)
    assert [(width % 2, height % 2) for width, height in sizes] == [(1, 1), (0, 0), (1, 1)]
    assert sizes[2] == (7, 5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_network_with_a_level_is_proved_at_that_level(tmp_path: Path, precision: str) -> None:
    entry = network_entry(tmp_path, network_with_level(), precisions=INT8, level={"max": 8.0})
    found = [
        ready(entry, tmp_path / "cache", precision=precision, kind=variant(level=level))[0] for level in (0.5, 3.0)
    ]
    assert [one.precision for one in found] == [precision] * 2
    assert found[0].key != found[1].key
    planes = noise_planes(variant(), 99, 51)
    luma = [backend_for("onnxruntime").open(one, 99, 51).infer((planes,))[0].astype(int) for one in found]
    assert np.abs(luma[0] - luma[1]).mean() > 1


def test_a_network_of_rgb_is_proved_and_quantised(tmp_path: Path) -> None:
    entry = network_entry(tmp_path, rgb_network(), precisions=INT8, color="rgb", max_passes=1)
    kind = variant(colorspace=1, color_range=1)
    for precision in ("fp32", "int8"):
        assert ready(entry, tmp_path / "cache", precision=precision, kind=kind)[0].precision == precision
    assert ready(entry, tmp_path / "cache", backend_for("openvino"), precision="int8", kind=kind)[0].precision == "int8"
