"""The form of a registered network: what has it, and what is said of what has not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.config import Settings
from sr_tasks.graphs.form import form_problems
from sr_tasks.records.cards import ModelCard
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import network_entry, random_network


def identity(shape: list[Any], *, element: int = TensorProto.FLOAT, level: bool = False, opset: int = 20) -> bytes:
    """A network that gives back its picture."""
    inputs = [helper.make_tensor_value_info("picture", element, shape)]
    if level:
        inputs.append(helper.make_tensor_value_info("level", TensorProto.FLOAT, [1]))
    output = helper.make_tensor_value_info("out", element, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["picture"], ["out"])], "g", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return network_entry(tmp_path).card


def changed(card: ModelCard, **changes: Any) -> ModelCard:
    return ModelCard.model_validate(card.model_dump() | changes)


def test_networks_in_the_form_have_no_problems(card: ModelCard) -> None:
    assert form_problems(random_network().SerializeToString(), card) == ()
    assert form_problems(identity([1, 3, "h", "w"]), changed(card, color="rgb")) == ()
    assert form_problems(identity([1, 1, "h", "w"], level=True), changed(card, level={"max": 16})) == ()
    fixed = changed(card, tiling={"halo": 8, "fixed": [32, 48]})
    assert form_problems(identity([1, 1, 32, 48]), fixed) == ()


def test_every_shipped_network_has_the_form() -> None:
    for entry in Registry(Settings().models_dir).entries():
        if entry.card.weights is not None:
            assert form_problems(entry.read_weights(), entry.card) == ()


@pytest.mark.parametrize(
    ("network", "changes", "said"),
    [
        (b"<html>", {}, "it is no ONNX file"),
        (identity([1, 3, "h", "w"]), {}, "picture is [1, 3, any, any], not [1, 1, any, any]"),
        (identity(["n", 1, "h", "w"]), {}, "picture is [any, 1, any, any], not [1, 1, any, any]"),
        (identity([1, 1, 64, 64]), {}, "picture is [1, 1, 64, 64], not [1, 1, any, any]"),
        (identity([1, 1, "h", "w"]), {"tiling": {"halo": 4, "fixed": [8, 8]}}, "not [1, 1, 8, 8]"),
        (identity([1, 1, "h", "w"], element=TensorProto.FLOAT16), {}, "picture is not float32"),
        (identity([1, 1, "h", "w"], level=True), {}, "its inputs are picture, level, not a picture"),
        (identity([1, 1, "h", "w"]), {"level": {"max": 8}}, "its inputs are picture, not a picture and level"),
        (identity([1, 1, "h", "w"], opset=11), {}, "its opset is 11, not 15 to 23"),
    ],
)
def test_what_departs_from_the_form_is_said(
    card: ModelCard, network: bytes, changes: dict[str, Any], said: str
) -> None:
    problems = form_problems(network, changed(card, **changes))
    assert any(said in problem for problem in problems), problems


def test_foreign_operators_and_outside_weights_are_said(card: ModelCard) -> None:
    model = onnx.load_model_from_string(identity([1, 1, "h", "w"]))
    model.graph.node[0].domain = "com.example"
    tensor = numpy_helper.from_array(np.zeros(4, dtype=np.float32), "far")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer.append(tensor)
    problems = form_problems(model.SerializeToString(), card)
    assert "it has operators that are not standard: com.example.Identity" in problems
    assert "it keeps weights in another file" in problems
