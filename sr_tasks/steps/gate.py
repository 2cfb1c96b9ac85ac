"""Step `gate`: says whether the finished file may be delivered, and writes the report either way."""

from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import IntegrityBroken, QualityRefused
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.quality.gate import judge
from sr_tasks.records.assessment import Assessment, Decision, IntegrityReport, Verdict
from sr_tasks.records.job import ModelRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import page
from sr_tasks.steps.shared.timing import timed
from sr_tasks.telemetry.statsd import Instruments


@timed(Task.GATE)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `verdict` and report.html in the job folder. `review` of the answer says whether a person is to decide.

    Raises IntegrityBroken for a file that is not what was planned, and QualityRefused for one past the model's limits,
    unless the request turned the gate off.
    """
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    proof = folder.load("integrity", IntegrityReport)
    grain, video = folder.load("model", ModelRecord).grain, source.media.video
    limits = Registry.of(settings).get(source.model).card.gate
    limits = limits.with_grain(max(grain.luma) if grain else 0.0, min(video.width, video.height))
    verdict = judge(folder.load("assessment", Assessment), proof, limits)
    folder.store("verdict", verdict)
    folder.forget("review")
    with Instruments(settings) as instruments:
        instruments.verdict_given(str(verdict.decision), source.model)
    page.write(folder, limits, settings)
    _refuse(verdict, proof, spec, folder)
    return {
        "decision": str(verdict.decision),
        "reasons": list(verdict.reasons),
        "review": _asks_a_person(verdict, spec),
    }


def _asks_a_person(verdict: Verdict, spec: JobSpec) -> bool:
    if not spec.gate or spec.review == "never":
        return False
    return spec.review == "always" or verdict.decision is Decision.NEEDS_REVIEW


def _refuse(verdict: Verdict, proof: IntegrityReport, spec: JobSpec, folder: JobFolder) -> None:
    if verdict.decision is not Decision.FAILED:
        return
    why = " ".join(verdict.reasons[:3])
    where = f"The report is kept: {folder.path / 'report.html'}."
    if not proof.ok:
        raise IntegrityBroken(f"The output is not what was planned. {why}", hint=where)
    if spec.gate:
        raise QualityRefused(f"The output was not delivered. {why}", hint=f"{verdict.hint} {where}".strip())
    logger.warning("the gate is off; delivered although: {}", why)
