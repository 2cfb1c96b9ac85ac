"""ONNX files of the usual forms, against what ONNX Runtime makes of them as they were brought."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.errors import ModelInvalid, SrError, UsageError
from sr_tasks.graphs.form import form_problems
from sr_tasks.registry.registry import ModelEntry
from tests.intake.brought import Floats, added, convolutional, picture, run, saved

CODE = 1 / 255


def registered(model: onnx.ModelProto, tmp_path: Path, **request: object) -> ModelEntry:
    entry = added(saved(model, tmp_path / "net.onnx"), tmp_path, **request)
    assert form_problems(entry.read_weights(), entry.card) == ()
    return entry


def departure(entry: ModelEntry, given: Floats, expected: Floats) -> float:
    return float(np.abs(run(entry.read_weights(), given) - expected).max())


def test_an_open_network_is_taken_as_it_is_and_all_is_found(tmp_path: Path) -> None:
    model = convolutional(layers=4)
    entry = registered(model, tmp_path)
    given = picture(31, 46)
    assert departure(entry, given, run(model.SerializeToString(), given)) < 1e-6
    card = entry.card
    assert (card.scale, card.color, card.tiles.mode, card.tiles.halo, card.receptive_field) == (2, "rgb", "exact", 4, 9)
    assert card.parameters == sum(np.prod(tensor.dims) for tensor in model.graph.initializer)
    assert "4 Conv" in card.architecture or "5 Conv" in card.architecture


def test_nothing_of_who_made_it_is_left(tmp_path: Path) -> None:
    data = registered(convolutional(), tmp_path).read_weights()
    for trace in (b"somebody", b"host-17", b"/home"):
        assert trace not in data


@pytest.mark.parametrize("scale", [1, 3, 4])
def test_the_scale_is_found_by_running_it(tmp_path: Path, scale: int) -> None:
    shape = (1, 1, "h", "w")
    entry = registered(convolutional(channels=1, scale=scale, shape=shape), tmp_path, scale=scale)
    assert (entry.card.scale, entry.card.color) == (scale, "luma")


def test_half_precision_in_0_to_255_of_one_size_becomes_floats_in_0_to_1_of_any(tmp_path: Path) -> None:
    model = convolutional(half=True, value_range=255.0, shape=(1, 3, 40, 56))
    entry = registered(model, tmp_path)
    given = picture(40, 56)
    expected = run(model.SerializeToString(), (given * 255).astype(np.float16)).astype(np.float32) / 255
    assert departure(entry, given, expected) < CODE
    assert entry.card.tiles.fixed is None
    larger = picture(61, 83)
    opened = convolutional(half=True, value_range=255.0)
    expected = run(opened.SerializeToString(), (larger * 255).astype(np.float16)).astype(np.float32) / 255
    assert departure(entry, larger, expected) < CODE


def test_0_to_1_in_half_precision_is_told_from_0_to_255(tmp_path: Path) -> None:
    model = convolutional(half=True)
    given = picture(40, 56)
    expected = run(model.SerializeToString(), given.astype(np.float16)).astype(np.float32)
    assert departure(registered(model, tmp_path), given, expected) < CODE


def test_a_batch_that_is_given_or_open_becomes_one_picture(tmp_path: Path) -> None:
    given = picture(40, 56)
    for index, batch in enumerate((4, "n")):
        model = convolutional(shape=(batch, 3, 40, 56))
        expected = run(model.SerializeToString(), np.repeat(given, 4, axis=0))[:1]
        assert departure(registered(model, tmp_path / str(index)), given, expected) < 1e-6


def test_channels_in_the_other_order_are_turned_if_it_is_said(tmp_path: Path) -> None:
    model = convolutional()
    given = picture(40, 56)
    expected = run(model.SerializeToString(), np.ascontiguousarray(given[:, ::-1]))[:, ::-1]
    assert departure(registered(model, tmp_path, channel_order="bgr"), given, expected) < 1e-6


def test_a_graph_that_holds_its_size_inside_stays_at_it(tmp_path: Path) -> None:
    model = convolutional(shape=(1, 3, 40, 56))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 3, 80, 112], np.int64), "sizes"))
    model.graph.node[-1].output[0] = "shuffled"
    model.graph.node.append(helper.make_node("Reshape", ["shuffled", "sizes"], ["output"]))
    entry = registered(model, tmp_path)
    assert entry.card.tiles.fixed == (40, 56)
    assert entry.card.tiles.mode == "overlap"
    assert "56x40" in entry.card.limits
    given = picture(40, 56)
    assert departure(entry, given, run(model.SerializeToString(), given)) < 1e-6


def test_an_old_opset_is_brought_up_to_date(tmp_path: Path) -> None:
    model = convolutional(opset=11)
    # As exporters of that time did, weights are listed among the inputs.
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims)))
    entry = registered(model, tmp_path)
    given = picture(31, 46)
    assert departure(entry, given, run(convolutional().SerializeToString(), given)) < 1e-6
    assert onnx.load_model_from_string(entry.read_weights()).opset_import[0].version >= 15


def test_a_network_told_a_level_is_taken_with_a_card_that_says_so(tmp_path: Path) -> None:
    model = convolutional()
    model.graph.input.append(helper.make_tensor_value_info("level", TensorProto.FLOAT, [1]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0.01], np.float32), "step"))
    model.graph.node[-1].input[0] = "told"
    told = [helper.make_node("Mul", ["level", "step"], ["by"]), helper.make_node("Add", ["sum", "by"], ["told"])]
    shuffle = model.graph.node.pop()
    model.graph.node.extend([*told, shuffle])
    path = tmp_path / "card.yaml"
    path.write_text("level: {max: 12, step: 0.5}\n")
    entry = registered(model, tmp_path, card_path=path)
    assert entry.card.level is not None
    assert entry.card.level.max == 12
    given, level = picture(20, 24), np.array([7.0], np.float32)
    ours = run(entry.read_weights(), given, level=level)
    assert np.abs(ours - run(model.SerializeToString(), given, level=level)).max() < 1e-6


def with_channels_last(model: onnx.ModelProto, *sizes: int | str) -> onnx.ModelProto:
    """The same network as TensorFlow would export it: [N, H, W, C] in and out."""
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["first" if name == "input" else name for name in node.input]
        node.output[:] = ["made" if name == "output" else name for name in node.output]
    graph.node.insert(0, helper.make_node("Transpose", ["input"], ["first"], perm=[0, 3, 1, 2]))
    graph.node.append(helper.make_node("Transpose", ["made"], ["output"], perm=[0, 2, 3, 1]))
    for value in (graph.input[0], graph.output[0]):
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(
            helper.make_tensor_value_info(value.name, kind, list(sizes) if value is graph.input[0] else None)
        )
    return model


@pytest.mark.parametrize("sizes", [(1, 40, 56, 3), ("n", "h", "w", 3)], ids=["one size", "any size"])
def test_channels_that_come_last_are_put_first(tmp_path: Path, sizes: tuple[int | str, ...]) -> None:
    model = with_channels_last(convolutional(value_range=255.0), *sizes)
    given = picture(40, 56)
    turned = np.ascontiguousarray(given.transpose(0, 2, 3, 1) * np.float32(255))
    expected = run(model.SerializeToString(), turned).transpose(0, 3, 1, 2) / np.float32(255)
    entry = registered(model, tmp_path)
    assert departure(entry, given, expected) < 1e-5
    assert entry.card.tiles.fixed is None
    assert entry.card.color == "rgb"


def in_two_files(model: onnx.ModelProto, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path


def test_weights_in_a_file_beside_it_are_brought_with_it(tmp_path: Path) -> None:
    path = in_two_files(convolutional(), tmp_path / "brought" / "net.onnx")
    entry = added(path, tmp_path)
    given = picture(31, 46)
    assert departure(entry, given, run(convolutional().SerializeToString(), given)) < 1e-6
    whole = onnx.load_model(entry.locate_original(), load_external_data=False)
    assert run(whole.SerializeToString(), given).shape == (1, 3, 62, 92)
    assert added(path, tmp_path).label == entry.label


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("location", "../net.onnx.data", "is not the name of a file"),
        ("location", "/etc/hostname", "is not the name of a file"),
        ("location", "absent.data", "absent.data"),
        ("offset", "100000000", "bytes too early"),
        ("length", "7", "are not its"),
        ("offset", "-4", "are not its"),
        ("length", "many", "its place is"),
    ],
)
def test_weights_that_are_not_in_a_file_beside_it_are_refused(tmp_path: Path, key: str, value: str, words: str) -> None:
    path = in_two_files(convolutional(), tmp_path / "net.onnx")
    model = onnx.load_model(path, load_external_data=False)
    fields = model.graph.initializer[0].external_data
    kept = [(entry.key, entry.value) for entry in fields if entry.key != key]
    del fields[:]
    for name, text in (*kept, (key, value)):
        fields.add(key=name, value=text)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SrError, match=words):
        added(path, tmp_path)
    assert not (tmp_path / "models").exists()


def with_noise_input(kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Adds `noise` / 100 to the picture that it makes."""
    model = convolutional()
    model.graph.input.append(helper.make_tensor_value_info("noise", kind, ["n", 1]))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.01, np.float32), "step"))
    shuffle = model.graph.node.pop()
    shuffle.input[0] = "told"
    steps = [
        helper.make_node("Cast", ["noise"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["number", "step"], ["by"]), helper.make_node("Add", ["sum", "by"], ["told"]),
    ]  # fmt: skip
    model.graph.node.extend([*steps, shuffle])
    return model


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT64], ids=["float", "int64"])
def test_a_further_input_is_given_a_constant(tmp_path: Path, kind: int) -> None:
    model = with_noise_input(kind)
    message = refusal(model, tmp_path)
    assert "its inputs are input, noise" in message
    entry = registered(model, tmp_path, inputs={"noise": 7.0}, value_range="1")
    assert entry.card.inputs == {"noise": 7.0}
    given = picture(20, 24)
    noise = np.array([[7]], np.int64 if kind == TensorProto.INT64 else np.float32)
    assert departure(entry, given, run(model.SerializeToString(), given, noise=noise)) < 1e-6
    other = added(tmp_path / "net.onnx", tmp_path, inputs={"noise": 0.0}, value_range="1")
    assert (entry.card.version, other.card.version) == ("1", "2")
    with pytest.raises(ModelInvalid, match="no input 'nois': its inputs are input, noise"):
        added(tmp_path / "net.onnx", tmp_path, inputs={"nois": 7.0})


def refusal(model: onnx.ModelProto, tmp_path: Path) -> str:
    with pytest.raises(ModelInvalid) as caught:
        added(saved(model, tmp_path / "net.onnx"), tmp_path)
    assert not (tmp_path / "models").exists()
    return caught.value.message


def test_what_cannot_be_used_is_refused_with_what_was_found(tmp_path: Path) -> None:
    four = convolutional(channels=4, shape=(1, 4, "h", "w"))
    assert "[1, 4, any, any]" in refusal(four, tmp_path)
    custom = convolutional()
    custom.graph.node[0].domain = "com.example"
    assert "com.example.Conv" in refusal(custom, tmp_path)
    integers = convolutional()
    integers.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    assert "of type uint8" in refusal(integers, tmp_path)
    two = convolutional()
    two.graph.output.append(helper.make_tensor_value_info("base", TensorProto.FLOAT, None))
    assert "2 outputs (output, base)" in refusal(two, tmp_path)
    cropping = convolutional()
    for node in cropping.graph.node:
        if node.op_type == "Conv" and node.output[0] != "base":
            del node.attribute[:]
    cropping.graph.node[-2].input[1] = cropping.graph.node[-2].input[0]
    assert "no whole multiple" in refusal(cropping, tmp_path)


def test_a_scale_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scale is said to be 4, and it was found to be 2"):
        added(saved(convolutional(), tmp_path / "net.onnx"), tmp_path, scale=4)
    assert not (tmp_path / "models").exists()
