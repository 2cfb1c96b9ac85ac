"""What the REST API takes and answers: one set of records for the server and for the Python client. Data alone."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sr_tasks.jobs.ids import OWN_ID
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Status
from sr_tasks.jobs.view import JobView
from sr_tasks.records.cards import ModelCard

PREFIX: Final = "/enhance/api/v1"
"""Where the API begins, below the address of Airflow's server."""

_EXAMPLE: Final[dict[str, Any]] = {"source": "s3://archive/tape-1.mkv", "scale": 2, "codec": "hevc"}
_TIMES: Final = {
    "accepted_at": "2026-11-20T12:00:00Z", "started_at": "2026-11-20T12:00:02Z", "ended_at": None,
}  # fmt: skip
_SUMMARY: Final[dict[str, Any]] = {
    "job_id": "tape-1-x2-20261120T120000-ab12",
    "status": "PROCESSING",
    "phase": "upscaling 37/120",
    "source": "tape-1.mkv",
    "model": "quality-x2@2",
    "tenant": None,
    "priority": "normal",
    "created_by": "anna",
    "chunks": 120,
    "chunks_done": 37,
    **_TIMES,
}


class JobRequest(JobSpec):
    """A request for a job. All fields but `source` may be left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    source: str = Field(
        title="Source",
        description="The video to enhance: an absolute path, `file://...` or `s3://bucket/key`.",
        min_length=1,
        max_length=4096,
    )
    id: str | None = Field(
        default=None,
        title="Id",
        description="A name of your own for the job. The same request under it gives the same job again.",
        pattern=OWN_ID,
    )

    @property
    def spec(self) -> JobSpec:
        return JobSpec.model_validate(self.model_dump(exclude={"id"}))


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class JobSummary(_Answer):
    """One row of the list of jobs."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    job_id: str
    status: Status
    phase: str
    source: str
    """File name of the source."""
    model: str
    """`name@version` once it is chosen, before that as it was asked for."""
    tenant: str | None
    priority: str
    created_by: str
    """Name of the user; empty for a job that no person asked for."""
    chunks: int
    chunks_done: int
    accepted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


class JobPage(_Answer):
    """Jobs, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [_SUMMARY], "next_cursor": "MTI4"}]})

    jobs: list[JobSummary]
    next_cursor: str | None
    """Give it as `cursor` for the next page; null on the last one."""


class Links(_Answer):
    """Paths below the server's address. Null: there is none, or not yet."""

    self: str
    airflow: str
    """The page of the run in Airflow."""
    events: str
    report: str | None
    output: str | None
    manifest: str | None


class QualityFigures(_Answer):
    """The output against its source, at the source's size. The report has the rest."""

    psnr_mean: float
    """Of luma, in dB."""
    psnr_worst: float
    """Of the worst frame."""
    ssim_mean: float
    ssim_worst: float


class JobDetail(JobView):
    """Where a job stands and what came of it, with what was asked for."""

    request: JobSpec | None
    """Null if the run was not started with a request that can be read."""
    created_by: str
    quality: QualityFigures | None
    """Null before the output was measured."""
    cost: float | None
    """Device time at SR_DEVICE_HOUR_COST, in the deployment's currency; null before the frames are done or without
    a price."""
    links: Links


class Person(_Answer):
    """Who asks, and what Airflow lets them do here."""

    name: str
    may_submit: bool
    may_review: bool
    """Decide about doubtful outputs."""
    may_change_all: bool
    """Jobs of others too, as operators do."""


class ReportPicture(_Answer):
    """One region of one frame that the report shows. `/jobs/{id}/pictures/{number}/{view}` is the picture."""

    number: int
    reason: Literal["detailed", "worst"]
    frame: int
    """Counted from 0."""
    time_s: float


class WaitingReview(_Answer):
    """A job whose output waits for a person to decide."""

    job_id: str
    source: str
    """File name of the source."""
    model: str
    created_by: str
    reasons: tuple[str, ...]
    """A sentence for everything that speaks against the output; empty if the request asks for a look."""
    pictures: tuple[ReportPicture, ...]
    lapses_at: datetime | None
    lapses_to: str
    """What happens then: `approve` or `reject`."""


class ReviewAnswer(BaseModel):
    """What a person decides about an output."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"decision": "approve", "note": "as meant"}]}
    )

    decision: Literal["approve", "reject"]
    note: str = Field(default="", max_length=2000, description="Why, if you like; kept in the manifest.")


class ModelSummary(_Answer):
    """A model of the registry, as jobs get it."""

    name: str
    title: str
    kind: str
    scales: tuple[int, ...]
    licence: str
    intended_content: str
    relative_cost: float
    """Seconds a source megapixel takes, for comparison."""
    versions: tuple[str, ...]
    production: str
    candidate: str | None
    candidate_share: float
    """Of jobs that get the candidate, 0 to 1."""


class ModelDetail(_Answer):
    """One version of a model, and which versions jobs get."""

    card: ModelCard
    scales: tuple[int, ...]
    versions: tuple[str, ...]
    production: str
    candidate: str | None
    candidate_share: float
    retired: tuple[str, ...]

    def summary(self) -> ModelSummary:
        return ModelSummary.model_validate({**self.card.model_dump(), **self.model_dump(exclude={"card"})})


class UploadDetail(_Answer):
    """A file that arrives in pieces."""

    id: str
    name: str
    size_bytes: int
    received_bytes: int
    source: str | None
    """The address to name in a request for a job; null until the file is whole."""


class Health(_Answer):
    status: Literal["ok"]


class Stats(_Answer):
    """Jobs by where they stand."""

    waiting: int
    """PENDING now, whenever they were accepted."""
    working: int
    """PROCESSING now, whenever they were accepted."""
    hours: int
    accepted: dict[Status, int]
    """In the last `hours`, by status."""


class FieldError(_Answer):
    field: str
    message: str


class Problem(_Answer):
    """An error, as RFC 9457 says. `code` is of the error tree or of HTTP; `hint` says what to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no job 'tape-2'.",
                    "code": "NOT_FOUND",
                    "hint": "GET /jobs lists the jobs.",
                    "errors": [],
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""
    errors: list[FieldError] = []
    """Fields of the request that were not accepted."""
