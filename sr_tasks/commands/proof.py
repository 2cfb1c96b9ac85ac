"""`models verify`: proves one version on this machine, from the hash of its weights to what the device computes."""

from typing import Any, Final

from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.form import form_problems
from sr_tasks.graphs.graph import build_graph
from sr_tasks.graphs.prepare import prepare
from sr_tasks.graphs.verify import Original
from sr_tasks.inference.backend import Backend, backend_for
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.registry import ModelEntry

WIDTH, HEIGHT = 640, 360
FAILED: Final = 4
"""Exit code: the model is there, and not what it should be."""


def verify(entry: ModelEntry, settings: Settings) -> dict[str, Any]:
    """Findings in the order they were made, and `exit_code` 0 if all are right; a finding that fails ends it.

    Every scale of the model is prepared as for 8-bit 4:2:0 video and left in the cache for jobs. Raises UsageError for
    a backend or a precision that cannot be had, and what fetching weights raises.
    """
    backend = backend_for(settings.backend)
    findings: list[dict[str, Any]] = []

    def found(check: str, detail: str, *, ok: bool = True) -> None:
        findings.append({"check": check, "ok": ok, "detail": detail})

    try:
        if entry.card.weights is not None:
            data = entry.read_weights()
            found("weights", f"{len(data)} bytes with the sha256 of the card")
            problems = form_problems(data, entry.card)
            found("form", "; ".join(problems) or "as every network of the registry has it", ok=not problems)
        if entry.card.original is not None:
            found("original", f"{entry.locate_original().name} has the sha256 of the card")
        if all(finding["ok"] for finding in findings):
            for scale in entry.card.scales:
                found(f"prepared for {scale}x", _prepared(entry, variant_of(entry, scale), backend, settings))
    except ModelRejected as exc:
        found("refused", str(exc), ok=False)
    passed = all(finding["ok"] for finding in findings)
    return {
        "model": entry.label,
        "device": backend.device,
        "passed": passed,
        "findings": findings,
        "exit_code": 0 if passed else FAILED,
    }


def variant_of(entry: ModelEntry, scale: int) -> GraphVariant:
    """8-bit 4:2:0 video in the colours of most video, without noise: what a model is tried with."""
    is_rgb = entry.card.color == "rgb"
    return GraphVariant(
        scale=scale,
        chroma="420",
        bit_depth=8,
        chroma_location=1,
        colorspace=1 if is_rgb else 0,
        color_range=1 if is_rgb else 0,
    )


def _prepared(entry: ModelEntry, variant: GraphVariant, backend: Backend, settings: Settings) -> str:
    prepared, is_hit = prepare(
        entry,
        variant,
        backend,
        settings.precision,
        settings.workdir / "models",
        width=WIDTH,
        height=HEIGHT,
        settings=settings,
    )
    graph = build_graph(entry, variant).SerializeToString(deterministic=True)
    deviation = Original(entry, variant, graph, width=WIDTH, height=HEIGHT).compare(prepared, backend)
    if not deviation.is_acceptable(prepared.precision, variant.bit_depth):
        raise ModelRejected(
            f"At {prepared.precision} it departs from its original: {deviation}.",
            hint="Remove the prepared model from the cache, and try another precision.",
        )
    origin = "found in the cache" if is_hit else "built now"
    return f"{prepared.precision} on {prepared.backend}: {deviation}; {origin}"
