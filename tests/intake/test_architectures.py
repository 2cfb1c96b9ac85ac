"""Weight files of torch, of many architectures and layouts: what is registered computes what spandrel computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from sr_tasks.errors import ModelInvalid
from sr_tasks.graphs.form import form_problems
from tests.intake.brought import added, by_registry, by_spandrel, network, picture

TOLERANCE = 1e-5
"""In 0..1; a code of eight bits is 400 times as much."""

State = dict[str, Any]

LAYOUTS: dict[str, Callable[[State, Path], None]] = {
    "compact": lambda state, path: torch.save({"params": state}, path),
    "rrdb": lambda state, path: torch.save({"params_ema": state, "params": {}}, path),
    "span": lambda state, path: save_file(state, path),
    "swinir": lambda state, path: torch.save({"params": state}, path, _use_new_zipfile_serialization=False),
    "omnisr": lambda state, path: torch.save(state, path),
    "realcugan": lambda state, path: torch.save(state, path),
    "safmn": lambda state, path: torch.save({"params": state}, path),
    "plksr": lambda state, path: torch.save({"params_ema": _with("module.", state)}, path),
    "realplksr": lambda state, path: torch.save({"params_ema": {k: v.half() for k, v in state.items()}}, path),
    "mosr": lambda state, path: torch.save({"state_dict": _with("module.", state), "epoch": 3}, path),
    "hat": lambda state, path: torch.save({"params_ema": state}, path),
    "dat": lambda state, path: torch.save({"params": state}, path),
}
"""As the projects publish them: behind a key or bare, from several GPUs, in half precision, in older formats."""

GLOBAL = {"swinir", "omnisr", "realcugan", "realplksr", "hat", "dat"}
"""Attention in shifted windows reaches everywhere in a few layers; squeezing and normalising need the whole picture."""


SLOW = {"swinir", "omnisr", "hat", "dat"}


def _with(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def brought(name: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{name}{'.safetensors' if name == 'span' else '.pth'}"
    LAYOUTS[name](network(name).state_dict(), path)
    return path


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in LAYOUTS]
)
def test_what_is_registered_computes_what_spandrel_computes(name: str, tmp_path: Path) -> None:
    path = brought(name, tmp_path)
    entry = added(path, tmp_path)
    card = entry.card
    step = card.tiles.multiple
    rows, columns = -(-45 // step) * step, -(-62 // step) * step  # with a step of 1 no whole windows
    given = picture(rows, columns)
    expected = by_spandrel(path, given)
    assert np.abs(by_registry(entry, given) - expected).max() < TOLERANCE
    assert card.scale == expected.shape[2] // rows
    assert card.tiles.mode == ("overlap" if name in GLOBAL else "exact")
    assert card.parameters == sum(tensor.numel() for tensor in network(name).parameters())
    assert form_problems(entry.read_weights(), card) == ()
    assert entry.locate_original().read_bytes() == path.read_bytes()


def test_one_channel_networks_are_of_luma(tmp_path: Path) -> None:
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    path = tmp_path / "gray.pth"
    torch.save(ESRGAN(in_nc=1, out_nc=1, num_filters=4, num_blocks=1, scale=1).state_dict(), path)
    entry = added(path, tmp_path)
    assert (entry.card.color, entry.card.scale) == ("luma", 1)
    given = picture(33, 41, channels=1)
    assert np.abs(by_registry(entry, given) - by_spandrel(path, given)).max() < TOLERANCE


def test_nothing_of_the_machine_is_left_and_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = brought("compact", tmp_path)
    first = added(path, tmp_path / "one").read_weights()
    assert first == added(path, tmp_path / "two").read_weights()
    for trace in (b"/", b"torch", b"spandrel", b"Traceback", str(tmp_path).encode()):
        assert trace not in b"".join(_texts(first)), trace


def _texts(data: bytes) -> list[bytes]:
    """All text of a model but the names of its values."""
    model = onnx.load_model_from_string(data)
    texts = [model.producer_name, model.producer_version, model.domain, model.doc_string, model.graph.doc_string]
    texts += [prop.value for prop in (*model.metadata_props, *model.graph.metadata_props)]
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        texts += [part.doc_string, *(prop.value for prop in part.metadata_props)]
    return [text.encode() for text in texts]


def test_an_unknown_architecture_is_refused_with_its_first_keys(tmp_path: Path) -> None:
    torch.save({"params": {"encoder.alpha": torch.zeros(3), "encoder.beta": torch.ones(2)}}, tmp_path / "a.pth")
    with pytest.raises(ModelInvalid, match=r"2 tensors of no known architecture: first keys encoder\.alpha, encoder"):
        added(tmp_path / "a.pth", tmp_path)


def test_tensors_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    state = network("compact").state_dict()
    state["body.2.weight"] = state["body.2.weight"][:, :5].clone()
    torch.save({"params": state}, tmp_path / "a.pth")
    with pytest.raises(ModelInvalid, match="do not make up a network"):
        added(tmp_path / "a.pth", tmp_path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    state = network("compact").state_dict()
    state["body.2.weight"][0, 0, 0, 0] = float("nan")
    torch.save({"params": state}, tmp_path / "a.pth")
    with pytest.raises(ModelInvalid, match="no number"):
        added(tmp_path / "a.pth", tmp_path)
