"""The style that is shipped: small, as its card says, near to the filter it learnt from, and steady in motion."""

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage.data

from sr_tasks.config import Settings
from sr_tasks.registry.registry import Registry
from sr_tasks.training.style.recipe import load_style_recipe
from sr_tasks.training.style.wash import ink_wash, luma

ENTRY = Registry(Settings().models_dir).get("ink-wash")
WEIGHTS = ENTRY.folder / "ink-wash.onnx"
RECIPE = load_style_recipe(Settings().models_dir / "recipes" / "ink-wash.yaml")
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea")


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(WEIGHTS, providers=["CPUExecutionProvider"])


def stylised(session: onnxruntime.InferenceSession, picture: np.ndarray) -> np.ndarray:
    shown = np.ascontiguousarray(np.moveaxis(picture, -1, 0))[None].astype(np.float32)
    return np.clip(np.moveaxis(session.run(None, {"picture": shown})[0][0], 0, -1), 0, 1)


def photograph(name: str) -> np.ndarray:
    """Never seen in training: R, G, B in 0..1, made small so that it is sharp."""
    whole = getattr(skimage.data, name)()[:300, :400]
    small = cv2.resize(np.ascontiguousarray(whole), (200, 150), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def test_the_card_counts_the_parameters_and_names_the_pictures_beside_it() -> None:
    graph = onnx.load(WEIGHTS).graph
    floats = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    assert sum(int(np.prod(tensor.dims)) for tensor in floats) == ENTRY.card.parameters <= 20_000
    for name in ENTRY.card.samples:
        assert cv2.imread(str(ENTRY.folder / name)) is not None
        assert (ENTRY.folder / name).stat().st_size < 200_000
    assert ENTRY.card.style is not None


def test_a_px_reaches_exactly_as_far_as_the_card_says(session: onnxruntime.InferenceSession) -> None:
    reach = ENTRY.card.receptive_field // 2
    assert reach == RECIPE.network.margin
    side = 2 * reach + 9
    rng = np.random.default_rng(0)
    picture = rng.random((side, side, 3), dtype=np.float32)
    spoilt = picture.copy()
    spoilt[:, 0] = 1 - spoilt[:, 0]
    changed = np.abs(stylised(session, spoilt) - stylised(session, picture)).max(axis=(0, 2))
    assert changed[reach + 1 :].max() < 1e-6
    assert changed[: reach + 1].max() > 0.05


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_come_nearer_to_the_filter(session: onnxruntime.InferenceSession, name: str) -> None:
    picture = photograph(name)
    painted = ink_wash(picture, RECIPE.filter)
    before = np.mean((picture - painted) ** 2)
    after = np.mean((stylised(session, picture) - painted) ** 2)
    assert 10 * np.log10(before / after) > 2


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("motion", [(0.0, 0.0), (0.5, 0.3)], ids=["still", "pan"])
def test_it_flickers_hardly_more_than_its_source(
    session: onnxruntime.InferenceSession, name: str, motion: tuple[float, float]
) -> None:
    rng, whole = np.random.default_rng(3), photograph(name)
    frames = [moved(whole, number, motion) for number in range(4)]
    frames = [np.clip(frame + rng.normal(0, 1 / 255, frame.shape), 0, 1).astype(np.float32) for frame in frames]
    source = flicker([moved(luma(frame), -number, motion) for number, frame in enumerate(frames)])
    output = flicker([moved(luma(stylised(session, frame)), -number, motion) for number, frame in enumerate(frames)])
    assert output < 1.3 * source


def moved(picture: np.ndarray, steps: int, motion: tuple[float, float]) -> np.ndarray:
    across, down = motion
    shift = np.array([[1, 0, across * steps], [0, 1, down * steps]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    return cv2.warpAffine(picture, shift, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def flicker(planes: list[np.ndarray]) -> float:
    """How much what stands still in the scene changes from frame to frame, the border left out."""
    stack = np.stack(planes)[:, 8:-8, 8:-8]
    return float(np.mean(np.abs(stack[1:-1] - (stack[:-2] + stack[2:]) / 2)))


def test_the_recipe_is_the_one_that_the_card_tells_of() -> None:
    assert f"include/models/recipes/{RECIPE.name}.yaml" in ENTRY.card.training_data
    channels = "-".join(["3", *[str(RECIPE.network.channels)] * (1 + len(RECIPE.network.dilations)), "3"])
    assert channels in ENTRY.card.architecture
