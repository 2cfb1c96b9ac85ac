"""The release report: a version measured beside production, compared, and shown where they differ most."""

import json
from datetime import UTC, datetime

from sr_tasks.config import Settings
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.release.golden.compare import Comparison, compare
from sr_tasks.release.golden.items import figures_of
from sr_tasks.release.golden.measure import GoldenRecord, items_of, measured, report_folder, upscaler
from sr_tasks.release.golden.report import Sight, render, sight
from sr_tasks.release.policy import ReleasePolicy, load_policy
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.failures import writing

SIGHTS = 4


def reported(entry: ModelEntry, other: ModelEntry | None, settings: Settings) -> tuple[Comparison, str]:
    """What the comparison says, and the path of its page. Leaves page and JSON in the version's report folder."""
    own = measured(entry, settings)
    theirs = measured(other, settings) if other is not None else None
    policy: ReleasePolicy = load_policy(settings.models_dir, entry.card.name)
    comparison = compare(
        (entry.label, list(own.scores)),
        (theirs.label, list(theirs.scores)) if theirs else None,
        policy.golden,
        is_stylised=entry.card.kind == "style",
    )
    folder = report_folder(settings.state_dir, entry)
    page = render(
        comparison,
        _sights(comparison, entry, other, settings),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=_facts(own, policy),
    )
    with writing(folder):
        write_text(folder / "release.html", page)
        write_text(folder / "release.json", json.dumps(comparison.model_dump(mode="json"), indent=1))
    return comparison, str(folder / "release.html")


def _facts(own: GoldenRecord, policy: ReleasePolicy) -> dict[str, str]:
    margins = policy.golden.model_dump()
    return {"Device": own.device, **{name.replace("_", " "): f"{value:g}" for name, value in margins.items()}}


def _sights(comparison: Comparison, entry: ModelEntry, other: ModelEntry | None, settings: Settings) -> list[Sight]:
    """The scenes that speak loudest: where the version stays furthest behind, and the worst compressed ones."""
    rows = sorted(comparison.rows, key=lambda row: row.worst_difference)[:SIGHTS]
    sights = []
    for row in rows:
        item = next(
            item
            for item in items_of(row.scale)
            if (item.degradation, item.scene.name) == (row.degradation, row.worst_scene)
        )
        with upscaler(entry, row.scale, settings) as upscale:
            source, candidate, truth = figures_of(item, upscale)
        production = None
        if other is not None and row.scale in other.card.scales:
            with upscaler(other, row.scale, settings) as upscale:
                production = figures_of(item, upscale)[1]
        beside = f"{row.worst_difference:+.2f} dB against {comparison.production or 'bicubic'}"
        sights.append(
            sight(f"{row.title}, {row.worst_scene}, scale {row.scale}", beside, source, candidate, production, truth)
        )
    return sights
