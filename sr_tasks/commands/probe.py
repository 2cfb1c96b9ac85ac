"""`probe`: say what a file is, or with `--plan` what a job would make of it."""

import argparse
import json
from typing import Any

from sr_tasks.commands.arguments import common, table
from sr_tasks.config import Settings
from sr_tasks.jobs.options import add_options, given
from sr_tasks.jobs.spec import job_spec


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Hook the verb `probe` into a command line."""
    probe = commands.add_parser("probe", help="say what a file is, or what a job would make of it")
    probe.add_argument("source", metavar="INPUT", help="a path, file:///... or s3://bucket/key")
    probe.add_argument("--plan", action="store_true", help="show what becomes of the picture and of every stream")
    probe.add_argument("--output", metavar="OUTPUT", help="with --plan, for this output; default: beside the input")
    add_options(probe)
    common(probe, _probe, _describe)


def _probe(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.demux.timeline import temporary_table
    from sr_tasks.media.probe import glance, probe
    from sr_tasks.pictures.kinds import format_of
    from sr_tasks.records.media import ReadOptions
    from sr_tasks.steps.shared import still
    from sr_tasks.storage import transfer, uris

    if args.plan:
        from sr_tasks.steps.preview import preview

        return preview(job_spec(given(args)), settings)
    location = uris.parse(args.source, settings)
    transfer.stat(location, settings)
    path = transfer.fetch(location, settings.workdir / "fetched", settings)
    if format_of(path) is not None:
        return still.facts_within(path, settings).model_dump(mode="json")
    wish = job_spec(given(args))
    options = ReadOptions(fps=wish.fps, program=wish.program)
    glance(path, max_pixels=settings.max_pixels, options=options)
    with temporary_table() as table_of_frames:
        facts: dict[str, Any] = probe(path, options=options, table=table_of_frames).model_dump(mode="json")
    facts["picture"]["table"] = ""
    return facts


def _describe(result: dict[str, Any]) -> str:
    if "rehearsal" not in result:
        return json.dumps(result, indent=2)
    picture = {**result["picture"], "notes": "; ".join(result["picture"]["notes"]) or "none"}
    parts = [f"{result['source']} -> {result['output']}", table(("picture", ""), list(picture.items()))]
    if result["repairs"]:
        repairs = [(row["kind"], str(row["count"]), row["what"]) for row in result["repairs"]]
        parts.append(table(("repair", "count", "what"), repairs))
    rows = [
        (str(row["source_index"]), row["type"], row["codec"], row["language"], row["fate"], row["reason"])
        for row in result["streams"]
    ]
    parts.append(table(("stream", "type", "codec", "language", "fate", "reason"), rows))
    if result["rehearsal"] is None:
        return "\n\n".join(parts)
    tried = ", ".join(f"{place['frames']} frames at {place['start_s']:g} s" for place in result["rehearsal"]["places"])
    changed = "; ".join(result["rehearsal"]["changed"]) or "all came out as planned"
    return "\n\n".join([*parts, f"Rehearsed: {tried}; {changed}.", f"Forecast: {result['forecast']}."])
