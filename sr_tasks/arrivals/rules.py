"""The rules of arrivals: the YAML file that names watched prefixes, archives and queues. Reads that one file."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sr_tasks.arrivals.files import is_inside
from sr_tasks.config import Settings
from sr_tasks.errors import SrError, UsageError
from sr_tasks.jobs.naming import FIELDS, template_fields
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.records.loading import load_yaml
from sr_tasks.records.pictures import PICTURE_FORMATS, PICTURE_SUFFIXES

_MAX_BYTES = 1 << 20
_OF_THE_FILE = frozenset({"source", "output", "overwrite"})
_SUFFIXES = (".mp4", ".mov", ".mkv", ".m4v", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mxf", ".wmv")
_STILLS = tuple(suffix for suffix in PICTURE_SUFFIXES if suffix not in PICTURE_FORMATS["GIF"].suffixes)


def _is_prefix(text: str) -> str:
    if not text.endswith("/"):
        raise ValueError(f"{text!r} does not end with a slash, and would take its neighbours too")
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Watch(_Strict):
    """One prefix or folder whose files become jobs, and what kind of jobs."""

    prefix: Annotated[str, Field(max_length=1024), AfterValidator(_is_prefix)]
    """`s3://bucket/prefix/`, `file:///folder/` or a path; everything below it."""
    output: str = Field(max_length=4096)
    """Template of the outputs' addresses, with FIELDS in braces."""
    suffixes: tuple[str, ...] = _SUFFIXES + _STILLS
    settle_s: float = Field(default=30.0, ge=0)
    """A listed file is left alone until it has not been written to for that long."""
    job: dict[str, Any] = Field(default_factory=dict)
    """Fields of JobSpec for all jobs of this prefix."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        used = template_fields(self.output)
        if unknown := used - set(FIELDS):
            raise ValueError(f"output has an unknown field {min(unknown)!r}; there are {', '.join(FIELDS)}")
        if missing := {"stem", "suffix"} - used:
            raise ValueError(f"output {self.output!r} has no {{{max(missing)}}}: all files would share one output")
        if not_ours := _OF_THE_FILE & self.job.keys():
            raise ValueError(f"job may not set {min(not_ours)!r}, which follows from each file")
        self.spec("file")
        return self

    @property
    def keeps_apart(self) -> bool:
        """Whether no two files have the same output, so that an output may be replaced by its source's new version."""
        return "folder" in template_fields(self.output)

    @property
    def output_root(self) -> str:
        """The part of the template that is the same for all outputs, up to its last slash."""
        return re.split(r"[{}]", self.output, maxsplit=1)[0].rpartition("/")[0] + "/"

    def spec(self, source: str, output: str | None = None) -> JobSpec:
        """Raises ValueError for a `job` that is no JobSpec."""
        try:
            return job_spec({**self.job, "source": source, "output": output, "overwrite": self.keeps_apart})
        except SrError as exc:
            raise ValueError(f"job: {exc}") from exc


class Night(_Strict):
    """When the archives are enhanced, in which order, and how much a night may cost."""

    cron: str = "0 22 * * *"
    order: Literal["newest", "oldest"] = "newest"
    device_hours: float | None = Field(default=None, gt=0)
    money: float | None = Field(default=None, gt=0)
    """At SR_DEVICE_HOUR_COST an hour."""
    closes: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """`HH:MM` in UTC: no job is begun that would not end before."""
    at_once: int = Field(default=2, ge=1, le=100)
    """Jobs of the night that wait or run at a time; the others come behind, so that people's jobs get between."""
    device_s_per_mb: float = Field(default=60.0, gt=0)
    """Work a megabyte of source takes, until finished jobs have shown it."""


class Rules(_Strict):
    """The whole file."""

    uploads: tuple[Watch, ...] = ()
    archives: tuple[Watch, ...] = ()
    notifications: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Address of the SQS queue that buckets tell of new objects through."""
    listing_cron: str = "* * * * *"
    max_waiting: int = Field(default=40, ge=1)
    """Jobs of `upscale_video` that may wait or run before further files are left for a later listing. Below the 100
    runs that Airflow begins, so that a person's job takes its place among those that wait at once; and each one that
    waits keeps the scheduler busy, at half a core for eighty of them."""
    night: Night = Night()

    @model_validator(mode="after")
    def _has_no_loop(self) -> Self:
        for watch in self.watches:
            for other in self.watches:
                if is_inside(watch.output_root, other.prefix) or is_inside(other.prefix, watch.output_root):
                    raise ValueError(
                        f"output {watch.output!r} may lie in the watched {other.prefix!r}: each output would become a "
                        "job of its own, without end"
                    )
        return self

    @model_validator(mode="after")
    def _archives_may_replace(self) -> Self:
        for watch in self.archives:
            if not watch.keeps_apart:
                raise ValueError(f"output {watch.output!r} of an archive has no {{folder}}: files would share outputs")
        return self

    @property
    def watches(self) -> tuple[Watch, ...]:
        return (*self.uploads, *self.archives)


def load(settings: Settings) -> Rules:
    """The rules of this deployment; without a file, rules that take nothing. Raises UsageError for what is wrong."""
    if not settings.arrivals_file:
        return Rules()
    path, hint = Path(settings.arrivals_file), "docs/arrivals.md has an example."
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path} is larger than {_MAX_BYTES} bytes.", hint="It should hold a few prefixes.")
        return load_yaml(path, Rules, UsageError, what="The file of SR_ARRIVALS_FILE,", hint=hint)
    except OSError as exc:
        raise UsageError(f"SR_ARRIVALS_FILE={str(path)!r} cannot be read: {exc}.", hint=hint) from exc
