"""`models`: bring a model, look at it, prove it, and say which version jobs get. Work is done in the rooms below."""

import argparse
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sr_tasks.commands import catalogue
from sr_tasks.commands.arguments import common
from sr_tasks.commands.model_plot import plot_models
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.spec import job_spec
from sr_tasks.registry.channels import Channels
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.registry.routing import routes_table
from sr_tasks.storage import transfer, uris

REFERENCE = "NAME[@VERSION]"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Hook the verb `models` into a command line."""
    models = commands.add_parser("models", help="the registry: add, list, prove, release and retire models")
    verbs = models.add_subparsers(dest="models_verb", required=True, metavar="COMMAND")
    _add_bringing(verbs)
    _add_looking(verbs)
    _add_releasing(verbs)


def _add_bringing(verbs: "argparse._SubParsersAction[Any]") -> None:
    add = verbs.add_parser("add", help="make a weight file a version of a model")
    add.add_argument(
        "weights",
        metavar="WEIGHTS",
        help=".pth, .pt, .safetensors, .onnx or .param; s3://..., mlflow:/NAME/V, known:NAME",
    )
    add.add_argument("--name", metavar="N", help="needed unless the model is a known one")
    add.add_argument("--version", metavar="V", help="default: the next number")
    add.add_argument("--licence", metavar="L", help="SPDX expression; needed unless the card has it")
    add.add_argument("--source", metavar="URL", help="where the weights come from")
    add.add_argument("--card", metavar="FILE", help="YAML with what the file itself cannot tell")
    add.add_argument("--title", metavar="T")
    add.add_argument("--scale", type=int, metavar="S", help="default: as found in the weights")
    add.add_argument("--style", metavar="NAME", help="the model imitates this style")
    add.add_argument("--style-licence", metavar="L", help="SPDX expression of the style's own licence")
    add.add_argument(
        "--input", metavar="NAME=VALUE", action="append", default=[], help="constant of a further input of an .onnx"
    )
    add.add_argument("--channel-order", choices=("rgb", "bgr"), default="rgb", help="of an .onnx; default: rgb")
    add.add_argument("--value-range", choices=("auto", "1", "255"), default="auto", help="of an .onnx; default: auto")
    common(add, _add, lambda result: f"Added {result['model']}: {result['title']}, {result['summary']}.")

    export = verbs.add_parser("export", help="write a model's network as ONNX: floats in 0..1 in, the same out")
    export.add_argument("model", metavar=REFERENCE)
    export.add_argument("output", metavar="OUT.onnx", help="a path, file:///... or s3://bucket/key")
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    common(export, _export, lambda result: f"Wrote {result['output']} ({result['size_bytes']} bytes).")


def _add_looking(verbs: "argparse._SubParsersAction[Any]") -> None:
    known = verbs.add_parser("known", help="well-known networks that `models add known:NAME` brings")
    common(known, lambda args, settings: catalogue.known(settings), catalogue.describe_known)

    listing = verbs.add_parser("list", help="all models: versions, production, candidate, licence")
    listing.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw what each gains by what it costs")
    common(listing, _list, catalogue.describe_list)

    show = verbs.add_parser("show", help="one version: its card, its channels, the state of its files")
    show.add_argument("model", metavar=REFERENCE)
    common(show, lambda args, settings: catalogue.shown(args.model, settings), catalogue.describe_entry)

    routes = verbs.add_parser("routes", help="prove routing.yaml, and show which model `auto` leads to")
    common(routes, _routes, catalogue.describe_routes)

    verify = verbs.add_parser("verify", help="prove hash, form and prepared model on this machine")
    verify.add_argument("model", metavar=REFERENCE)
    common(verify, _verify, _describe_verified)

    bench = verbs.add_parser("bench", help="frames a second from planes to planes, beside bicubic")
    bench.add_argument("model", metavar=REFERENCE)
    bench.add_argument("--frame", default="640x360", metavar="WxH", help="of the source (default: 640x360)")
    bench.add_argument("--seconds", type=float, default=2.0, metavar="S", help="for each row (default: 2)")
    common(bench, _bench, catalogue.describe_bench)

    compare = verbs.add_parser("compare", help="the same places of a clip by several models, on one page")
    compare.add_argument("models", metavar=REFERENCE, nargs="+")
    compare.add_argument("--source", required=True, metavar="CLIP", help="a path, file:///... or s3://bucket/key")
    compare.add_argument("--scale", type=int, default=2, metavar="S", help="default: 2")
    compare.add_argument("--sheet", default="comparison.html", metavar="FILE", help="default: comparison.html")
    common(compare, _compare, catalogue.describe_comparison)

    golden = verbs.add_parser("golden", help="what models gain over bicubic on clips of your own")
    golden.add_argument("folder", metavar="DIR", type=Path, help="of clips; the better they are the more it tells")
    golden.add_argument("models", metavar=REFERENCE, nargs="+")
    golden.add_argument("--scale", type=int, default=2, metavar="S", help="default: 2")
    common(golden, _golden, catalogue.describe_golden)


def _add_releasing(verbs: "argparse._SubParsersAction[Any]") -> None:
    release = verbs.add_parser("release", help="measure a version, hold it against production, make it the candidate")
    release.add_argument("weights", metavar="WEIGHTS", nargs="?", default="", help="default: a version that is there")
    release.add_argument("--name", required=True, metavar="N")
    release.add_argument("--version", default="", metavar="V", help="default: the next number, or the newest there is")
    release.add_argument("--licence", default="", metavar="L", help="SPDX expression of weights that are brought")
    release.add_argument("--source", default="", metavar="URL", help="where the weights come from")
    release.add_argument("--share", type=float, default=0.1, metavar="0..1", help="of jobs that get it (default: 0.1)")
    release.add_argument("--shadow", type=float, default=0.0, metavar="0..1", help="of chunks it computes besides")
    release.add_argument("--policy", choices=("person", "auto"), default="person", help="who promotes it")
    common(release, _release, catalogue.describe_release)

    promote = verbs.add_parser("promote", help="make a version production: what jobs get")
    promote.add_argument("model", metavar="NAME@VERSION")
    _deciding(promote, _promote)

    candidate = verbs.add_parser("candidate", help="give a version to a share of jobs")
    candidate.add_argument("model", metavar="NAME@VERSION")
    candidate.add_argument("--share", type=float, required=True, metavar="0..1", help="of jobs that get it")
    candidate.add_argument(
        "--shadow", type=float, default=0.0, metavar="0..1", help="of chunks it computes besides, undelivered"
    )
    _deciding(candidate, _put_candidate)

    rollback = verbs.add_parser("rollback", help="withdraw the candidate, or go back to the production before")
    rollback.add_argument("model", metavar=REFERENCE, help="with a version: only if that is what would be taken back")
    _deciding(rollback, _roll_back)

    retire = verbs.add_parser("retire", help="let no new job have a version")
    retire.add_argument("model", metavar="NAME@VERSION")
    _deciding(retire, _retire)


def _deciding(parser: argparse.ArgumentParser, decide: Callable[[argparse.Namespace, Settings], Channels]) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the model's history")

    def command(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
        return {"model": args.model.partition("@")[0], **decide(args, settings).model_dump(mode="json")}

    common(parser, command, catalogue.describe_channels)


def _promote(args: argparse.Namespace, settings: Settings) -> Channels:
    return _ended("promote", args, settings) or Registry.of(settings).promote(
        args.model, by=_user(), reason=args.reason
    )


def _put_candidate(args: argparse.Namespace, settings: Settings) -> Channels:
    return Registry.of(settings).put_candidate(
        args.model, share=args.share, shadow=args.shadow, by=_user(), reason=args.reason
    )


def _roll_back(args: argparse.Namespace, settings: Settings) -> Channels:
    return _ended("rollback", args, settings) or Registry.of(settings).rollback(
        args.model, by=_user(), reason=args.reason
    )


def _retire(args: argparse.Namespace, settings: Settings) -> Channels:
    return Registry.of(settings).retire(args.model, by=_user(), reason=args.reason)


def _ended(decision: str, args: argparse.Namespace, settings: Settings) -> Channels | None:
    """The channels after a candidacy was ended, with the record that belongs to it; None if this is about none."""
    name, at, version = args.model.partition("@")
    candidate = Registry.of(settings).channels(name).candidate
    if candidate is None or version != candidate and (at or decision == "promote"):
        return None
    from sr_tasks.release import watch

    reasons = (args.reason or "A person decided.",)
    watch.decide(f"{name}@{candidate}", decision, _user(), reasons, settings)
    return Registry.of(settings).channels(name)


def _user() -> str:
    """Who decides: the name of the account, or its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _add(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.intake import known
    from sr_tasks.intake.add import add_model  # loads torch, which the other verbs do without
    from sr_tasks.intake.request import AddRequest

    name = args.name or (known.name_of(args.weights) if known.is_reference(args.weights) else "")
    if not name:
        raise UsageError("The model has no name.", hint="Give --name N.")
    request = AddRequest(
        name=name,
        version=args.version,
        licence=args.licence,
        source=args.source,
        card_path=args.card,
        title=args.title,
        scale=args.scale,
        style_name=args.style,
        style_licence=args.style_licence,
        channel_order=args.channel_order,
        value_range=args.value_range,
        inputs=_inputs(args.input),
    )
    entry = add_model(args.weights, request, Registry.of(settings), settings)
    return {"model": entry.label, "title": entry.card.title, "summary": _summary(entry), "folder": str(entry.folder)}


def _inputs(pairs: list[str]) -> dict[str, float]:
    """`NAME=VALUE` as a mapping. Raises UsageError for a value that is not a number."""
    found = {}
    for pair in pairs:
        name, _, value = pair.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError as exc:
            raise UsageError(f"--input {pair!r} does not give a number.", hint="Write it as NAME=VALUE.") from exc
    return found


def _summary(entry: ModelEntry) -> str:
    card = entry.card
    return f"{card.architecture}, {card.kind} of {card.color}, {card.scale}x, {card.parameters} parameters"


def _list(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    result = catalogue.listed(settings)
    if args.plot is None:
        return result
    points, missing = plot_models(args.plot, settings)
    return {**result, "plot": {"file": str(args.plot), "drawn": [one.label for one in points], "left_out": missing}}


def _routes(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    return {"routes": routes_table(settings)}


def _release(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.release.request import ReleaseRequest, release_request
    from sr_tasks.steps import release  # the runtimes load only for verbs that run a model

    request = release_request({name: getattr(args, name) for name in ReleaseRequest.model_fields})
    return release.run(request, _user(), settings)


def _export(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    entry = Registry.of(settings).get(args.model)
    if entry.card.weights is None:
        raise UsageError(f"The model {entry.label} is a formula and has no network to export.", hint="Name a network.")
    location = uris.parse(args.output, settings)
    if location.suffix.lower() != ".onnx":
        raise UsageError(f"{args.output!r} does not end in .onnx.", hint="What is written is an ONNX file.")
    weights = entry.locate_weights()
    transfer.deliver(weights, location, settings, overwrite=args.overwrite)
    return {
        "model": entry.label,
        "output": str(location),
        "sha256": entry.weights_sha256,
        "size_bytes": weights.stat().st_size,
    }


def _verify(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.commands.proof import verify  # the runtimes load only for verbs that run a model

    return verify(Registry.of(settings).get(args.model), settings)


def _bench(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    width, _, height = args.frame.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise UsageError(f"{args.frame!r} is no size of a frame.", hint="Write it as 640x360.")
    from sr_tasks.commands.speed import bench

    registry = Registry.of(settings)
    return bench(
        registry.get(args.model), registry, settings, width=int(width), height=int(height), seconds=args.seconds
    )


def _compare(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.steps.compare import compare

    spec = job_spec({"source": args.source, "scale": args.scale})
    return compare(args.models, spec, Path(args.sheet), settings)


def _golden(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from sr_tasks.steps.golden import golden

    return golden(args.models, args.folder, args.scale, settings)


def _describe_verified(result: dict[str, Any]) -> str:
    rows = [f"{'ok  ' if row['ok'] else 'FAIL'}  {row['check']}: {row['detail']}" for row in result["findings"]]
    return "\n".join([f"{result['model']} on {result['device']}", *rows])
