"""A recipe of a stylisation small enough to train in a test."""

from pathlib import Path
from typing import Any

import yaml

from sr_tasks.training.style.recipe import StyleRecipe, load_style_recipe

STEPS = 12


def recipe_values(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "tiny",
        "kind": "style",
        "seed": 4,
        "filter": {"radius": 2},
        "network": {"channels": 4, "dilations": [1, 2]},
        "pool": {
            "images": 2,
            "held_out": 1,
            "side": 48,
            "scenes": {"lines": 1.0},
            "lens_blur_probability": 0.0,
            "lens_blur_sigma_max": 2.0,
            "defocus_probability": 0.0,
            "faint_probability": 0.0,
            "grain_probability": 0.0,
            "grain_sigma_max": 0.0,
        },
        "noise_sigma_max": 0.0,
        "optimisation": {
            "steps": STEPS,
            "batch": 2,
            "patch": 16,
            "learning_rate": 0.01,
            "warm_up_steps": 2,
            "checkpoint_every": 5,
            "measure_every": 6,
        },
    }
    return values | changes


def recipe_file(folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_values(**changes)), encoding="utf-8")
    return path


def tiny_recipe(folder: Path, **changes: Any) -> StyleRecipe:
    return load_style_recipe(recipe_file(folder, **changes))
