"""Backends: they agree with each other, do not mind layout, threads or streams, and say what is wrong."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.graphs.prepare import prepare
from sr_tasks.graphs.runtime import Planes, Session
from sr_tasks.inference.backend import BACKENDS, CPU_BACKENDS, backend_for
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from tests.graphs.sample_models import network_entry, noise_planes, random_network, resampler_entry, variant

WIDTH, HEIGHT = 63, 37


def model_for(
    tmp_path: Path, backend: str, kind: GraphVariant, *, precision: str = "fp32", network: bool = True
) -> PreparedModel:
    folder = tmp_path / f"{backend}-{precision}-{network}"
    entry = network_entry(folder, random_network(seed=2)) if network else resampler_entry(folder)
    return prepare(entry, kind, backend_for(backend), precision, tmp_path / "cache", width=WIDTH, height=HEIGHT)[0]


def session_for(tmp_path: Path, backend: str, kind: GraphVariant, *, streams: int = 1, **options: Any) -> Session:
    model = model_for(tmp_path, backend, kind, **options)
    return backend_for(backend).open(model, WIDTH, HEIGHT, streams=streams)


def has_bf16() -> bool:
    return "bf16" in backend_for("openvino").precisions


def strided(plane: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same codes in rows that lie apart, as decoders and encoders lay them out."""
    wide = np.zeros((plane.shape[0], plane.shape[1] + 13), plane.dtype)
    wide[:, : plane.shape[1]] = plane
    return wide[:, : plane.shape[1]]


@pytest.mark.parametrize(
    "kind",
    [
        variant(), variant(scale=4), variant(chroma="422", bit_depth=10), variant(chroma="444", chroma_location=3),
        variant(chroma="gray", bit_depth=12), variant(chroma_location=2, bit_depth=12, scale=4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("network", [True, False])
def test_backends_agree_within_one_code(tmp_path: Path, kind: GraphVariant, network: bool) -> None:
    planes = noise_planes(kind, WIDTH, HEIGHT)
    results = [session_for(tmp_path, name, kind, network=network).infer((planes,)) for name in CPU_BACKENDS]
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype == planes[0].dtype
        assert one.shape == other.shape
        difference = np.abs(one.astype(int) - other)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= max(2, one.size // 200)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("kind", [variant(), variant(bit_depth=10)])
def test_planes_may_have_any_strides_on_either_side(tmp_path: Path, backend: str, kind: GraphVariant) -> None:
    session = session_for(tmp_path, backend, kind)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    plain = session.infer((planes,))
    out = tuple(strided(np.zeros(shape, planes[0].dtype)) for shape in session.output_shapes)
    given = session.infer((tuple(strided(plane) for plane in planes),), out)
    assert all(one is other for one, other in zip(given, out, strict=True))
    flipped = session.infer((tuple(np.asfortranarray(plane) for plane in planes),))
    for one, other, third in zip(plain, out, flipped, strict=True):
        assert np.array_equal(one, other)
        assert np.array_equal(one, third)
        assert not other.base[:, one.shape[1] :].any(), "written beyond the plane"


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_read_only_planes_are_taken_and_nothing_is_written_into_the_source(tmp_path: Path, backend: str) -> None:
    session = session_for(tmp_path, backend, variant())
    planes = noise_planes(variant(), WIDTH, HEIGHT)
    copies = [plane.copy() for plane in planes]
    for plane in planes:
        plane.flags.writeable = False
    session.infer((planes,))
    for plane, copy in zip(planes, copies, strict=True):
        assert np.array_equal(plane, copy)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_results_stay_as_they_are_when_the_next_frame_is_computed(tmp_path: Path, backend: str) -> None:
    session = session_for(tmp_path, backend, variant())
    first = session.infer((noise_planes(variant(), WIDTH, HEIGHT, seed=1),))
    kept = [plane.copy() for plane in first]
    session.infer((noise_planes(variant(), WIDTH, HEIGHT, seed=2),))
    for plane, copy in zip(first, kept, strict=True):
        assert np.array_equal(plane, copy)


def all_frames(session: Session, frames: list[Planes], callers: int) -> list[list[bytes]]:
    results: dict[int, list[bytes]] = {}
    left = iter(range(len(frames)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                index = next(left, None)
            if index is None:
                return
            results[index] = [plane.tobytes() for plane in session.infer((frames[index],))]

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[index] for index in range(len(frames))]


@pytest.mark.parametrize(
    ("backend", "precision"),
    [
        ("openvino", "fp32"),
        pytest.param("openvino", "bf16", marks=pytest.mark.skipif(not has_bf16(), reason="this CPU has no bf16")),
        ("onnxruntime", "fp32"),
    ],
)
def test_the_same_bytes_come_out_for_any_number_of_streams_and_callers(
    tmp_path: Path, backend: str, precision: str
) -> None:
    model = model_for(tmp_path, backend, variant(), precision=precision)
    assert model.precision == precision
    frames = [noise_planes(variant(), WIDTH, HEIGHT, seed=seed) for seed in range(12)]
    expected = None
    for streams, callers in ((1, 1), (2, 2), (3, 5), (1, 4)):
        session = backend_for(backend).open(model, WIDTH, HEIGHT, streams=streams)
        found = all_frames(session, frames, callers)
        session.close()
        expected = expected or found
        assert found == expected, f"{streams} streams, {callers} callers"
    assert len({planes[0] for planes in expected or []}) == len(frames)


@pytest.mark.skipif(not has_bf16(), reason="this CPU has no bf16")
def test_bf16_does_not_touch_chroma_and_does_not_shift_luma(tmp_path: Path) -> None:
    planes = noise_planes(variant(), WIDTH, HEIGHT)
    exact = session_for(tmp_path, "openvino", variant()).infer((planes,))
    model = model_for(tmp_path, "openvino", variant(), precision="bf16")
    assert model.precision == "bf16"
    coarse = backend_for("openvino").open(model, WIDTH, HEIGHT).infer((planes,))
    assert np.array_equal(coarse[1], exact[1])
    assert np.array_equal(coarse[2], exact[2])
    difference = coarse[0].astype(float) - exact[0]
    assert 0 < np.abs(difference).max() <= 3
    assert abs(difference.mean()) < 0.05


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("bit_depth", [8, 10, 12])
def test_flat_colours_come_out_unchanged(tmp_path: Path, backend: str, bit_depth: int) -> None:
    kind, peak = variant(bit_depth=bit_depth), 2**bit_depth - 1
    session = session_for(tmp_path, backend, kind, network=False)
    for codes in ((0, peak, peak // 2), (peak // 16, 1, peak - 1), (peak * 3 // 4, peak // 3, peak // 2 + 1)):
        sources = noise_planes(kind, WIDTH, HEIGHT)
        planes = tuple(np.full_like(plane, code) for plane, code in zip(sources, codes, strict=True))
        for plane, code in zip(session.infer((planes,)), codes, strict=True):
            assert np.unique(plane).tolist() == [code]


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_planes_of_another_kind_are_refused_with_both_sizes(tmp_path: Path, backend: str) -> None:
    session = session_for(tmp_path, backend, variant())
    y, u, v = noise_planes(variant(), WIDTH, HEIGHT)
    wrong_size, wrong_type, too_few = (y[:-1], u, v), (y.astype(np.uint16), u, v), (y,)
    for planes in (wrong_size, wrong_type, too_few):
        with pytest.raises(UsageError, match="source planes"):
            session.infer((planes,))
    with pytest.raises(UsageError, match="output planes"):
        session.infer(((y, u, v),), (y, u, v))
    with pytest.raises(UsageError, match="holds 3 frames"):
        session.infer([(y, u, v)] * 3)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_closed_session_says_so_and_closing_twice_is_fine(tmp_path: Path, backend: str) -> None:
    session = session_for(tmp_path, backend, variant())
    session.close()
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.infer((noise_planes(variant(), WIDTH, HEIGHT),))


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("data", [b"no graph", None])
def test_a_file_the_runtime_does_not_take_is_a_rejected_model(tmp_path: Path, backend: str, data: bytes | None) -> None:
    model = model_for(tmp_path, backend, variant())
    model.onnx_path.unlink() if data is None else model.onnx_path.write_bytes(data)
    with pytest.raises(ModelRejected, match=r"model\.onnx"):
        backend_for(backend).open(model, WIDTH, HEIGHT)


def test_a_signal_while_a_runtime_loads_stops_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(gpu: object) -> Any:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setitem(BACKENDS, "openvino", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend_for("auto")


def test_an_unknown_backend_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="'tensorflow'") as caught:
        backend_for("tensorflow")
    assert "cuda, onnxruntime, openvino, tensorrt" in caught.value.hint


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_backend_names_itself_its_version_and_its_device(backend: str) -> None:
    found = backend_for(backend)
    assert found.name == backend
    assert found.version[0].isdigit()
    assert found.device
    assert found.precisions[0] == "fp32"
