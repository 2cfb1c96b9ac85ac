"""Preparing models: what is kept, what is found again, what is built anew, and what is never let through."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import onnx
import pytest

from sr_tasks.errors import ModelRejected, TargetUnwritable, UsageError
from sr_tasks.inference.backend import backend_for
from sr_tasks.models.cache import ModelCache
from sr_tasks.models.prepare import cache_key, prepare
from sr_tasks.models.prepared import GraphVariant, PreparedModel
from sr_tasks.models.registry import ModelEntry
from sr_tasks.models.runtime import Backend, BackendName, Planes, Precision, Session
from sr_tasks.models.verify import synthetic_frame
from tests.models.sample_models import (
    network_entry,
    network_model,
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
    precisions: tuple[Precision, ...] = ("fp32", "bf16")

    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes
        self._real = backend_for("onnxruntime")

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        fields = {name: getattr(model, name) for name in PreparedModel.__dataclass_fields__}
        real = self._real.open(PreparedModel(**fields | {"precision": "fp32"}), width, height, streams=streams)
        return SkewedSession(real, self._codes[model.precision])


class SkewedSession:
    def __init__(self, real: Session, codes: int) -> None:
        self._real, self._codes = real, codes
        self.output_shapes = real.output_shapes

    def infer(self, planes: Planes, out: Planes | None = None) -> Planes:
        results = self._real.infer(planes, out)
        results[-1][:, ::2] ^= np.uint8(self._codes)
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
    from sr_tasks.models.registry import Registry

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


def test_bf16_that_is_close_enough_stays(tmp_path: Path) -> None:
    assert ready(network_entry(tmp_path), tmp_path / "cache", Skewed({"bf16": 1, "fp32": 8}))[0].precision == "bf16"


@pytest.mark.parametrize("codes", [{"bf16": 8, "fp32": 2}, {"bf16": 255, "fp32": 255}])
def test_a_model_that_departs_from_its_original_is_rejected_every_time(tmp_path: Path, codes: dict[str, int]) -> None:
    entry = network_entry(tmp_path)
    for _ in range(2):
        with pytest.raises(ModelRejected, match="departs from its original"):
            ready(entry, tmp_path / "cache", Skewed(codes))


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
