"""`purge`: clear scratch by hand. Touches the command line's own jobs alone: of Airflow's it cannot tell which run."""

import argparse
from typing import Any

from sr_tasks.commands.arguments import common
from sr_tasks.config import Settings

_OWN = "cli-"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Hook the verb `purge` into a command line."""
    purge = commands.add_parser("purge", help="clear scratch of what jobs that ended left; says what, unless confirmed")
    purge.add_argument("--confirm", action="store_true", help="remove it")
    purge.add_argument("--airflow-stopped", action="store_true", help="no Airflow runs on this scratch: its jobs too")
    common(purge, _purge, _describe)


def _purge(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.steps import purge

    is_live = (lambda job_id: False) if args.airflow_stopped else (lambda job_id: not job_id.startswith(_OWN))
    return purge.run(settings, is_live, confirm=args.confirm)


def _describe(result: dict[str, Any]) -> str:
    done = "Removed" if result["confirmed"] else "Would remove"
    rest = "" if result["confirmed"] else "\nAdd --confirm to remove it."
    listed = "".join(f"\n  {path}" for path in result["paths"])
    return f"{done} {result['items']} items, {result['bytes']} bytes; {result['kept_bytes']} bytes stay.{listed}{rest}"
