"""Writes the card of a network that was brought: what was found, what was said of it, and careful defaults."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sr_tasks.errors import InputTooLarge, UsageError
from sr_tasks.intake.canonical import Canonical
from sr_tasks.intake.receptive import MAX_HALO_PX, Sight
from sr_tasks.intake.request import AddRequest
from sr_tasks.records.cards import GateLimits, Level, ModelCard, Precision, Tiling, Weights
from sr_tasks.records.loading import problem, read_yaml
from sr_tasks.storage.failures import reading

_MAX_CARD_BYTES = 1 << 20
_NOT_STATED = "Not stated by whoever added it."

_GATE = GateLimits(global_psnr_min=26.0, frame_psnr_min=24.0, block_psnr_min=20.0, ssim_min=0.5)
_STYLE_GATE = GateLimits(
    global_psnr_min=5.0, frame_psnr_min=5.0, block_psnr_min=0.0, ssim_min=0.0, plane_shift_max=255.0,
    block_shift_max=255.0, color_error_max=255.0, pixel_shift_max=4.0,
)  # fmt: skip
"""A style means to look unlike its source."""

_FOUND = ("color", "scale", "parameters", "weights", "original")
"""Fields that a card may repeat but not change."""


def read_card(request: AddRequest) -> dict[str, Any]:
    """The fields of the request's card file, as they are in it; none without a file.

    Raises UsageError for a file that cannot be read as a mapping, InputNotFound, InputTooLarge.
    """
    if request.card_path is None:
        return {}
    path = request.card_path
    with reading(path):
        if path.stat().st_size > _MAX_CARD_BYTES:
            raise InputTooLarge(f"The card {str(path)!r} is larger than {_MAX_CARD_BYTES} bytes.", hint="Name a card.")
        fields = read_yaml(path, UsageError, what="The card", hint="Correct it.")
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise UsageError(f"The card {str(path)!r} is no list of fields.", hint="An example: licence: MIT.")
    return fields


def said(request: AddRequest, fields: dict[str, Any]) -> dict[str, Any]:
    """What the request and the card file say of the network, together.

    Raises UsageError where they contradict each other, and without a licence, or a style without its own.
    """
    style = {"name": request.style_name, "licence": request.style_licence}
    of_card = fields.get("style")
    if any(style.values()) or of_card is not None:
        style = _joined(style, of_card if isinstance(of_card, dict) else {}, "style.")
        if not (style.get("name") and style.get("licence")):
            raise UsageError(
                f"The style {style.get('name') or ''!r} of {request.name} has no name or no licence of its own.",
                hint="Give --style NAME and --style-licence L, or an entry style in the card.",
            )
        fields = {**fields, "style": style, "kind": "style"}
    asked = {
        "name": request.name,
        "version": request.version,
        "licence": request.licence,
        "source": request.source,
        "title": request.title,
        "scale": request.scale,
        "inputs": dict(request.inputs) or None,
    }
    together = _joined(asked, fields, "")
    if not together.get("licence"):
        raise UsageError(
            f"{request.name} comes without a licence.",
            hint="Give --licence with its SPDX expression (MIT, Apache-2.0, CC-BY-4.0, ...), or a card that has one.",
        )
    return together


def level_of(fields: dict[str, Any]) -> Level | None:
    """The level that the card speaks of. Raises UsageError if it is not valid."""
    if fields.get("level") is None:
        return None
    try:
        return Level.model_validate(fields["level"])
    except ValidationError as exc:
        raise UsageError(f"The level in the card is not valid: {problem(exc)}.", hint="An example: {max: 12}.") from exc


def write_card(
    fields: dict[str, Any],
    network: Canonical,
    sight: Sight,
    *,
    weights: Weights,
    original: Weights,
    relative_cost: float,
) -> ModelCard:
    """The card: `fields` as `said`, then what was found, then defaults. Raises UsageError if it is not valid, or says
    something else than was found."""
    found: dict[str, Any] = {
        "color": "rgb" if network.channels == 3 else "luma",
        "scale": network.scale,
        "parameters": network.parameters,
        "weights": weights.model_dump(),
        "original": original.model_dump(),
    }
    for name in _FOUND:
        if fields.get(name) is not None and fields[name] != found[name]:
            raise UsageError(
                f"{name} is said to be {fields[name]!r}, and it was found to be {found[name]!r}.",
                hint=f"Leave {name} out, or check that this is the right file.",
            )
    is_style = fields.get("kind") == "style"
    defaults: dict[str, Any] = {
        "title": fields["name"],
        "architecture": network.architecture,
        "kind": "network",
        "receptive_field": 2 * (MAX_HALO_PX if sight.reach is None else sight.reach) + 1,
        "tiling": _tiling(sight.tiling, fields.get("max_passes")).model_dump(),
        "precisions": _precisions(network, sight),
        "training_data": _NOT_STATED,
        "intended_content": _NOT_STATED,
        "limits": _limits(network, sight),
        "relative_cost": relative_cost,
        "gate": (_STYLE_GATE if is_style else _GATE).model_dump(),
    }
    stated = {name: value for name, value in fields.items() if value is not None}
    try:
        return ModelCard.model_validate(defaults | stated | found)
    except ValidationError as exc:
        raise UsageError(
            f"The card of {fields['name']} would not be valid: {problem(exc)}.", hint="Correct it."
        ) from exc


def _tiling(tiling: Tiling, max_passes: object) -> Tiling:
    """Twice the halo where a job may run the network twice: the second pass reads px that the first computed."""
    return tiling.model_copy(update={"halo": 2 * tiling.halo}) if max_passes == 2 else tiling


def _precisions(network: Canonical, sight: Sight) -> list[Precision]:
    """Those worth trying; each is proved before it is used. Attention loses too much in eight bits."""
    found: list[Precision] = ["fp32"]
    if network.supports_bfloat16:
        found.append("bf16")
    if network.supports_half:
        found.append("fp16")
    if sight.tiling.mode == "exact":
        found.append("int8")
    return found


def _limits(network: Canonical, sight: Sight) -> str:
    parts = []
    if sight.tiling.mode == "overlap":
        parts.append(
            f"Sees the whole picture, or further than {MAX_HALO_PX} px: tiles of it are blended and not exactly what "
            "the whole would be."
        )
    if network.fixed is not None:
        parts.append(f"Could be had for {network.fixed[1]}x{network.fixed[0]} px only: pictures are cut into that.")
    return " ".join(parts)


def _joined(asked: dict[str, Any], fields: dict[str, Any], prefix: str) -> dict[str, Any]:
    together = dict(fields)
    for name, value in asked.items():
        if value in (None, ""):
            continue
        there = fields.get(name)
        if there not in (None, "") and str(there) != str(value):
            raise UsageError(
                f"{prefix}{name} is {value!r} in the request and {there!r} in the card.", hint="Say it once."
            )
        together[name] = value
    return together


def sample_files(card: ModelCard, card_path: Path | None) -> dict[str, Path]:
    """The pictures that a card names, which lie beside the file it was read from."""
    if card_path is None:
        return {}
    return {name: card_path.parent / name for name in card.samples if Path(name).name == name}
