"""The models that come with the project can be prepared as their cards promise."""

from pathlib import Path

import pytest

from sr_tasks.config import Settings
from sr_tasks.graphs.prepare import prepare
from sr_tasks.inference.backend import CPU_BACKENDS, backend_for
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import variant

SHIPPED = Registry(Settings().models_dir)


def test_the_baseline_is_there_and_can_do_both_scales() -> None:
    assert SHIPPED.get("bicubic").card.scales == (2, 4)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("name", SHIPPED.names())
def test_every_shipped_model_is_prepared_at_all_its_scales(tmp_path: Path, name: str, backend: str) -> None:
    entry = SHIPPED.get(name)
    color = {"colorspace": 1, "color_range": 1} if entry.card.color == "rgb" else {}
    for scale in entry.card.scales:
        for kind in (variant(scale=scale, **color), variant(scale=scale, chroma="422", bit_depth=10, **color)):
            prepared, _ = prepare(entry, kind, backend_for(backend), "auto", tmp_path, width=160, height=90)
            assert (prepared.name, prepared.variant.scale) == (name, scale)
