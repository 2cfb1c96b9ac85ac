"""Which model `auto` names, and that a routing file that is wrong is refused when it is loaded."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.config import Settings
from sr_tasks.errors import RoutesInvalid, ScaleUnsupported
from sr_tasks.records.degradation import Degradation
from sr_tasks.registry.registry import Registry
from sr_tasks.registry.routing import FILE, Facts, Routing, load_routing, routes_table

GATE = {"global_psnr_min": 26.0, "frame_psnr_min": 24.0, "block_psnr_min": 20.0, "ssim_min": 0.5}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A registry of cards alone: twice, four (4x in one pass), both (2x, twice), ink (a style), gpl (its licence)."""
    add(tmp_path, "twice", scale=2)
    add(tmp_path, "four", scale=4)
    add(tmp_path, "both", scale=2, max_passes=2)
    add(tmp_path, "gpl", scale=2, max_passes=2, licence="GPL-3.0-only")
    ink = {"name": "ink", "licence": "CC0-1.0"}
    add(tmp_path, "ink", scale=2, kind="style", style=ink, weights={"file": "w.onnx", "sha256": "0" * 64})
    return dataclasses.replace(Settings(), models_dir=tmp_path, allowed_licences=("Apache-2.0", "CC0-1.0"))


def add(models_dir: Path, name: str, **changes: Any) -> None:
    card = {
        "name": name, "version": "1", "title": name, "architecture": "a formula", "kind": "resampler", "parameters": 0,
        "receptive_field": 4, "licence": "Apache-2.0", "training_data": "none", "intended_content": "tests",
        "gate": GATE,
    }  # fmt: skip
    folder = models_dir / name / "1"
    folder.mkdir(parents=True)
    (folder / "card.yaml").write_text(yaml.safe_dump(card | changes))


def routing(settings: Settings, routes: list[dict[str, Any]] | None = None, **changes: Any) -> Routing:
    content = {"routes": routes or [], "defaults": {2: "twice", 4: "four"}} | changes
    (settings.models_dir / FILE).write_text(yaml.safe_dump(content))
    return load_routing(settings)


def facts(scale: int = 2, noise: float = 0.0, compression: float = 0.0, **changes: Any) -> Facts:
    level = (noise**2 + compression**2) ** 0.5
    measured = Degradation(level=level, noise=noise, compression=compression, frames=8)
    given = {"content": "any", "tenant": None, "width": 640, "height": 360, "degradation": measured} | changes
    return Facts(scale=scale, **given)


def test_the_shipped_routes_lead_to_models_that_are_there() -> None:
    shipped = load_routing(Settings())
    for scale in (2, 4):
        name, why = shipped.choose(facts(scale))
        assert name in Registry(Settings().models_dir).names()
        assert why == f"the default of scale {scale}"
    assert {row["route"] for row in routes_table(Settings())} >= {"default"}


def test_without_a_fitting_route_the_default_of_the_scale_decides(settings: Settings) -> None:
    chosen = routing(settings, [{"name": "noisy", "when": {"level": {"min": 1}}, "model": "both"}])
    assert chosen.choose(facts(2)) == ("twice", "the default of scale 2")
    assert chosen.choose(facts(4)) == ("four", "the default of scale 4")


def test_the_first_route_whose_conditions_all_hold_decides(settings: Settings) -> None:
    chosen = routing(
        settings,
        [
            {"name": "drawings", "when": {"tenant": "acme", "content": ["animation", "screen"]}, "model": "both"},
            {"name": "acme", "when": {"tenant": ["acme"], "scale": 2}, "model": "twice"},
            {"name": "bad", "when": {"level": {"min": 2, "max": 8}, "degradation": "noise"}, "model": "both"},
            {"name": "wide", "when": {"width": {"min": 1920}, "height": {"max": 1200}, "scale": 4}, "model": "four"},
        ],
    )  # fmt: skip
    cases = [
        (facts(tenant="acme", content="screen", noise=3), "drawings"),
        (facts(tenant="acme", content="live", noise=3), "acme"),
        (facts(tenant="other", content="screen", noise=3), "bad"),
        (facts(noise=2.0), "bad"),
        (facts(scale=4, noise=7.99), "bad"),
        (facts(scale=4, width=1920, height=1080), "wide"),
    ]
    assert [chosen.choose(given)[1] for given, _ in cases] == [f"route {name!r}" for _, name in cases]
    for given in (facts(noise=8.0), facts(compression=3.0), facts(noise=1.99), facts(width=1920, height=1080)):
        assert chosen.choose(given)[1] == "the default of scale 2"
    assert chosen.choose(facts(scale=4, width=1920, height=1200))[1] == "the default of scale 4"


def test_a_route_that_names_no_scale_is_for_those_with_a_default(settings: Settings) -> None:
    chosen = routing(settings, [{"name": "all", "when": {}, "model": "both"}])
    with pytest.raises(ScaleUnsupported, match="scale 1"):
        chosen.choose(facts(1))
    with pytest.raises(ScaleUnsupported, match="scale 1"):
        chosen.require_scale(1)
    assert chosen.choose(facts(4)) == ("both", "route 'all'")


EVERYTHING = {"name": "a", "model": "both"}
NARROW = {"scale": 2, "level": {"min": 2, "max": 4}, "tenant": "acme"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"defaults": {2: "twice"}}, "no default for scale 4"),
        ({"defaults": {4: "four"}}, "no default for scale 2"),
        ({"defaults": {2: "twice", 4: "twice"}}, "cannot enlarge 4 times"),
        ({"defaults": {2: "twice", 4: "four", 3: "twice"}}, "default for scale 3"),
        ({"defaults": {2: "nobody", 4: "four"}}, "'nobody'"),
        ({"defaults": {2: "twice@7", 4: "four"}}, "'twice@7'"),
        ({"defaults": {2: "gpl", 4: "four"}}, "GPL-3.0-only"),
        ({"styles_allowed": ["twice"]}, "twice, which is no style"),
        ({"styles_allowed": ["nobody"]}, "'nobody'"),
        ({"colour": "blue"}, "colour"),
        ({"routes": [{"name": "a", "when": {"scale": 3}, "model": "both"}]}, "not 3"),
        ({"routes": [{"name": "a", "when": {"level": {"min": 4, "max": 4}}, "model": "both"}]}, "below 4"),
        ({"routes": [{"name": "a", "when": {"width": {}}, "model": "both"}]}, "min, a max or both"),
        ({"routes": [{"name": "a", "when": {"content": "cats"}, "model": "both"}]}, "content"),
        ({"routes": [{"name": "a", "when": {"levels": {"min": 1}}, "model": "both"}]}, "levels"),
        ({"routes": [{"name": "a", "model": "twice"}]}, "cannot enlarge 4 times"),
        ({"routes": [{"name": "a", "when": {"scale": 2}, "model": "gpl"}]}, "GPL-3.0-only"),
        ({"routes": [{"name": "a", "when": {"scale": 2}, "model": "ink"}]}, "the style ink@1"),
        ({"routes": [EVERYTHING, {"name": "b", "when": NARROW, "model": "twice"}]}, "never reached"),
        (
            {
                "routes": [
                    {"name": "a", "when": {"scale": [2, 4], "level": {"min": 1}}, "model": "both"},
                    {"name": "b", "when": NARROW, "model": "twice"},
                ]
            },
            "'b' is never reached: 'a'",
        ),
        (
            {
                "routes": [
                    {"name": "a", "when": {"level": {"min": 1}}, "model": "both"},
                    {"name": "a", "when": {"level": {"max": 1}}, "model": "both"},
                ]
            },
            "wo routes are called 'a'",
        ),
    ],
)  # fmt: skip
def test_wrong_routes_are_refused_by_name(settings: Settings, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RoutesInvalid) as refused:
        routing(settings, **changes)
    assert named in refused.value.message
    assert refused.value.hint


def test_a_wider_route_may_follow_narrower_ones(settings: Settings) -> None:
    routes = [
        {"name": "b", "when": NARROW, "model": "twice"},
        {"name": "c", "when": NARROW | {"level": {"min": 3, "max": 5}}, "model": "twice"},
        {"name": "a", "model": "both"},
    ]
    assert routing(settings, routes).choose(facts(noise=4.5, tenant="acme"))[1] == "route 'c'"


@pytest.mark.parametrize("text", ["routes: [", "just words", "", "\xff"])
def test_a_file_that_is_no_table_of_routes_is_refused(settings: Settings, text: str) -> None:
    (settings.models_dir / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(RoutesInvalid, match=FILE):
        load_routing(settings)


def test_a_missing_file_is_refused(settings: Settings) -> None:
    with pytest.raises(RoutesInvalid, match="There is no"):
        load_routing(settings)


def test_a_retired_version_is_refused(settings: Settings) -> None:
    folder = settings.models_dir / "twice"
    add(settings.models_dir, "twice2", scale=2)
    (settings.models_dir / "twice2" / "1").rename(folder / "2")
    (settings.models_dir / "twice2").rmdir()
    card = folder / "2" / "card.yaml"
    card.write_text(card.read_text().replace("twice2", "twice").replace("version: '1'", "version: '2'"))
    (folder / "channels.yaml").write_text("production: '2'\nretired: ['1']\n")
    with pytest.raises(RoutesInvalid, match="twice@1, which was retired"):
        routing(settings, defaults={2: "twice@1", 4: "four"})
    assert routing(settings).choose(facts(2))[0] == "twice"


def test_an_allowed_style_may_be_routed_to(settings: Settings) -> None:
    drawings = {"name": "drawings", "when": {"scale": 2, "content": "animation"}, "model": "ink"}
    chosen = routing(settings, [drawings], styles_allowed=["ink"])
    assert chosen.choose(facts(content="animation"))[0] == "ink"
