"""`verify`: the assessment and the gate for any output and its source, without a job."""

from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import InputUnsupported
from sr_tasks.media.probe import glance, probe
from sr_tasks.quality.gate import judge
from sr_tasks.records.assessment import Decision
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared.comparison import compare, figures
from sr_tasks.storage import transfer, uris
from sr_tasks.streams.plan import plan_streams
from sr_tasks.telemetry.progress import Progress


def verify(source_text: str, output_text: str, model: str, settings: Settings, observer: Progress) -> dict[str, Any]:
    """Verdict, findings and figures; `exit_code` is 0 if it passed, else 4. Raises InputRefused errors."""
    source, output = _local(source_text, settings), _local(output_text, settings)
    with temporary_table() as table:
        return _verified(source, output, table, model, settings, observer)


def _verified(
    source: Path, output: Path, table: Path, model: str, settings: Settings, observer: Progress
) -> dict[str, Any]:
    entry = Registry.of(settings).get(model)
    source_info, output_info = probe(source, table=table), probe(output)
    scale = _scale(source_info, output_info)
    fates = _fates(source, output, source_info, output_info)
    assessment, proof, _ = compare(
        source, output, source_info, scale, fates, frozenset(), settings, observer,
        is_stylised=entry.card.kind == "style",
    )  # fmt: skip
    verdict = judge(assessment, proof, entry.card.gate)
    return {
        "verdict": str(verdict.decision),
        "reasons": list(verdict.reasons),
        "findings": [finding.model_dump() for finding in proof.findings],
        "quality": figures(assessment),
        "exit_code": 0 if verdict.decision is Decision.PASSED else 4,
    }


def _local(text: str, settings: Settings) -> Path:
    location = uris.parse(text, settings)
    transfer.stat(location, settings)
    path = transfer.fetch(location, settings.workdir / "fetched", settings)
    glance(path, max_pixels=settings.max_output_pixels)
    return path


def _scale(source: MediaInfo, output: MediaInfo) -> int:
    """Raises InputUnsupported unless the output is the source at a whole factor."""
    before, after = source.video, output.video
    scale = after.width // before.width
    if scale < 1 or (after.width, after.height) != (before.width * scale, before.height * scale):
        raise InputUnsupported(
            f"{after.width}x{after.height} is no whole multiple of {before.width}x{before.height}.",
            hint="Compare an output with the very source it was made of.",
        )
    return scale


def _fates(source: Path, output: Path, source_info: MediaInfo, output_info: MediaInfo) -> tuple[StreamPlan, ...]:
    """What the product would have done with each stream for an output of that suffix."""
    return tuple(plan_streams(source, source_info, output.suffix.lower(), output_info.video.codec))
