"""Which version of a model jobs get: production, a candidate at a share of jobs, and what was decided when and by whom.

Data and pure transitions, and the file `<models_dir>/<name>/channels.yaml`. Knows no cards and no weights.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.records.loading import load_yaml
from sr_tasks.storage import locks
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.failures import writing

CHANNELS = "channels.yaml"
_LOCK = ".lock"
_WHOLE = 2**64

Action = Literal["start", "promote", "candidate", "rollback", "retire"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Change(_Strict):
    """One decision about a model's versions."""

    at: AwareDatetime
    action: Action
    version: str = Field(description="What the decision was about.")
    production: str = Field(description="What was production from then on.")
    by: str = Field(description="A person, or the rule that decided.")
    reason: str = ""


class Channels(_Strict):
    """The versions of one model that jobs are given. Every transition gives a new object, or this one if it changes
    nothing."""

    production: str
    candidate: str | None = None
    share: float = Field(default=0.0, ge=0.0, le=1.0, description="Of jobs that get the candidate.")
    shadow: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Of chunks that the candidate computes too, without delivering."
    )
    retired: tuple[str, ...] = ()
    history: tuple[Change, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.candidate is None and (self.share or self.shadow):
            raise ValueError(f"share {self.share:g} and shadow {self.shadow:g} need a candidate")
        if self.candidate == self.production:
            raise ValueError(f"version {self.production} is both production and candidate")
        for version in (self.production, self.candidate):
            if version in self.retired:
                raise ValueError(f"version {version} is retired and in use")
        return self

    @property
    def previous(self) -> str | None:
        """What a rollback of production goes back to: the production before, versions rolled back or retired since
        left out. None if there is none."""
        line: list[str] = []
        for change in self.history:
            if change.action == "rollback" and change.production in line:
                del line[len(line) - line[::-1].index(change.production) :]
            elif not line or line[-1] != change.production:
                line.append(change.production)
        earlier = [version for version in line[:-1] if version not in self.retired and version != self.production]
        return earlier[-1] if earlier else None

    def promoted(self, version: str, *, by: str, reason: str = "") -> Self:
        """`version` as production; a candidate of that version has thereby arrived. Raises UsageError if it is
        retired."""
        if version == self.production:
            return self
        self._refuse_retired(version)
        leaves = {"candidate": None, "share": 0.0, "shadow": 0.0} if version == self.candidate else {}
        return self._changed("promote", version, by, reason, production=version, **leaves)

    def with_candidate(self, version: str, *, share: float, shadow: float = 0.0, by: str, reason: str = "") -> Self:
        """`version` as the candidate, in place of another one. Raises UsageError for production itself, a retired
        version, and shares that are none."""
        for name, value in (("share", share), ("shadow", shadow)):
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"The {name} {value:g} is no share.", hint="Give a number from 0 to 1, as 0.1.")
        if version == self.production:
            raise UsageError(
                f"Version {version} is production already.", hint="A candidate is a version that is to take its place."
            )
        self._refuse_retired(version)
        if (version, share, shadow) == (self.candidate, self.share, self.shadow):
            return self
        return self._changed("candidate", version, by, reason, candidate=version, share=share, shadow=shadow)

    def rolled_back(self, version: str | None = None, *, by: str, reason: str = "") -> Self:
        """Without the candidate; where there is none, with the production before. With a `version` only if that is
        what would be taken back, so that the same alarm raised twice takes back one version. Raises UsageError if
        nothing was production before."""
        if version is not None and version not in (self.candidate, self.production):
            return self
        if self.candidate is not None and version in (None, self.candidate):
            return self._changed("rollback", self.candidate, by, reason, candidate=None, share=0.0, shadow=0.0)
        previous = self.previous
        if previous is None:
            raise UsageError(
                f"There is no candidate, and nothing was production before version {self.production}.",
                hint="Promote the version that is to be production.",
            )
        leaves = {"candidate": None, "share": 0.0, "shadow": 0.0} if previous == self.candidate else {}
        return self._changed("rollback", self.production, by, reason, production=previous, **leaves)

    def with_retired(self, version: str, *, by: str, reason: str = "") -> Self:
        """`version` out of reach of new jobs; a candidate is withdrawn by that. Raises UsageError for production."""
        if version in self.retired:
            return self
        if version == self.production:
            raise UsageError(
                f"Version {version} is production and cannot be retired.", hint="Promote another version first."
            )
        leaves = {"candidate": None, "share": 0.0, "shadow": 0.0} if version == self.candidate else {}
        return self._changed("retire", version, by, reason, retired=(*self.retired, version), **leaves)

    def version_for(self, name: str, job_id: str) -> str:
        """The candidate for its share of jobs, production for the others. The same job always gets the same."""
        if self.candidate is not None and is_drawn(self.share, name, self.candidate, job_id):
            return self.candidate
        return self.production

    def _refuse_retired(self, version: str) -> None:
        if version in self.retired:
            raise UsageError(f"Version {version} is retired.", hint="Add its weights as a new version.")

    def _changed(self, action: Action, version: str, by: str, reason: str, **fields: object) -> Self:
        changed = self.model_copy(update=fields)
        change = Change(
            at=datetime.now(UTC).replace(microsecond=0),
            action=action,
            version=version,
            production=changed.production,
            by=by,
            reason=reason,
        )
        return changed.model_copy(update={"history": (*self.history, change)})


def started(production: str, *, by: str, reason: str = "") -> Channels:
    """The first channels of a model."""
    return Channels(production=production)._changed("start", production, by, reason)


def is_drawn(share: float, *parts: str) -> bool:
    """Whether what `parts` name belongs to the `share` (0..1) that is drawn. The same parts always answer alike, and
    what is drawn at a share is drawn at every larger one."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * _WHOLE


def load_channels(folder: Path) -> Channels | None:
    """The channels of the model in `folder`, None if none were ever written. Raises ModelRejected."""
    path = folder / CHANNELS
    try:
        return load_yaml(path, Channels, ModelRejected, what="The channels", hint="Correct or restore the file.")
    except FileNotFoundError:
        return None


def store_channels(folder: Path, channels: Channels) -> None:
    """Raises DiskFull or TargetUnwritable."""
    text = yaml.safe_dump(channels.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
    with writing(folder / CHANNELS):
        write_text(folder / CHANNELS, text)


@contextmanager
def locked(models_dir: Path) -> Iterator[None]:
    """Keep every other process and thread from changing any model in `models_dir`, which is made if need be."""
    with ExitStack() as held:
        with writing(models_dir):
            held.enter_context(locks.locked(models_dir / _LOCK))
        yield
