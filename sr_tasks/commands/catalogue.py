"""What the registry holds, in words: `models list` and `models show`, and the words for channels and figures.

Reads cards, channels and hashes; loads no runtime and changes nothing.
"""

from typing import Any

import yaml

from sr_tasks.commands.arguments import table
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.records.cards import Weights
from sr_tasks.registry.licences import is_allowed, licences_of
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.registry.weights import WeightsCache, path_of
from sr_tasks.storage.hashing import sha256_file

_LAST_CHANGES = 10


def listed(settings: Settings) -> dict[str, Any]:
    """One row a model. A model whose files are not valid has its error in place of the rest."""
    registry = Registry.of(settings)
    return {"models": [_row(name, registry, settings) for name in registry.names()]}


def _row(name: str, registry: Registry, settings: Settings) -> dict[str, Any]:
    try:
        channels, card = registry.channels(name), registry.get(name).card
    except SrError as exc:
        return {"name": name, "versions": list(registry.versions(name)), "error": exc.as_dict()}
    return {
        "name": name,
        "title": card.title,
        "versions": [version for version in registry.versions(name) if version not in channels.retired],
        "retired": list(channels.retired),
        "production": channels.production,
        "candidate": channels.candidate,
        "share": channels.share,
        "shadow": channels.shadow,
        "kind": card.kind,
        "color": card.color,
        "scales": list(card.scales),
        "parameters": card.parameters,
        "licences": list(licences_of(card)),
        "allowed": is_allowed(card, settings),
    }


def known(settings: Settings) -> dict[str, Any]:
    """One row for each network that `models add known:NAME` brings."""
    from sr_tasks.intake.known import known_models

    models = known_models(settings)
    return {"models": [{"name": name, **model.model_dump(mode="json")} for name, model in models.items()]}


def describe_known(result: dict[str, Any]) -> str:
    if not result["models"]:
        return "No networks are known."
    names = ("name", "scale", "licence", "title", "source")
    return table(names, [tuple(f"{row[name]}{'x' * (name == 'scale')}" for name in names) for row in result["models"]])


def describe_list(result: dict[str, Any]) -> str:
    if not result["models"]:
        return "There are no models."
    header = ("model", "versions", "production", "candidate", "kind", "scale", "licence", "jobs may use it")
    shown = table(header, [_cells(row) for row in result["models"]])
    if (plot := result.get("plot")) is None:
        return shown
    left_out = f"; no figures in the cards of {', '.join(plot['left_out'])}" if plot["left_out"] else ""
    return f"{shown}\nDrew {len(plot['drawn'])} versions into {plot['file']}{left_out}."


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return (row["name"], ", ".join(row["versions"]), f"broken: {row['error']['message']}", "", "", "", "", "no")
    candidate = f"{row['candidate']} at {100 * row['share']:g} %" if row["candidate"] else "-"
    if row["shadow"]:
        candidate += f", shadow {100 * row['shadow']:g} %"
    return (
        row["name"],
        ", ".join(row["versions"]),
        row["production"],
        candidate,
        row["kind"],
        ", ".join(f"{scale}x" for scale in row["scales"]),
        " and style ".join(row["licences"]),
        "yes" if row["allowed"] else "no",
    )


def shown(reference: str, settings: Settings) -> dict[str, Any]:
    """The card, the channels of its model, and the state of its files."""
    registry = Registry.of(settings)
    entry = registry.get(reference)
    return {
        "model": entry.label,
        "folder": str(entry.folder),
        "allowed": is_allowed(entry.card, settings),
        "files": _files(entry, WeightsCache.of(settings)),
        "channels": registry.channels(entry.card.name).model_dump(mode="json"),
        "card": entry.card.model_dump(mode="json"),
    }


def _files(entry: ModelEntry, cache: WeightsCache) -> list[dict[str, str]]:
    named = {"weights": entry.card.weights, "original": entry.card.original}
    return [
        {"file": weights.file, "is": what, "state": _state(weights, entry, cache)}
        for what, weights in named.items()
        if weights is not None
    ]


def _state(weights: Weights, entry: ModelEntry, cache: WeightsCache) -> str:
    path = cache.path_of(weights) if weights.uri else path_of(weights, entry.folder, entry.label)
    try:
        found = sha256_file(path)
    except FileNotFoundError:
        return f"not fetched yet from {weights.uri}" if weights.uri else "missing"
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    if found != weights.sha256:
        return f"damaged: sha256 is {found}"
    return "hash is right" + (f", fetched from {weights.uri}" if weights.uri else "")


def describe_entry(result: dict[str, Any]) -> str:
    card = {name: value for name, value in result["card"].items() if value or value == 0}
    may = "Jobs may use it." if result["allowed"] else "This deployment does not allow its licence to jobs."
    return "\n".join(
        [
            f"{result['model']} in {result['folder']}",
            may,
            *(f"{file['is']} {file['file']}: {file['state']}" for file in result["files"]),
            "",
            describe_channels({"model": result["card"]["name"], **result["channels"]}),
            "",
            yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110).rstrip(),
        ]
    )


def describe_channels(result: dict[str, Any]) -> str:
    lines = [f"{result['model']}: production {result['production']}"]
    if result["candidate"]:
        shadow = f", shadow of {100 * result['shadow']:g} % of chunks" if result["shadow"] else ""
        lines.append(f"  candidate {result['candidate']} at {100 * result['share']:g} % of jobs{shadow}")
    if result["retired"]:
        lines.append(f"  retired {', '.join(result['retired'])}")
    for change in result["history"][-_LAST_CHANGES:]:
        reason = f": {change['reason']}" if change["reason"] else ""
        lines.append(f"  {change['at']}  {change['action']} {change['version']} by {change['by']}{reason}")
    return "\n".join(lines)


def describe_bench(result: dict[str, Any]) -> str:
    header = ("model", "scale", "precision", "backend", "fps", "ms a frame", "time of bicubic")
    rows: list[tuple[str, ...]] = [
        (
            row["model"],
            f"{row['scale']}x",
            row["precision"],
            row["backend"],
            f"{row['fps']:.1f}",
            f"{row['ms']:.2f}",
            f"{row['bicubic_times']:.1f} times" if row["bicubic_times"] else "-",
        )
        for row in result["rows"]
    ]
    title = f"{result['frame']} planes in and out on {result['device']}, {result['streams']} streams of one thread"
    return f"{title}\n{table(header, rows)}"


def describe_routes(result: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        (row["route"], _conditions(row["when"]), row["model"], row["production"]) for row in result["routes"]
    ]
    return table(("route", "when", "model", "now"), rows)


def _conditions(when: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_condition(value)}" for name, value in when.items()) or "always"


def _condition(value: Any) -> str:
    if isinstance(value, dict):
        bounds = [("from", value.get("min")), ("below", value.get("max"))]
        return " ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    return " or ".join(str(one) for one in value)


def describe_release(result: dict[str, Any]) -> str:
    share = f" at {100 * result['share']:g} % of jobs" if result["channel"] == "candidate" else ""
    return f"{result['model']} is {result['channel']}{share}.\n  report  {result['report']}"


def describe_golden(result: dict[str, Any]) -> str:
    """A row a degradation, a column a model: the mean gain over bicubic and the worst scene's, in dB."""
    models = result["models"]
    rows = [
        (name, *(f"{of[name]['gain_db']:+.2f} ({of[name]['worst_gain_db']:+.2f})" for of in figures))
        for figures in [[model["figures"] for model in models]]
        for name in models[0]["figures"]
    ]
    shown = table(("degradation", *(model["model"] for model in models)), rows)
    lines = [f"dB over bicubic at {result['scale']}x, mean of {len(result['scenes'])} scenes (and the worst)", shown]
    return "\n".join([*lines, *(f"left out: {reason}" for reason in result["left_out"].values())])


def describe_comparison(result: dict[str, Any]) -> str:
    header = ("model", "ms a frame", "closeness dB", "sharpness (bicubic is 1)")
    rows = [
        (row["label"], f"{row['frame_ms']:.1f}", f"{row['closeness_db']:.1f}", f"{row['sharpness']:.2f}")
        for row in result["models"]
    ]
    return f"{table(header, rows)}\nLook at {result['sheet']}."
