"""One group of the files of a folder: each file that is not done yet is enlarged, proved and delivered by itself."""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import (
    DeviceBusy,
    DiskFull,
    InputInvalid,
    InputNotFound,
    IntegrityBroken,
    QualityRefused,
    ReviewRejected,
    SrError,
    StorageUnavailable,
    TargetExists,
    UriNotAllowed,
)
from sr_tasks.folders.listing import Ledger, files_of
from sr_tasks.folders.sessions import Sessions
from sr_tasks.inference.resized import resized
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.pictures.kinds import format_of, format_of_head
from sr_tasks.quality.gate import judge
from sr_tasks.records.assessment import Assessment, Decision, IntegrityReport, Verdict
from sr_tasks.records.folders import PictureFile, PictureOutcome
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.pictures import PICTURE_SUFFIXES
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import still
from sr_tasks.steps.shared.fingerprint import CHUNK_CODE, code_version
from sr_tasks.steps.shared.sizes import refuse_large_source
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.storage.space import SpaceWatch
from sr_tasks.storage.uris import LocalFile, Location

_STOPS: Final = (DeviceBusy, DiskFull, StorageUnavailable)
"""What is no fault of a single picture: it ends the shard, which goes on where it was when it is run again."""
_NOT_DECIDING: Final = frozenset({"source", "output", "overwrite", "priority", "deadline_minutes"})
_FIGURES: Final = {"psnr_mean", "ssim_mean", "block_psnr_worst", "plane_shift_worst", "color_error_worst", "seam_worst"}

Looked = Callable[[JobSpec, Path, Path], SourceRecord]
"""Checks the request for one picture, as `validate` does: (request, scratch, path) -> its record."""


def settings_fingerprint(spec: JobSpec, settings: Settings) -> str:
    """sha256 over everything but the source that decides an output: request, models in use, precision, code."""
    registry = Registry.of(settings)
    channels = {name: registry.channels(name) for name in registry.names()}
    facts = {
        "request": spec.model_dump(mode="json", exclude=set(_NOT_DECIDING)),
        "models": {name: [one.production, one.candidate, one.share] for name, one in channels.items()},
        "device": [settings.backend, settings.precision],
        "code": code_version((*CHUNK_CODE, "pictures")),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Group:
    """The work on one group. `look` checks a picture as a job of its own would be checked."""

    def __init__(
        self, folder: JobFolder, number: int, spec: JobSpec, settings: Settings, sessions: Sessions, look: Looked
    ) -> None:
        self._folder, self._number, self._spec, self._settings = folder, number, spec, settings
        self._sessions, self._look = sessions, look
        self._fingerprint = settings_fingerprint(spec, settings)
        self._ledger = Ledger(folder, number)
        self._scratch = folder.path / "scratch" / f"{number:03d}"
        self._require_room = SpaceWatch(folder.path, settings.min_free_bytes)

    def run(self, on_picture: Callable[[PictureOutcome, bool], None]) -> None:
        """Work through the group; `on_picture` is told of each file and whether it was done before.

        Raises DeviceBusy, DiskFull and StorageUnavailable, and nothing for what is wrong with a single picture.
        """
        for file in files_of(self._folder, self._number):
            self._require_room()
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir(parents=True)
            done = self._done_before(file)
            if done is None:
                started = time.monotonic()
                outcome = self._outcome(file)
                outcome = outcome.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
                self._ledger.add(outcome)
                logger.info("{}: {} {}", file.uri, outcome.status, outcome.message)
            on_picture(done or self._ledger.outcomes[file.uri], done is not None)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _done_before(self, file: PictureFile) -> PictureOutcome | None:
        """The outcome of an earlier run, if source, settings and output are as they were then."""
        earlier = self._ledger.outcomes.get(file.uri)
        if earlier is None or earlier.status != "delivered" or earlier.settings != self._fingerprint:
            return None
        try:
            output = transfer.stat(uris.parse(earlier.output_uri, self._settings), self._settings)
            if output.identity != earlier.output_identity:
                return None
            is_same = transfer.stat(self._location(file), self._settings).identity == earlier.source_identity
            path = None if is_same else transfer.fetch(self._location(file), self._scratch, self._settings)
        except _STOPS:
            raise
        except SrError:
            return None
        return earlier if path is None or sha256_file(path) == earlier.source_sha256 else None

    def _outcome(self, file: PictureFile) -> PictureOutcome:
        try:
            return self._enhanced(file)
        except _STOPS:
            raise
        except SrError as exc:
            error = exc
        except Exception as exc:
            logger.opt(exception=exc).error("{} broke off", file.uri)
            error = SrError(f"{type(exc).__name__}: {exc}.", hint="This is a defect of the program.")
        return self._about(file, status="failed", code=error.code, message=str(error))

    def _enhanced(self, file: PictureFile) -> PictureOutcome:
        location = self._location(file)
        refuse_large_source(location, file.size_bytes, self._settings)
        is_worth_fetching = isinstance(location, LocalFile) or location.suffix.lower() in PICTURE_SUFFIXES
        path = transfer.fetch(location, self._scratch, self._settings) if is_worth_fetching else None
        if path is None or format_of(path) is None:
            return self._unsuitable(file, location, path)
        if not file.output_uri:
            raise UriNotAllowed(f"The output of {location.name} can have no such name.", hint="Rename the picture.")
        self._require_free(file)
        digest = sha256_file(path)
        request = self._spec.model_copy(update={"source": file.uri, "output": file.output_uri})
        source = self._look(request, self._scratch, path)
        entry, video = Registry.of(self._settings).get(source.model), source.media.video
        variant = source.variant(self._spec.network_scale(video, entry.card.scales), entry.card)
        session = self._sessions.get(entry, variant, video.width, video.height, strength=self._spec.strength)
        output = self._scratch / f"output{source.suffix}"
        sized = resized(session, variant, self._spec.output_size(video))
        still.enlarged_into(output, source, self._spec, sized)
        is_stylised = entry.card.kind == "style"
        assessment, proof, media = still.compare(source, output, self._spec, None, is_stylised=is_stylised)
        verdict = judge(assessment, proof, entry.card.gate)
        outcome = self._about(
            file,
            status="delivering",
            message=" ".join(verdict.reasons[:3]),
            source_identity=source.identity,
            source_sha256=digest,
            output_sha256=sha256_file(output),
            source_size=(video.width, video.height),
            output_size=(media.video.width, media.video.height),
            model=source.model,
            level=source.level,
            verdict=verdict.decision,
            psnr=round(assessment.psnr_mean, 3),
            figures=_figures(assessment),
        )
        try:
            self._refuse(verdict, proof)
        except SrError as exc:
            return outcome.model_copy(update={"status": "failed", "code": exc.code, "message": str(exc)})
        return self._delivered(outcome, output)

    def _require_free(self, file: PictureFile) -> None:
        """Raises TargetExists before any work. What a try that was killed may have delivered is compared later."""
        earlier = self._ledger.outcomes.get(file.uri)
        is_ours = earlier is not None and (earlier.status, earlier.settings) == ("delivering", self._fingerprint)
        if self._spec.overwrite or is_ours:
            return
        target = uris.parse(file.output_uri, self._settings)
        with contextlib.suppress(InputNotFound):
            transfer.stat(target, self._settings)
            raise TargetExists(f"{str(target)!r} exists already.", hint="Name another folder or allow overwriting.")

    def _refuse(self, verdict: Verdict, proof: IntegrityReport) -> None:
        why = " ".join(verdict.reasons[:3])
        if not proof.ok:
            raise IntegrityBroken(f"The output is not what was planned. {why}", hint=verdict.hint)
        if not self._spec.gate:
            return
        if verdict.decision is Decision.FAILED:
            raise QualityRefused(f"The output was not delivered. {why}", hint=verdict.hint)
        if verdict.decision is Decision.NEEDS_REVIEW and self._spec.review != "never":
            raise ReviewRejected(
                f"The output is doubtful and was not delivered. {why}", hint="With review=never it is delivered."
            )

    def _delivered(self, outcome: PictureOutcome, output: Path) -> PictureOutcome:
        """Put the picture in its place. The line before tells a later try that the file there is ours."""
        self._ledger.add(outcome)
        target = uris.parse(outcome.output_uri, self._settings)
        transfer.deliver(output, target, self._settings, overwrite=self._spec.overwrite, move=True)
        identity = transfer.stat(target, self._settings).identity
        return outcome.model_copy(update={"status": "delivered", "output_identity": identity})

    def _unsuitable(self, file: PictureFile, location: Location, path: Path | None) -> PictureOutcome:
        """For what is no still picture: only a file that is named as one is a failure."""
        is_animation = path is not None and _begins_like_a_picture(path)
        if location.suffix.lower() in PICTURE_SUFFIXES and not is_animation:
            raise InputInvalid(f"{location.name} is named as a picture, and its bytes are none.", hint="Find a copy.")
        kind = "is an animation" if is_animation else "is no still picture"
        return self._about(file, status="skipped", message=f"{location.name} {kind}; enhance a video by itself.")

    def _about(self, file: PictureFile, *, message: str = "", **facts: object) -> PictureOutcome:
        shown = message.encode("utf-8", "replace").decode()  # a name may hold bytes that are no text
        return PictureOutcome.model_validate(
            {**file.model_dump(), "settings": self._fingerprint, "message": shown, **facts}
        )

    def _location(self, file: PictureFile) -> Location:
        return uris.parse(file.uri, self._settings)


def _begins_like_a_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return format_of_head(file.read(64)) is not None


def _figures(assessment: Assessment) -> dict[str, float]:
    found = assessment.model_dump(include=_FIGURES)
    return {name: value["value"] if isinstance(value, dict) else value for name, value in found.items()}
