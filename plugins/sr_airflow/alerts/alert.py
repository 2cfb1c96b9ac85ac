"""What an alert says, and which alerts belong together. Data alone; sends and stores nothing."""

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    FAILED = "failed"
    REFUSED = "refused"
    """The quality gate, or a person, said no."""
    REVIEW = "review"
    DEADLINE = "deadline"
    DAG = "dag"
    """A run of another Dag than that of the jobs failed."""
    ASIDE = "aside"
    """A message or a file that asks for no job that can be done."""
    RECOVERED = "recovered"
    SUMMARY = "summary"
    DONE = "done"
    """A job delivered its output."""


class Audience(StrEnum):
    OPERATIONS = "operations"
    REVIEWERS = "reviewers"
    REQUESTERS = "requesters"
    """Who wants to know that jobs are done."""


REFUSALS = frozenset({"QUALITY_REFUSED", "REVIEW_REJECTED"})
OPENING = frozenset({Kind.FAILED, Kind.REFUSED, Kind.DEADLINE, Kind.DAG})
"""Kinds after which a success of the same job or Dag is worth telling."""


class Alert(BaseModel):
    """One thing to tell. Texts are as written by the program: who renders them escapes them."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    dag: str = ""
    """The Dag, where it is not the one of the jobs."""
    job_id: str = ""
    """Of the job; with `dag`, of that Dag's run, or of the message."""
    run: str = ""
    """Tells one run of the job from the next: an alert of a kind is sent once in each."""
    message: str
    hint: str = ""
    code: str = ""
    fingerprint: str = ""
    step: str = ""
    chunk: int | None = None
    model: str = ""
    job_url: str = ""
    log_url: str = ""
    report: str = ""
    output: str = ""
    """Where the finished video is, of a job that is done."""
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.dag}:{self.job_id}:{self.run}"

    @property
    def group(self) -> str:
        """Alerts with the same cause and model version, or Dag, share a group; each summary is its own."""
        if self.kind is Kind.SUMMARY:
            return self.key
        return f"{self.kind}:{self.dag}:{self.code}:{self.model}"

    @property
    def subject(self) -> str:
        """The job or the Dag whose success settles this."""
        return f"dag {self.dag}" if self.dag else self.job_id

    @property
    def audience(self) -> Audience:
        by_kind = {Kind.REVIEW: Audience.REVIEWERS, Kind.DONE: Audience.REQUESTERS}
        return by_kind.get(self.kind, Audience.OPERATIONS)

    @property
    def where(self) -> str:
        return self.step if self.chunk is None else f"{self.step}, chunk {self.chunk}"
