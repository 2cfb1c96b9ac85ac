"""Networks of ncnn, layer by layer against ncnn itself, and whole ones through `models add`."""

from pathlib import Path

import ncnn
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, ModelInvalid
from sr_tasks.intake.add import add_model
from sr_tasks.intake.ncnn.file import packed, read_ncnn
from sr_tasks.intake.request import AddRequest
from sr_tasks.registry.registry import Registry

Floats = NDArray[np.float32]

RNG = np.random.default_rng(7)
HALF, QUARTER_BYTE, INT8 = 0x01306B47, 1, 0x000D4B38
CHANNELS = 4
"""Of what the layer under test is given: a convolution makes them of the picture."""


def values(*shape: int) -> Floats:
    return RNG.standard_normal(shape).astype(np.float32) * np.float32(0.5)


def flagged(array: Floats, flag: int = 0) -> bytes:
    head = np.uint32(flag).tobytes()
    if flag == HALF:
        data = array.astype(np.float16).tobytes()
        return head + data + b"\0" * (-len(data) % 4)
    if flag == QUARTER_BYTE:
        table = np.linspace(-1, 1, 256, dtype=np.float32)
        data = np.clip(np.round((array + 1) * 127.5), 0, 255).astype(np.uint8).tobytes()
        return head + table.tobytes() + data + b"\0" * (-len(data) % 4)
    return head + array.tobytes()


STEM = f"Convolution stem 1 1 data features 0={CHANNELS} 1=1 5=1 6={3 * CHANNELS}"
STEM_WEIGHTS = flagged(values(CHANNELS, 3)) + values(CHANNELS).tobytes()


def network(folder: Path, layers: list[str], weights: bytes = b"") -> tuple[Path, Path]:
    rows = ["Input picture 0 1 data", *layers]
    param, stored = folder / "net.param", folder / "net.bin"
    blobs = sum(int(row.split()[3]) for row in rows if len(row.split()) > 3)
    param.write_text("\n".join(["7767517", f"{len(rows)} {blobs}", *rows]) + "\n", encoding="utf-8")
    stored.write_bytes(weights)
    return param, stored


def by_ncnn(param: Path, weights: Path, picture: Floats) -> Floats:
    net = ncnn.Net()
    for option in ("use_fp16_storage", "use_fp16_arithmetic", "use_fp16_packed", "use_bf16_storage",
                   "use_winograd_convolution"):  # fmt: skip
        setattr(net.opt, option, False)
    net.opt.num_threads = 1
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(weights)) == 0
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(picture).clone())
    failed, answer = extractor.extract("output")
    assert failed == 0
    return np.array(answer)


def by_us(param: Path, weights: Path, picture: Floats) -> Floats:
    model = read_ncnn(packed(param, weights, param.parent))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answer: Floats = session.run(None, {session.get_inputs()[0].name: picture[None]})[0][0]
    return answer


def convolution(
    parameters: str, weights: Floats, bias: int = 0, kind: str = "Convolution", flag: int = 0
) -> tuple[str, bytes]:
    line = f"{kind} it 1 1 features output {parameters} 5={int(bias > 0)} 6={weights.size}"
    return line, flagged(weights, flag) + values(bias).tobytes()


def plain(line: str, weights: bytes = b"") -> tuple[str, bytes]:
    kind, _, parameters = line.partition(" ")
    return f"{kind} it 1 1 features output {parameters}", weights


CASES: dict[str, tuple[str, bytes]] = {
    "convolution": convolution("0=5 1=3 4=1", values(5, CHANNELS, 3, 3), 5),
    "convolution, half": convolution("0=5 1=3 4=1", values(5, CHANNELS, 3, 3), 5, flag=HALF),
    "convolution, odd half": convolution("0=1 1=1", values(1, CHANNELS, 1, 1)[:, :, :, :], 0, flag=HALF),
    "convolution, table": convolution("0=3 1=3 4=1", values(3, CHANNELS, 3, 3), 3, flag=QUARTER_BYTE),
    "convolution, oblong": convolution("0=2 1=3 11=1 4=1 14=0", values(2, CHANNELS, 1, 3), 2),
    "convolution, strides": convolution("0=2 1=3 3=2 4=1", values(2, CHANNELS, 3, 3), 2),
    "convolution, dilated": convolution("0=2 1=3 2=2 4=2", values(2, CHANNELS, 3, 3), 2),
    "convolution, uneven padding": convolution("0=2 1=2 4=1 15=0 14=1 16=0", values(2, CHANNELS, 2, 2), 2),
    "convolution, same": convolution("0=2 1=3 4=-233", values(2, CHANNELS, 3, 3), 2),
    "convolution, by channel": convolution("0=4 1=3 4=1 7=4", values(4, 1, 3, 3), 4, "ConvolutionDepthWise"),
    "convolution, by groups": convolution("0=4 1=3 4=1 7=2", values(4, 2, 3, 3), 4, "ConvolutionDepthWise"),
    "relu": convolution("0=4 1=1 9=1", values(4, CHANNELS, 1, 1)),
    "leaky relu": convolution("0=4 1=1 9=2 -23310=1,0.2", values(4, CHANNELS, 1, 1)),
    "clip": convolution("0=4 1=1 9=3 -23310=2,-0.1,0.3", values(4, CHANNELS, 1, 1)),
    "sigmoid": convolution("0=4 1=1 9=4", values(4, CHANNELS, 1, 1)),
    "mish": convolution("0=4 1=1 9=5", values(4, CHANNELS, 1, 1)),
    "hard swish": convolution("0=4 1=1 9=6 -23310=2,0.1666667,0.5", values(4, CHANNELS, 1, 1)),
    "deconvolution": convolution("0=3 1=4 3=2 4=1", values(3, CHANNELS, 4, 4), 3, "Deconvolution"),
    "deconvolution, more": convolution("0=3 1=3 3=2 4=1 18=1", values(3, CHANNELS, 3, 3), 3, "Deconvolution"),
    "deconvolution, by channel": convolution("0=4 1=4 3=2 4=1 7=4", values(4, 1, 4, 4), 4, "DeconvolutionDepthWise"),
    "prelu": plain("PReLU 0=4", values(4).tobytes()),
    "prelu, shared": plain("PReLU 0=1", values(1).tobytes()),
    "ReLU": plain("ReLU"),
    "ReLU, leaky": plain("ReLU 0=0.1"),
    "Sigmoid": plain("Sigmoid"),
    "TanH": plain("TanH"),
    "Swish": plain("Swish"),
    "Mish": plain("Mish"),
    "GELU": plain("GELU"),
    "Softplus": plain("Softplus"),
    "Clip": plain("Clip 0=-0.2 1=0.3"),
    "Clip, open": plain("Clip 0=-0.2"),
    "HardSigmoid": plain("HardSigmoid"),
    "HardSwish": plain("HardSwish 0=0.1666667 1=0.5"),
    "PixelShuffle": plain("PixelShuffle 0=2"),
    "PixelShuffle, depth first": plain("PixelShuffle 0=2 1=1"),
    "Reorg, depth first": plain("Reorg 0=2 1=1"),
    "Interp, nearest": plain("Interp 0=1 1=2.0 2=2.0"),
    "Interp, nearest by half": plain("Interp 0=1 1=0.5 2=0.5"),
    "Interp, bilinear": plain("Interp 0=2 1=2.0 2=2.0"),
    "Interp, bicubic": plain("Interp 0=3 1=2.0 2=2.0"),
    "Interp, bicubic by half": plain("Interp 0=3 1=0.5 2=0.5"),
    "Padding": plain("Padding 0=1 1=2 2=3 3=4 4=0 5=0.25"),
    "Padding, edge": plain("Padding 0=1 1=2 2=3 3=4 4=1"),
    "Padding, reflected": plain("Padding 0=1 1=2 2=3 3=4 4=2"),
    "Scale": plain("Scale 0=4 1=1", values(8).tobytes()),
    "BatchNorm": plain("BatchNorm 0=4 1=0.001", values(8).tobytes() + np.abs(values(8)).tobytes()),
    "Dropout": plain("Dropout"),
    **{f"BinaryOp {op}": plain(f"BinaryOp 0={op} 1=1 2=1.5") for op in (0, 1, 2, 3, 4, 5, 7, 8)},
    **{f"UnaryOp {op}": plain(f"UnaryOp 0={op}") for op in (0, 1, 2, 3, 4, 7, 16)},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_layer_gives_what_ncnn_gives(case: str, tmp_path: Path) -> None:
    line, weights = CASES[case]
    pair = network(tmp_path, [STEM, line], STEM_WEIGHTS + weights)
    picture = RNG.random((3, 12, 16), dtype=np.float32)
    theirs, ours = by_ncnn(*pair, picture), by_us(*pair, picture)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


JOINED: dict[str, tuple[list[str], bytes]] = {
    "Concat": (["Concat it 2 1 a b output 0=0"], b""),
    "Eltwise, sum": (["Eltwise it 2 1 a b output 0=1"], b""),
    "Eltwise, weighted sum": (["Eltwise it 2 1 a b output 0=1 -23301=2,1.0,0.2"], b""),
    "Eltwise, product": (["Eltwise it 2 1 a b output 0=0"], b""),
    "Eltwise, maximum": (["Eltwise it 2 1 a b output 0=2"], b""),
    "BinaryOp": (["Sigmoid s 1 1 b t", "BinaryOp it 2 1 a t output 0=1"], b""),
    "BinaryOp, turned": (["Sigmoid s 1 1 b t", "BinaryOp it 2 1 a t output 0=7"], b""),
    "MemoryData": (
        ["MemoryData m 0 1 m 0=1 1=1 2=4", "BinaryOp it 2 1 a m x 0=2", "Eltwise e 2 1 x b output 0=1"],
        values(4).tobytes(),
    ),
    "squeeze and excite": (
        ["Pooling p 1 1 b p 0=1 4=1", "InnerProduct f 1 1 p f 0=4 1=1 2=16 9=4", "Scale it 2 1 a f output 0=-233"],
        flagged(values(4, 4)) + values(4).tobytes(),
    ),
}


@pytest.mark.parametrize("case", JOINED)
def test_layers_of_several_inputs_give_what_ncnn_gives(case: str, tmp_path: Path) -> None:
    lines, weights = JOINED[case]
    pair = network(tmp_path, [STEM, "Split s 1 2 features a b", *lines], STEM_WEIGHTS + weights)
    picture = RNG.random((3, 12, 16), dtype=np.float32)
    theirs, ours = by_ncnn(*pair, picture), by_us(*pair, picture)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


WHOLE = [
    "Split fork 1 2 data left right",
    STEM.replace("data", "left"),
    "PReLU act 1 1 features f1 0=4",
    "Convolution tail 1 1 f1 f2 0=12 1=3 4=1 5=1 6=432",
    "PixelShuffle shuffle 1 1 f2 f3 0=2",
    "Interp up 1 1 right base 0=2 1=2.0 2=2.0",
    "BinaryOp sum 2 1 f3 base output 0=0",
]


def whole_weights() -> bytes:
    return STEM_WEIGHTS + values(4).tobytes() + flagged(values(12, 4, 3, 3) * np.float32(0.02), HALF) + bytes(4 * 12)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workdir=tmp_path / "work", models_dir=tmp_path / "models")


REQUEST = AddRequest(name="brought", licence="MIT")


def test_a_pair_of_files_becomes_a_version_that_gives_what_ncnn_gives(tmp_path: Path, settings: Settings) -> None:
    pair = network(tmp_path, WHOLE, whole_weights())
    entry = add_model(str(pair[0]), REQUEST, Registry.of(settings), settings)
    assert (entry.card.scale, entry.card.color) == (2, "rgb")
    assert entry.card.original is not None
    assert add_model(str(pair[0]), REQUEST, Registry.of(settings), settings).label == entry.label, "the same version"
    session = ort.InferenceSession(entry.weights_path, providers=["CPUExecutionProvider"])
    picture = RNG.random((3, 12, 16), dtype=np.float32)
    answer = session.run(None, {session.get_inputs()[0].name: picture[None]})[0][0]
    assert np.abs(answer - by_ncnn(*pair, picture)).max() < 1e-3


def test_other_weights_for_the_same_param_are_another_version(tmp_path: Path, settings: Settings) -> None:
    pair = network(tmp_path, WHOLE, whole_weights())
    first = add_model(str(pair[0]), REQUEST, Registry.of(settings), settings)
    network(tmp_path, WHOLE, whole_weights())
    second = add_model(str(pair[0]), REQUEST, Registry.of(settings), settings)
    assert (first.label, second.label) == ("brought@1", "brought@2")


def test_a_param_without_its_bin_is_refused(tmp_path: Path, settings: Settings) -> None:
    param, weights = network(tmp_path, WHOLE, whole_weights())
    weights.unlink()
    with pytest.raises(InputNotFound, match=r"net\.bin"):
        add_model(str(param), REQUEST, Registry.of(settings), settings)
    assert not settings.models_dir.exists()


@pytest.mark.parametrize(
    ("layers", "weights", "said"),
    [
        ([STEM, "LSTM it 1 1 features output 0=1"], STEM_WEIGHTS, r"line 5: the layer 'it' \(LSTM\) cannot be"),
        ([STEM, "Interp it 1 1 features output 0=2 6=1"], STEM_WEIGHTS, "aligns corners"),
        ([STEM], STEM_WEIGHTS[:-1], r"'net\.bin' ends after 67 bytes"),
        ([STEM], STEM_WEIGHTS + b"\0\0\0\0", r"'net\.bin' has 4 bytes more"),
        ([STEM.replace("6=12", "6=13")], STEM_WEIGHTS, "malformed"),
        ([STEM.replace("0=4", "0=0")], STEM_WEIGHTS, "malformed"),
        ([STEM.replace("data features", "nothing features")], STEM_WEIGHTS, "no layer before it makes 'nothing'"),
        ([STEM, "ReLU a 1 1 features x"], flagged(values(4, 3), INT8), "int8"),
        (["Convolution stem 1"], b"", "line 4 is not a layer"),
        ([STEM, "Split s 1 2 features a b", "ReLU r 1 1 a x", "TanH t 1 1 b y"], STEM_WEIGHTS, "2 outputs"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_named_by_its_line(
    layers: list[str], weights: bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelInvalid, match=said):
        read_ncnn(packed(*network(tmp_path, layers, weights), tmp_path))


def test_a_param_that_announces_other_layers_is_refused(tmp_path: Path) -> None:
    param, weights = network(tmp_path, [STEM], STEM_WEIGHTS)
    param.write_text(param.read_text().replace("\n2 2\n", "\n3 2\n"))
    with pytest.raises(ModelInvalid, match="announces 3 layers and holds 2"):
        read_ncnn(packed(param, weights, tmp_path))
