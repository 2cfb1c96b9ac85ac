"""From a weight file to a version in the registry: fetch, recognise, convert, prove, measure, write. Or nothing."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import InputTooLarge, ModelRejected, UsageError
from sr_tasks.graphs.form import form_problems
from sr_tasks.graphs.network import Network
from sr_tasks.intake import carding, external, known, mlflow
from sr_tasks.intake.canonical import Canonical
from sr_tasks.intake.ncnn import file as ncnn_file
from sr_tasks.intake.onnx_file import convert_onnx
from sr_tasks.intake.proof import noise
from sr_tasks.intake.receptive import Sight, look
from sr_tasks.intake.request import AddRequest
from sr_tasks.intake.running import Runner
from sr_tasks.intake.sniff import Finding, sniff
from sr_tasks.records.cards import Level, ModelCard, Weights
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.atomic import is_stale
from sr_tasks.storage.failures import writing
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.storage.uris import LocalFile, Location

_SUFFIX = {"torch": ".pth", "safetensors": ".safetensors", "onnx": ".onnx", "ncnn": ".zip"}
_SCRATCH = "adding-"
_TIMED_PX = 160


def add_model(weights: str, request: AddRequest, registry: Registry, settings: Settings) -> ModelEntry:
    """Make a weight file a version of a model, and give the version.

    `weights` is a path, `file:///...`, `s3://bucket/key`, `mlflow:/name/version` or `known:name`. A .param of ncnn
    brings the .bin beside it, and an .onnx the files beside it that hold its weights. A file that was added before
    under this name, with nothing new said of it, is that version again. Raises UsageError for a request that lacks
    something or contradicts itself or the file, ModelInvalid for a file that cannot be used, ModelRejected if the
    network does not survive conversion, VersionExists, InputTooLarge, and what fetching raises. Nothing is left behind
    then.
    """
    stated = carding.read_card(request)
    if known.is_reference(weights):
        stated = known.known_model(weights, settings).card | stated
    fields = carding.said(request, stated)
    with writing(settings.workdir):
        settings.workdir.mkdir(parents=True, exist_ok=True)
        for dead in settings.workdir.glob(f"{_SCRATCH}*"):
            if is_stale(dead):
                shutil.rmtree(dead, ignore_errors=True)  # another process may be at the same
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=settings.workdir) as scratch:
        folder = Path(scratch)
        path, beside = _fetched(weights, folder, settings)
        finding = sniff(path, max_bytes=settings.max_weights_bytes)
        if finding.form == "onnx":
            path = external.packed(path, beside, folder, max_bytes=settings.max_weights_bytes)
        sha256 = sha256_file(path)
        if (earlier := _added_before(registry, fields, sha256)) is not None:
            logger.info("{} was added before from this very file", earlier.label)
            return earlier
        logger.info("{} is {}", path.name, finding.words)
        fields = {**fields, "version": str(fields.get("version") or _next_version(registry, request.name))}
        original = Weights(file=f"original{_SUFFIX[finding.form]}", sha256=sha256, uri="")
        return _registered(path, finding, original, folder, fields, request, registry, settings)


def _registered(
    path: Path,
    finding: Finding,
    original: Weights,
    folder: Path,
    fields: dict[str, Any],
    request: AddRequest,
    registry: Registry,
    settings: Settings,
) -> ModelEntry:
    level = carding.level_of(fields)
    network = _converted(path, finding, folder, request, level)
    run = Runner(network.data, threads=settings.worker_threads, level=level.max / 2 if level else 0.0)
    sight = look(
        run,
        channels=network.channels,
        scale=network.scale,
        multiple=network.multiple,
        minimum=network.minimum,
        fixed=network.fixed,
        is_global=network.is_global,
    )
    target = folder / f"{request.name}.onnx"
    with writing(target):
        target.write_bytes(network.data)
    card = carding.write_card(
        fields,
        network,
        sight,
        weights=Weights(file=target.name, sha256=sha256_file(target), uri=""),
        original=original,
        relative_cost=_cost(run, network, sight),
    )
    _require_form(network, card)
    files = {target.name: target, original.file: path, **carding.sample_files(card, request.card_path)}
    entry = registry.add(card, files)
    logger.info(
        "{}: {}, {} times, {}, tiles {} with {} px, {:.3f} 8-bit codes from the file",
        entry.label, card.architecture, card.scale, card.color, card.tiles.mode, card.tiles.halo,
        255 * network.departure,
    )  # fmt: skip
    return entry


def _fetched(weights: str, folder: Path, settings: Settings) -> tuple[Path, Callable[[str], Path]]:
    """The file on this machine, not larger than allowed; and what fetches another file from beside it, by name."""
    if known.is_reference(weights):
        location: Location = LocalFile(known.fetch(weights, folder, settings))
    else:
        if mlflow.is_reference(weights):
            weights = mlflow.fetch(weights, folder, settings)
        location = uris.parse(weights, settings)
    path = _one(location, folder, settings)

    def beside(name: str) -> Path:
        return _one(location.with_name(name), folder, settings)

    if not ncnn_file.is_param(path):
        return path, beside
    return ncnn_file.packed(path, beside(f"{Path(location.name).stem}.bin"), folder), beside


def _one(location: Location, folder: Path, settings: Settings) -> Path:
    facts = transfer.stat(location, settings)
    if facts.size_bytes > settings.max_weights_bytes:
        raise InputTooLarge(
            f"{str(location)!r} has {facts.size_bytes} bytes, allowed are {settings.max_weights_bytes}.",
            hint="Raise SR_MAX_WEIGHTS_BYTES if that is right.",
        )
    return transfer.fetch(location, folder, settings, facts)


def _converted(path: Path, finding: Finding, folder: Path, request: AddRequest, level: Level | None) -> Canonical:
    label = repr(path.name)
    if finding.form in ("onnx", "ncnn"):
        is_onnx = finding.form == "onnx"
        return convert_onnx(
            onnx.load_model(path, load_external_data=False) if is_onnx else ncnn_file.read_ncnn(path),
            label,
            inputs=request.inputs,
            channel_order=request.channel_order,
            value_range=request.value_range,
            level=level.max / 2 if level else 0.0,
        )
    if level is not None or request.channel_order != "rgb" or request.value_range != "auto" or request.inputs:
        raise UsageError(
            f"A level, inputs, an order of channels and a range belong to ONNX files, and {label} is {finding.words}.",
            hint="Leave them out.",
        )
    # torch takes seconds to load, and an ONNX file needs none of it.
    from sr_tasks.intake.export import export_torch
    from sr_tasks.intake.torch_file import load_torch

    return export_torch(load_torch(path, finding, folder), label)


def _require_form(network: Canonical, card: ModelCard) -> None:
    """What the graph builder will say of it, now and not when a job runs. Raises ModelRejected."""
    label = f"{card.name}@{card.version}"
    problems = form_problems(network.data, card)
    if problems:
        raise ModelRejected(
            f"The network of {label} is not of the form that is needed: {'; '.join(problems)}.",
            hint="Export it again, as a plain network from picture to picture.",
        )
    Network(network.data, label, channels=network.channels, level=0.0 if card.level else None)


def _cost(run: Runner, network: Canonical, sight: Sight) -> float:
    """Seconds that a source megapixel takes here, the better of two tries."""
    multiple = sight.tiling.multiple
    side = -(-max(_TIMED_PX, sight.tiling.minimum) // multiple) * multiple
    rows, columns = network.fixed or (side, side)
    picture = noise(network.channels, rows, columns)
    tries = []
    for _ in range(2):
        begun = time.perf_counter()
        run(picture)
        tries.append(time.perf_counter() - begun)
    return float(f"{min(tries) * 1e6 / (rows * columns):.3g}")


def _added_before(registry: Registry, fields: dict[str, Any], sha256: str) -> ModelEntry | None:
    """The version with this very file, if all that is said now is in its card."""
    name, asked = str(fields["name"]), fields.get("version")
    stated = {field: value for field, value in fields.items() if value is not None}
    for version in reversed(registry.versions(name)):
        entry = registry.get(f"{name}@{version}")
        card = entry.card
        if card.original is None or card.original.sha256 != sha256 or (asked and str(asked) != version):
            continue
        claimed = card.model_dump(mode="json")
        try:
            repeated = ModelCard.model_validate(claimed | stated | {"version": version})
        except ValueError:
            continue
        if repeated == card:
            return entry
    return None


def _next_version(registry: Registry, name: str) -> str:
    numbers = [int(version) for version in registry.versions(name) if version.isdecimal()]
    return str(max(numbers, default=0) + 1)
