"""Step `gate`: says whether the finished file may be delivered, and writes the report either way."""

from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import IntegrityBroken, QualityRefused
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.models.registry import Registry
from sr_tasks.quality.gate import judge
from sr_tasks.quality.records import Assessment, Decision, IntegrityReport, Verdict
from sr_tasks.steps import page
from sr_tasks.steps.records import SourceRecord
from sr_tasks.steps.timing import timed
from sr_tasks.storage import uris
from sr_tasks.storage.atomic import write_text


@timed("gate")
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `verdict` and report.html in the job folder.

    Raises IntegrityBroken for a file that is not what was planned, and QualityRefused for one past the model's limits,
    unless the request turned the gate off.
    """
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    proof = folder.load("integrity", IntegrityReport)
    limits = Registry(settings.models_dir).get(source.model).card.gate
    verdict = judge(folder.load("assessment", Assessment), proof, limits)
    folder.store("verdict", verdict)
    write_text(
        folder.path / "report.html",
        page.render(folder, limits, uris.parse(source.uri, settings), uris.parse(source.output_uri, settings)),
    )
    _refuse(verdict, proof, spec, folder)
    return {"decision": str(verdict.decision), "reasons": list(verdict.reasons)}


def _refuse(verdict: Verdict, proof: IntegrityReport, spec: JobSpec, folder: JobFolder) -> None:
    if verdict.decision is Decision.PASSED:
        return
    why = " ".join(verdict.reasons[:3])
    where = f"The report is kept: {folder.path / 'report.html'}."
    if not proof.ok:
        raise IntegrityBroken(f"The output is not what was planned. {why}", hint=where)
    if spec.gate:
        raise QualityRefused(f"The output was not delivered. {why}", hint=f"{verdict.hint} {where}".strip())
    logger.warning("the gate is off; delivered although: {}", why)
