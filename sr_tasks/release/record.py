"""What is kept of a release: what was begun, and how it ended. Small JSON files under `<state_dir>/releases/`."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sr_tasks.errors import IntegrityBroken
from sr_tasks.release.policy import ReleasePolicy
from sr_tasks.release.rule import Judgement
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.failures import writing

Kept = TypeVar("Kept", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begun(_Record):
    """A candidate that was put out, and the policy it is watched by."""

    name: str
    version: str
    at: AwareDatetime
    by: str
    share: float
    shadow: float
    policy: ReleasePolicy


class Ended(_Record):
    """What became of a candidate."""

    name: str
    version: str
    decision: Literal["rollback", "promote"]
    at: AwareDatetime
    by: str = Field(description="A person, or `rule`.")
    reasons: tuple[str, ...]
    production: str = Field(description="From then on.")
    judgement: Judgement | None = Field(default=None, description="The rule's figures at that moment.")


class ReleaseRecords:
    """`<state_dir>/releases/<name>/<version>/begun.json` and `ended.json`. Names come from the registry."""

    def __init__(self, state_dir: Path, name: str, version: str) -> None:
        self.folder = state_dir / "releases" / name / version

    def begin(self, begun: Begun) -> None:
        """Note that a candidate is out; an earlier end of the same version is history then."""
        with writing(self.folder):
            (self.folder / "ended.json").unlink(missing_ok=True)
            write_text(self.folder / "begun.json", begun.model_dump_json(indent=1))

    def end(self, ended: Ended) -> Path:
        path = self.folder / "ended.json"
        with writing(path):
            write_text(path, ended.model_dump_json(indent=1))
        return path

    def begun(self) -> Begun | None:
        return self._read("begun.json", Begun)

    def ended(self) -> Ended | None:
        return self._read("ended.json", Ended)

    def _read(self, file: str, kind: type[Kept]) -> Kept | None:
        path = self.folder / file
        try:
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as exc:
            raise IntegrityBroken(f"The record {path} cannot be read.", hint="Restore or remove the file.") from exc
