"""Networks of R, G, B between planes: every colour, place and size comes out where arithmetic says it must."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest
from numpy.typing import NDArray

from sr_tasks.errors import InputUnsupported, ModelRejected
from sr_tasks.graphs.graph import build_graph
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.media import VideoInfo
from sr_tasks.records.prepared import GraphVariant
from tests.graphs.rgb_networks import mixing, nearest, random_rgb_network, rgb_model, same, showing, tensor
from tests.graphs.sample_models import network_entry, noise_planes, random_network, variant

LEFT, CENTRE, TOP_LEFT = 1, 2, 3
LIMITED, FULL = 1, 2
SHARES = {1: (0.2126, 0.0722), 4: (0.3, 0.11), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
KINDS = [
    ("420", LEFT, 8), ("420", CENTRE, 8), ("420", TOP_LEFT, 10), ("420", LEFT, 12), ("422", LEFT, 8),
    ("422", CENTRE, 10), ("444", LEFT, 8), ("444", LEFT, 12), ("gray", LEFT, 8), ("gray", LEFT, 10),
]  # fmt: skip
WIDTH, HEIGHT = 25, 18
Planes = tuple[NDArray[Any], ...]


def rgb_variant(**changes: Any) -> GraphVariant:
    return variant(**{"scale": 1, "colorspace": 1, "color_range": LIMITED} | changes)


def run(tmp_path: Path, network: onnx.ModelProto, kind: GraphVariant, planes: Planes, **card: Any) -> Planes:
    entry = network_entry(tmp_path, network, **{"color": "rgb", "scale": kind.scale, "max_passes": 1} | card)
    session = ort.InferenceSession(build_graph(entry, kind).SerializeToString(), providers=["CPUExecutionProvider"])
    names = ("y", "u", "v")[: len(planes)]
    feeds = {name: plane[None, None] for name, plane in zip(names, planes, strict=True)}
    return tuple(one[0, 0] for one in session.run([f"{name}_out" for name in names], feeds))


def shapes_of(kind: GraphVariant, width: int, height: int) -> list[tuple[int, int]]:
    return [plane.shape for plane in noise_planes(kind, width, height)]


def scales_of(kind: GraphVariant) -> tuple[float, float, float, float]:
    """Black, luma's span, the middle and chroma's span in codes, as H.273 writes them."""
    step, peak = 2 ** (kind.bit_depth - 8), 2**kind.bit_depth - 1
    return (0, peak, 128 * step, peak) if kind.color_range == FULL else (16 * step, 219 * step, 128 * step, 224 * step)


def planes_to_rgb(planes: Planes, kind: GraphVariant) -> NDArray[np.float64]:
    """H.273's equations for planes of one size, [3, rows, columns]."""
    low, span, mid, chroma_span = scales_of(kind)
    red_share, blue_share = SHARES[kind.colorspace]
    y, u, v = (plane.astype(np.float64) for plane in planes)
    luma = (y - low) / span
    blue = luma + 2 * (1 - blue_share) * (u - mid) / chroma_span
    red = luma + 2 * (1 - red_share) * (v - mid) / chroma_span
    return np.stack([red, (luma - red_share * red - blue_share * blue) / (1 - red_share - blue_share), blue])


def rgb_to_planes(rgb: NDArray[np.float64], kind: GraphVariant) -> list[NDArray[np.float64]]:
    low, span, mid, chroma_span = scales_of(kind)
    red_share, blue_share = SHARES[kind.colorspace]
    red, green, blue = rgb
    luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    return [
        low + span * luma,
        mid + chroma_span * (blue - luma) / (2 * (1 - blue_share)),
        mid + chroma_span * (red - luma) / (2 * (1 - red_share)),
    ]


def rounded(plane: NDArray[np.float64], kind: GraphVariant) -> NDArray[np.float64]:
    return np.clip(np.floor(plane + 0.5), 0, 2**kind.bit_depth - 1)


def integers(planes: list[NDArray[Any]], kind: GraphVariant) -> Planes:
    return tuple(plane.astype(np.uint8 if kind.bit_depth == 8 else np.uint16) for plane in planes)


def places(count: int, *, halved: bool, cosited: bool) -> NDArray[np.float64]:
    """Where the samples of an axis lie, in px of luma; luma's own sample n lies at n + 0.5."""
    samples = np.arange(count)
    return 2 * samples + (0.5 if cosited else 1.0) if halved else samples + 0.5


def chroma_places(kind: GraphVariant, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = places(shape[0], halved=kind.chroma == "420", cosited=kind.chroma_location == TOP_LEFT)
    columns = places(shape[1], halved=kind.chroma in ("420", "422"), cosited=kind.chroma_location != CENTRE)
    return rows[:, np.newaxis], columns[np.newaxis, :]


@pytest.mark.parametrize(("chroma", "location", "bit_depth"), KINDS)
@pytest.mark.parametrize(("colorspace", "color_range"), [(1, LIMITED), (6, FULL), (9, LIMITED)])
def test_a_network_that_changes_nothing_gives_the_planes_back(
    tmp_path: Path, chroma: str, location: int, bit_depth: int, colorspace: int, color_range: int
) -> None:
    kind = rgb_variant(
        chroma=chroma, chroma_location=location, bit_depth=bit_depth, colorspace=colorspace, color_range=color_range
    )
    planes = noise_planes(kind, 41, 38)
    found = run(tmp_path, same(), kind, planes)
    assert np.array_equal(found[0], planes[0])
    # Chroma beyond the border is a guess that only flat colour bears out.
    inner = (slice(6, -6), slice(6, -6))
    for one, other in zip(found[1:], planes[1:], strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert np.abs(one.astype(np.int64) - other)[inner].max() <= (1 if chroma in ("420", "422") else 0)


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize(("chroma", "location", "bit_depth"), KINDS)
def test_enlarging_by_whole_px_enlarges_each_colour_by_whole_px(
    tmp_path: Path, scale: int, chroma: str, location: int, bit_depth: int
) -> None:
    kind = rgb_variant(scale=scale, chroma=chroma, chroma_location=location, bit_depth=bit_depth, colorspace=6)
    shapes = shapes_of(kind, WIDTH, HEIGHT)
    low, span, mid, chroma_span = scales_of(kind)
    luma = noise_planes(kind, WIDTH, HEIGHT)[0]
    chroma_codes = [
        np.full(shape, mid + part * chroma_span) for shape, part in zip(shapes[1:], (0.3, -0.4), strict=False)
    ]
    planes = integers([luma, *chroma_codes], kind)
    found = run(tmp_path, nearest(scale), kind, planes)
    assert np.array_equal(found[0], luma.repeat(scale, axis=0).repeat(scale, axis=1))
    expected = shapes_of(kind, WIDTH * scale, HEIGHT * scale)
    for one, other, shape in zip(found[1:], planes[1:], expected[1:], strict=True):
        assert one.shape == shape
        assert np.unique(one).tolist() == [other[0, 0]]


@pytest.mark.parametrize("scale", [2, 4])
def test_full_chroma_is_enlarged_just_as_luma_is(tmp_path: Path, scale: int) -> None:
    kind = rgb_variant(scale=scale, chroma="444", bit_depth=10, colorspace=9)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    for one, other in zip(run(tmp_path, nearest(scale), kind, planes), planes, strict=True):
        assert np.array_equal(one, other.repeat(scale, axis=0).repeat(scale, axis=1))


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("colorspace", [1, 4, 6, 7, 9])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_a_network_sees_red_green_and_blue_in_this_order_by_the_equations_of_the_standard(
    tmp_path: Path, channel: int, color_range: int, colorspace: int, bit_depth: int
) -> None:
    kind = rgb_variant(chroma="444", colorspace=colorspace, color_range=color_range, bit_depth=bit_depth)
    colours = np.random.default_rng(channel).uniform(0.05, 0.95, (3, HEIGHT, WIDTH))
    planes = integers([np.rint(plane) for plane in rgb_to_planes(colours, kind)], kind)
    found = run(tmp_path, showing(channel), kind, planes)
    low, span, mid, _ = scales_of(kind)
    seen = (found[0].astype(np.float64) - low) / span
    assert np.abs(seen - planes_to_rgb(planes, kind)[channel]).max() <= 0.51 / span
    assert np.unique(found[1:]).tolist() == [mid], "what the network gives is gray"


def wave(kind: GraphVariant, at: tuple[NDArray[Any], NDArray[Any]], turn: float) -> NDArray[np.float64]:
    """A slow wave in both directions, in codes."""
    _, _, mid, chroma_span = scales_of(kind)
    rows, columns = at
    return mid + 0.3 * chroma_span * np.sin(2 * np.pi * (rows / 31 + columns / 23) + turn)


@pytest.mark.parametrize(("chroma", "location"), [(c, p) for c in ("420", "422") for p in (LEFT, CENTRE, TOP_LEFT)])
@pytest.mark.parametrize("which", [1, 2])
def test_chroma_is_seen_where_it_lies(tmp_path: Path, chroma: str, location: int, which: int) -> None:
    """A wave sampled where chroma lies is, in blue or red, the same wave sampled where luma lies."""
    kind = rgb_variant(chroma=chroma, chroma_location=location, bit_depth=12, colorspace=9)
    low, span, mid, chroma_span = scales_of(kind)
    shapes = shapes_of(kind, 47, 39)
    planes = [np.full(shape, mid) for shape in shapes]
    planes[which] = np.rint(wave(kind, chroma_places(kind, shapes[1]), 0.4))
    found = run(tmp_path, showing(2 if which == 1 else 0), kind, integers(planes, kind))
    share = SHARES[9][1 if which == 1 else 0]
    luma_at = np.arange(39)[:, np.newaxis] + 0.5, np.arange(47)[np.newaxis, :] + 0.5
    expected = (mid - low) / span + 2 * (1 - share) * (wave(kind, luma_at, 0.4) - mid) / chroma_span
    seen = (found[0].astype(np.float64) - low) / span
    inner = (slice(6, -6), slice(6, -6))
    # A wrong siting is off by half a luma px: 0.3 * 2 * pi / 23 * 0.5 is twenty times the limit.
    assert np.abs(seen - expected)[inner].max() < 0.003


@pytest.mark.parametrize(("chroma", "location"), [(c, p) for c in ("420", "422") for p in (LEFT, CENTRE, TOP_LEFT)])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_chroma_comes_out_where_it_is_to_lie(tmp_path: Path, chroma: str, location: int, scale: int) -> None:
    """The wave of the enlarged picture, sampled where its own chroma lies."""
    kind = rgb_variant(scale=scale, chroma=chroma, chroma_location=location, bit_depth=12)
    _, _, mid, chroma_span = scales_of(kind)
    shapes = shapes_of(kind, 47, 39)
    planes = [np.full(shapes[0], mid), *(wave(kind, chroma_places(kind, shape), 0.4) for shape in shapes[1:])]
    found = run(tmp_path, nearest(scale), kind, integers([np.rint(plane) for plane in planes], kind))[1].astype(
        np.float64
    )
    rows, columns = (at / scale for at in chroma_places(kind, found.shape))
    inner = (slice(8, -8), slice(8, -8))
    waves = [((wave(kind, (rows, columns), turn) - mid)[inner]).ravel() for turn in (0.4, 0.4 + np.pi / 2)]
    (along, across), *_ = np.linalg.lstsq(np.stack(waves, axis=1), (found - mid)[inner].ravel(), rcond=None)
    assert abs(math.atan2(across, along)) * 23 / (2 * np.pi) < 0.01, "shift in source px"
    assert 0.97 < along < 1.01


def striped(scale: int, stripe: NDArray[np.float32]) -> onnx.ModelProto:
    """Like `nearest`, with another colour added to the first column of every `scale`."""
    added = onnx.helper.make_node("Add", ["rgb", "stripe"], ["striped"])
    phases = ["striped" if phase % scale == 0 else "rgb" for phase in range(scale**2)]
    nodes = [
        added,
        onnx.helper.make_node("Concat", phases, ["phases"], axis=1),
        onnx.helper.make_node("DepthToSpace", ["phases"], ["out"], blocksize=scale, mode="DCR"),
    ]
    return rgb_model(nodes, [tensor("stripe", stripe.reshape(1, 3, 1, 1))])


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("location", [LEFT, CENTRE, TOP_LEFT])
def test_colour_too_fine_for_the_chroma_of_the_output_becomes_its_mean(
    tmp_path: Path, location: int, scale: int
) -> None:
    """Stripes of another colour every two or three columns: half the samples cannot hold them, and picking one here
    and one there would make a coarse pattern of them."""
    kind = rgb_variant(scale=scale, chroma="420", chroma_location=location)
    stripe = np.array([0.6, 0.0, -0.6], dtype=np.float32)
    planes = integers([np.full(shape, 128) for shape in shapes_of(kind, 24, 18)], kind)
    found = run(tmp_path, striped(scale, stripe), kind, planes)
    gray = (128 - 16) / 219
    ground, full = (rgb_to_planes(gray + part * stripe[:, None, None], kind) for part in (0, 1))
    for one, low, high in zip(found[1:], ground[1:], full[1:], strict=True):
        height = float((high - low)[0, 0])
        inner = one[8:-8, 8:-8].astype(np.float64)
        assert np.abs(inner - float(low[0, 0]) - height / scale).max() < 0.1 * abs(height) + 1
        assert abs(inner.mean() - float(low[0, 0]) - height / scale) < 1.5


@pytest.mark.parametrize(("chroma", "location"), [("420", LEFT), ("422", CENTRE), ("444", LEFT)])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_bars_whiter_than_white_and_blacker_than_black_come_back(
    tmp_path: Path, chroma: str, location: int, bit_depth: int
) -> None:
    step = 2 ** (bit_depth - 8)
    bars = [
        (254, 128, 128), (1, 128, 128), (235, 128, 128), (16, 128, 128), (219, 16, 138), (188, 154, 16),
        (173, 42, 26), (78, 214, 230), (63, 102, 240), (32, 240, 118), (254, 240, 240), (1, 16, 16),
    ]  # fmt: skip
    kind = rgb_variant(chroma=chroma, chroma_location=location, bit_depth=bit_depth)
    shapes = shapes_of(kind, 24 * len(bars), 10)
    planes = integers(
        [
            np.repeat([bar[plane] * step for bar in bars], shape[1] // len(bars))[np.newaxis].repeat(shape[0], axis=0)
            for plane, shape in enumerate(shapes)
        ],
        kind,
    )
    for one, other in zip(run(tmp_path, same(), kind, planes), planes, strict=True):
        assert np.abs(one.astype(np.int64) - other).max() <= 1


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_gray_is_shown_as_gray_and_stays_it(tmp_path: Path, bit_depth: int) -> None:
    for color_range in (LIMITED, FULL):
        kind = rgb_variant(chroma="gray", colorspace=0, color_range=color_range, bit_depth=bit_depth)
        luma = noise_planes(kind, WIDTH, HEIGHT)[0]
        for channel in range(3):
            folder = tmp_path / f"{color_range}{channel}"
            assert np.array_equal(run(folder, showing(channel), kind, (luma,))[0], luma)


@pytest.mark.parametrize(("chroma", "bit_depth"), [("444", 8), ("444", 12), ("420", 8), ("gray", 8)])
def test_the_network_inside_computes_what_it_computes_alone(tmp_path: Path, chroma: str, bit_depth: int) -> None:
    network = random_rgb_network()
    kind = rgb_variant(scale=2, chroma=chroma, bit_depth=bit_depth, color_range=FULL)
    _, _, mid, _ = scales_of(kind)
    planes = list(noise_planes(kind, WIDTH, HEIGHT))
    if chroma == "420":  # Flat, so that nothing depends on how it is brought to luma's size.
        planes[1:] = integers([np.full(planes[1].shape, mid + 9), np.full(planes[1].shape, mid - 14)], kind)
    full = [planes[0], *(np.resize(plane, planes[0].shape) for plane in planes[1:])]
    full += [np.full(planes[0].shape, mid)] * (3 - len(full))
    rgb = planes_to_rgb(tuple(full), kind).astype(np.float32)[None]
    alone = ort.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = rgb_to_planes(alone.run(None, {"rgb": rgb})[0][0].astype(np.float64), kind)
    found = run(tmp_path, network, kind, tuple(planes))
    compared = {"444": 3, "420": 1, "gray": 1}[chroma]
    for one, other in zip(found[:compared], expected[:compared], strict=True):
        difference = np.abs(one - rounded(other, kind))
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= one.size // 100


def test_scale_squared_runs_an_rgb_network_twice_on_what_codes_can_hold(tmp_path: Path) -> None:
    network, kind = random_rgb_network(), rgb_variant(scale=4, chroma="444")
    planes = noise_planes(kind, WIDTH, HEIGHT)
    alone = ort.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    once = alone.run(None, {"rgb": planes_to_rgb(planes, kind).astype(np.float32)[None]})[0]
    lowest, highest = -16 / 219, (255 - 16) / 219
    assert once.min() < lowest, "the test picture must overshoot"
    twice = alone.run(None, {"rgb": np.clip(once, lowest, highest).astype(np.float32)})[0][0].astype(np.float64)
    found = run(tmp_path, network, kind, planes, scale=2, max_passes=2)
    for one, other in zip(found, rgb_to_planes(twice, kind), strict=True):
        difference = np.abs(one - rounded(other, kind))
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= one.size // 100


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (3, 3), (5, 2)])
@pytest.mark.parametrize("chroma", ["420", "422", "444", "gray"])
def test_tiny_and_odd_frames_come_out_at_exactly_their_size(
    tmp_path: Path, width: int, height: int, chroma: str
) -> None:
    for scale in (1, 2, 3):
        kind = rgb_variant(scale=scale, chroma=chroma)
        found = run(tmp_path / str(scale), nearest(scale), kind, noise_planes(kind, width, height))
        assert [plane.shape for plane in found] == shapes_of(kind, width * scale, height * scale)


def test_sixteen_bits_keep_their_last_one(tmp_path: Path) -> None:
    kind = rgb_variant(chroma="444", bit_depth=16, color_range=FULL)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    for one, other in zip(run(tmp_path, same(), kind, planes), planes, strict=True):
        assert np.array_equal(one, other)


def test_colours_beyond_the_codes_stop_at_the_last_code(tmp_path: Path) -> None:
    kind = rgb_variant(chroma="444")
    planes = noise_planes(kind, WIDTH, HEIGHT)
    found = run(tmp_path, mixing(np.eye(3) * 40 - 20 * np.eye(3)[[1, 2, 0]]), kind, planes)
    expected = rgb_to_planes(
        np.tensordot(np.eye(3) * 40 - 20 * np.eye(3)[[1, 2, 0]], planes_to_rgb(planes, kind), 1), kind
    )
    for one, other in zip(found, expected, strict=True):
        assert {0, 255} <= set(np.unique(one).tolist())
        assert np.abs(one - rounded(other, kind)).max() <= 1


@pytest.mark.parametrize(
    ("chroma", "location", "bit_depth"), [("420", LEFT, 8), ("422", CENTRE, 12), ("444", LEFT, 16)]
)
@pytest.mark.parametrize("scale", [1, 2])
def test_both_runtimes_make_the_same_of_it(
    tmp_path: Path, chroma: str, location: int, bit_depth: int, scale: int
) -> None:
    kind = rgb_variant(scale=scale, chroma=chroma, chroma_location=location, bit_depth=bit_depth)
    planes = noise_planes(kind, WIDTH, HEIGHT)
    network = random_rgb_network(scale)
    expected = run(tmp_path / "one", network, kind, planes)
    entry = network_entry(tmp_path / "other", network, color="rgb", scale=scale, max_passes=1)
    model = ov.Core().read_model(build_graph(entry, kind).SerializeToString())
    found = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(
        {name: plane[None, None] for name, plane in zip("yuv", planes, strict=True)}
    )
    for name, one in zip("yuv", expected, strict=True):
        assert np.abs(found[f"{name}_out"][0, 0].astype(np.int64) - one).max() <= 1


def video(**changes: Any) -> VideoInfo:
    fields = {"chroma": "420", "bit_depth": 8, "height": 360, "colorspace": 2, "color_range": 0, "chroma_location": 0}
    fields |= {"pix_fmt": "yuv420p"}
    return VideoInfo.model_construct(**fields | changes)


def test_a_variant_says_of_colour_what_its_model_must_know(tmp_path: Path) -> None:
    rgb = network_entry(tmp_path / "rgb", nearest(2), color="rgb").card
    luma = network_entry(tmp_path / "luma", random_network()).card

    def colour(card: ModelCard, **changes: Any) -> tuple[int, int]:
        kind = GraphVariant.of(video(**changes), 2, card)
        return kind.colorspace, kind.color_range

    assert colour(rgb) == (6, LIMITED)
    assert colour(rgb, height=1080, color_range=FULL) == (1, FULL)
    assert colour(rgb, colorspace=9) == (9, LIMITED)
    assert colour(rgb, chroma="gray", color_range=FULL) == (0, FULL)
    assert colour(rgb, chroma="gray") == (0, LIMITED)
    assert colour(luma, colorspace=9, color_range=FULL) == (0, 0)


def test_a_matrix_that_gives_no_rgb_is_refused(tmp_path: Path) -> None:
    entry = network_entry(tmp_path, same(), color="rgb", scale=1, max_passes=1)
    with pytest.raises(InputUnsupported, match="YCgCo"):
        build_graph(entry, rgb_variant(colorspace=8))


def test_weights_of_another_colour_than_their_card_says_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="1 channels, their card of rgb"):
        build_graph(network_entry(tmp_path / "luma", random_network(), color="rgb"), rgb_variant(scale=2))
    with pytest.raises(ModelRejected, match="3 channels, their card of luma"):
        build_graph(network_entry(tmp_path / "rgb", nearest(2), max_passes=1), variant())
