"""Step `review`: what a person is asked about a doubtful output, and what follows from the answer. Asks nobody."""

import re
from dataclasses import dataclass

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import ReviewRejected
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.assessment import Assessment, Pictures, Verdict
from sr_tasks.records.job import OutputRecord, ReviewRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import page
from sr_tasks.steps.shared.comparison import figures
from sr_tasks.storage import uris

_FIGURES = {
    "psnr_db": "Mean PSNR, dB",
    "psnr_worst_frame_db": "PSNR of the worst frame, dB",
    "block_psnr_worst_db": "PSNR of the worst block, dB",
    "ssim": "Mean SSIM",
    "damaged_frames": "Frames damaged in the source",
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person is shown: a headline of plain text, and Markdown."""

    subject: str
    body: str


def question(job_id: str, settings: Settings, *, pages: str = "") -> Question:
    """`pages` is where the pages of the job begin for who is asked; without it the question names files alone.

    Raises IntegrityBroken if a step has left no record.
    """
    folder = JobFolder(settings.workdir, job_id)
    source, verdict = folder.load("source", SourceRecord), folder.load("verdict", Verdict)
    name = uris.parse(source.uri, settings).name
    reasons = verdict.reasons or ("Nothing speaks against it; the request asks for a person's look.",)
    measured = figures(folder.load("assessment", Assessment))
    output = folder.load("output", OutputRecord)
    lines = [
        f"`{_code(name)}` was enlarged by `{_code(source.model)}`. Approve it, and it is delivered to "
        f"`{_code(source.output_uri)}`; reject it, and the job fails and delivers nothing.",
        "",
        *(f"- {_plain(reason)}" for reason in reasons),
        "",
        *_pictures(folder, pages),
        "| Figure | Measured |",
        "| --- | --- |",
        *(f"| {label} | {measured[key]} |" for key, label in _FIGURES.items()),
        "",
        f"The report shows the worst frames beside the source: `{_code(str(folder.path / 'report.html'))}`. "
        f"The output itself: `{_code(output.path)}`.",
    ]
    return Question(subject=f"Deliver {' '.join(name.split())}?", body="\n".join(lines))


def _pictures(folder: JobFolder, pages: str) -> list[str]:
    """The worst frames side by side, as a table of pictures, and the way to the report."""
    if not pages:
        return []
    pairs = folder.load("pictures", Pictures).root
    shown = [(number, pair) for number, pair in enumerate(pairs) if pair.reason == "worst"]
    lines = ["| Worst places | Source, bicubic | Output |", "| --- | --- | --- |"] if shown else []
    for number, pair in shown:
        place = f"frame {pair.frame}, {pair.time_s:.2f} s"
        images = (f"![{of}, {place}]({pages}/pictures/{number}/{of})" for of in ("bicubic", "output"))
        lines.append(f"| {place} | {' | '.join(images)} |")
    return [*lines, "", f"[Open the report]({pages}/report)", ""]


def is_answered(job_id: str, settings: Settings) -> bool:
    """Whether a try that was lost had its answer already; nobody is asked the same twice. Raises ReviewRejected."""
    folder = JobFolder(settings.workdir, job_id)
    if not folder.has("review"):
        return False
    settle(job_id, folder.load("review", ReviewRecord), settings)
    return True


def settle(job_id: str, record: ReviewRecord, settings: Settings) -> None:
    """Leave `review` in the job folder and say it in the report. Raises ReviewRejected if the answer is no."""
    folder = JobFolder(settings.workdir, job_id)
    folder.store("review", record)
    source = folder.load("source", SourceRecord)
    page.write(folder, Registry.of(settings).get(source.model).card.gate, settings)
    logger.info("review: {}", record)
    if record.decision == "rejected":
        raise ReviewRejected(
            f"The output was not delivered. {record}.",
            hint="The finished file is kept for a while: clear the task `review` to be asked again. "
            f"The report: {folder.path / 'report.html'}.",
        )


def refuse_unseen(job_id: str, settings: Settings) -> None:
    """Where there is nobody to ask. Always raises ReviewRejected."""
    folder = JobFolder(settings.workdir, job_id)
    verdict = folder.load("verdict", Verdict)
    why = " ".join(verdict.reasons[:3]) or "The request asks for a person's look."
    raise ReviewRejected(
        f"The output is for a person to decide and was not delivered. {why}",
        hint=f"Look at {folder.path / 'report.html'}; with --review never the same output is delivered.",
    )


def _plain(text: str) -> str:
    """Markdown's own characters escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", text)


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
