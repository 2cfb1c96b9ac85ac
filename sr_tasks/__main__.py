"""The command line: the same steps without Airflow.

Exit codes: 0 done, 2 wrong usage, 3 input refused, 4 quality refused, 5 any other failure.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from loguru import logger

from sr_tasks.commands import models, probe, purge
from sr_tasks.commands import settings as settings_verb
from sr_tasks.commands.arguments import Parser, common
from sr_tasks.config import Settings
from sr_tasks.errors import JobCancelled, SrError, UsageError
from sr_tasks.jobs.options import add_options, given
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.records.beside import BESIDE
from sr_tasks.telemetry import logs, terminal
from sr_tasks.telemetry.progress import Event, JobEnded, Progress
from sr_tasks.telemetry.redaction import redacted

INTERNAL_HINT = "This is a fault of the program; run it with SR_LOG_LEVEL=DEBUG to see where it broke."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. A failure is one sentence, never a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        args = build_parser().parse_args(arguments)
        settings = _settings(args)
        logs.configure(settings)
        _STOP.clear()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, _cancelled)
        result = args.command(args, settings)
    except SrError as exc:
        return _failed(exc, as_json)
    except KeyboardInterrupt:
        stopped = JobCancelled("Stopped by the user.", hint="Finished chunks are kept; run it again to go on.")
        return _failed(stopped, as_json)
    except Exception as exc:
        logger.opt(exception=exc).debug("unexpected failure")
        return _failed(SrError(f"{type(exc).__name__}: {exc}.", hint=INTERNAL_HINT), as_json)
    return _printed(json.dumps(result) if as_json else args.describe(result), int(result.get("exit_code", 0)))


def _printed(text: str, exit_code: int) -> int:
    """Print the result. Whoever reads it may have enough of it before its end, as `head` has: that is no failure."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python would try to write the rest at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


def job_id_of(spec: JobSpec) -> str:
    """The same request has the same job id, so that a second run finds what the first one left."""
    digest = hashlib.sha256(f"{Path.cwd()}\n{spec.model_dump_json()}".encode()).hexdigest()
    return f"cli-{digest[:16]}"


def _enhance(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.demux.timeline import temporary_table
    from sr_tasks.folders.listing import is_folder
    from sr_tasks.steps import validate
    from sr_tasks.steps.shared.inspection import inspect_ahead

    spec = spec_from(args)
    if is_folder(spec.source):
        from sr_tasks.folders import job

        return job.run(spec, settings, _Stoppable(terminal.for_stream(sys.stderr)))
    job_id = job_id_of(spec)
    spec = validate.continued(spec, job_id, settings)
    with temporary_table() as table:
        inspection = inspect_ahead(spec, settings, table=table)

        from sr_tasks.steps import pipeline  # the runtimes load only for a job that is not refused

        return pipeline.run(spec, job_id, settings, _Stoppable(terminal.for_stream(sys.stderr)), inspection)


def spec_from(args: argparse.Namespace) -> JobSpec:
    """Raises UsageError naming the field that is wrong."""
    return job_spec(given(args))


def _verify(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.steps.verify import verify

    return verify(args.source, args.output, args.model, settings, terminal.for_stream(sys.stderr))


def _train(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.training import photo_train, train
    from sr_tasks.training.style import train as style_train
    from sr_tasks.training.style.recipe import is_style_recipe

    recipes, out = [Path(recipe) for recipe in args.recipe], Path(args.out)
    if args.photos is not None and len(recipes) == 1 and args.device == "cpu" and _is_told_a_level(recipes[0]):
        train.run(recipes[0], out, resume=args.resume, photos=Path(args.photos), seconds=args.seconds)
        return {"out": args.out}
    if args.photos is not None:
        options = photo_train.Options(
            photos=Path(args.photos), device=args.device, resume=args.resume, seconds=args.seconds
        )
        photo_train.run_all(recipes, out, options)
        return {"out": args.out}
    if len(recipes) > 1 or args.device != "cpu" or args.seconds is not None:
        raise UsageError(
            "Several recipes, --device and --seconds are for recipes with photographs.", hint="Give --photos DIR."
        )
    run = style_train.run if is_style_recipe(recipes[0]) else train.run
    run(recipes[0], out, resume=args.resume)
    return {"out": args.out}


def _is_told_a_level(recipe: Path) -> bool:
    from sr_tasks.training.recipe import load_recipe

    return load_recipe(recipe).degradation is not None


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(prog="python -m sr_tasks", description="Enhance videos, and prove that nothing else changed.")
    commands = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    enhance = commands.add_parser("enhance", help="enlarge a video or picture and deliver it if its quality is proved")
    enhance.add_argument(
        "source", metavar="INPUT", help="a path, file:///... or s3://bucket/key; or a folder/ of pictures"
    )
    enhance.add_argument("output", metavar="OUTPUT", nargs="?", help="default: beside the input, with _x2")
    add_options(enhance)
    common(enhance, _enhance, _describe_enhanced)

    probe.add_to(commands)
    verify = commands.add_parser("verify", help="prove integrity and quality of an output against its source")
    verify.add_argument("source", metavar="SOURCE")
    verify.add_argument("output", metavar="OUTPUT")
    verify.add_argument("--model", metavar="NAME", default="compact-x2", help="whose limits to judge by")
    common(verify, _verify, _describe_verified)

    train = commands.add_parser("train", help="train a model from a recipe")
    train.add_argument("recipe", metavar="RECIPE", nargs="+", help="several train side by side, if with photographs")
    train.add_argument("--photos", metavar="DIR", help="of the photographs, with their photos.csv")
    train.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    train.add_argument("--seconds", type=float, metavar="S", help="end after this time: the schedule follows the clock")
    train.add_argument("--out", metavar="DIR", default="out/training")
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    common(train, _train, lambda result: f"Trained into {result['out']}.")
    models.add_to(commands)
    purge.add_to(commands)
    settings_verb.add_to(commands)
    return parser


def _settings(args: argparse.Namespace) -> Settings:
    settings = Settings.from_env()
    if sys.stderr.isatty() and "SR_LOG_LEVEL" not in os.environ:
        settings = dataclasses.replace(settings, log_level="WARNING")  # the bar says the rest
    if args.workdir:
        settings = dataclasses.replace(settings, workdir=Path(args.workdir).absolute())
    return settings


def _describe_enhanced(result: dict[str, Any]) -> str:
    if "pictures" in result:
        told = ", ".join(f"{count} {status}" for status, count in result["pictures"].items())
        done = f"{told} ({result['resumed']} were done before)"
    else:
        what = "a picture" if result["is_still"] else f"{result['frames']} frames"
        done = f"{what} at {result['width']}x{result['height']}"
    files = [name for name in ("output", "report", "manifest", *BESIDE) if name in result]
    rows = [f"  {name.replace('_', ' '):<9} {result[name]}" for name in files]
    return "\n".join([f"Done: {done} in {result['seconds']} s.", *rows])


def _describe_verified(result: dict[str, Any]) -> str:
    rows = [f"{'ok  ' if row['ok'] else 'FAIL'}  {row['check']}: {row['detail']}" for row in result["findings"]]
    return "\n".join([*rows, f"Verdict: {result['verdict']}.", *(f"  {reason}" for reason in result["reasons"])])


def _failed(error: SrError, as_json: bool) -> int:
    message, hint = redacted(error.message), redacted(error.hint)
    if as_json:
        told = {**error.as_dict(), "message": message, "hint": hint}
        print(json.dumps({"status": "FAILED", "error": told}))
    print(f"{error.code}: {message}" + (f"\n  {hint}" if hint else ""), file=sys.stderr)
    return error.exit_code


_STOP: Final = threading.Event()
"""Set once a signal asked the program to stop."""


def _cancelled(number: int, frame: object) -> NoReturn:
    _STOP.set()
    raise KeyboardInterrupt


class _Stoppable:
    """Shows progress, and stops a job whose signal was lost: what Python raises while a library loads or calls back may
    be swallowed there."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def on_event(self, event: Event) -> None:
        if _STOP.is_set() and not isinstance(event, JobEnded):
            raise KeyboardInterrupt
        self._shown.on_event(event)


if __name__ == "__main__":
    sys.exit(main())
