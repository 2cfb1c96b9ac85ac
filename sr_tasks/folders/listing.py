"""A folder or prefix of pictures on disk: which files it has, in which groups, and what became of each.

A group is a file of JSON lines, `files/007.jsonl`, with a ledger, `results/007.jsonl`. A ledger is only added to.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from sr_tasks.arrivals.files import listed, plain
from sr_tasks.config import Settings
from sr_tasks.errors import InputRefused, UriNotAllowed, UsageError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.containers import TARGETS
from sr_tasks.records.folders import GROUPS, FolderRecord, PictureFile, PictureOutcome, shard_count
from sr_tasks.records.pictures import FALLBACK_SUFFIX, PICTURE_FORMATS, PICTURE_SUFFIXES
from sr_tasks.steps.shared.still import suffix_beside
from sr_tasks.storage import uris
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.uris import LocalFile, Location

MANIFEST, REPORT = "pictures.manifest.json", "pictures.report.html"
"""Names of the two files that the job adds to the output folder."""


def is_folder(address: str) -> bool:
    """Whether an address names a folder or a prefix: it ends in a slash, or is a folder of this machine."""
    return address.endswith("/") or Path(address).is_dir()


def folders_of(spec: JobSpec, settings: Settings) -> tuple[str, str]:
    """The addresses of the source folder and of the output folder, each with a slash at its end.

    Without an output: beside the source, with `_x2` in its name. Raises UriNotAllowed, and UsageError where one lies in
    the other. An output that is named as a file is no folder.
    """
    source = _address(spec.source, settings)
    if spec.output and _names_a_file(spec.output):
        raise UriNotAllowed(
            f"The source is a folder, and the output {spec.output!r} names a file.", hint="Name an output folder."
        )
    output = _address(spec.output or f"{source.rstrip('/')}_{spec.size_name}", settings)
    if output.startswith(source) or source.startswith(output):
        raise UsageError(
            f"The output folder {output} and the source folder {source} lie in each other.",
            hint="Name an output folder beside the source.",
        )
    return source, output


def job_folder(spec: JobSpec, settings: Settings) -> JobFolder:
    """Where the job keeps its records: the same for the same two folders, whatever else is asked for."""
    digest = hashlib.sha256("\n".join(folders_of(spec, settings)).encode()).hexdigest()
    return JobFolder(settings.workdir, f"pictures-{digest[:32]}")


def list_files(spec: JobSpec, folder: JobFolder, settings: Settings) -> FolderRecord:
    """Write down every file of the source folder in its group; one file in memory at a time.

    Raises UriNotAllowed, InputUnreadable, StorageUnavailable, DiskFull.
    """
    source, output = folders_of(spec, settings)
    count = size_bytes = 0
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(replacing(group_path(folder, "files", group))) for group in range(GROUPS)]
        lines = [stack.enter_context(path.open("w", encoding="utf-8")) for path in targets]
        for found in listed(source, settings):
            location = uris.parse(found.uri, settings)
            target = _output_of(location, source, output, settings)
            file = PictureFile(uri=found.uri, output_uri=target, size_bytes=found.size_bytes)
            lines[group_of(found.uri)].write(file.model_dump_json() + "\n")
            count += 1
            size_bytes += found.size_bytes if location.suffix.lower() in PICTURE_SUFFIXES else 0
    return FolderRecord(source=source, output=output, files=count, size_bytes=size_bytes, shards=shard_count(count))


def group_of(uri: str) -> int:
    return int(hashlib.sha256(uri.encode()).hexdigest()[:8], 16) % GROUPS


def groups_of(shard: int, shards: int) -> range:
    return range(shard, GROUPS, shards)


def group_path(folder: JobFolder, kind: str, group: int) -> Path:
    return folder.path / kind / f"{group:03d}.jsonl"


def files_of(folder: JobFolder, group: int) -> Iterator[PictureFile]:
    with group_path(folder, "files", group).open(encoding="utf-8") as lines:
        yield from (PictureFile.model_validate_json(line) for line in lines)


class Ledger:
    """What became of the files of one group. A line that a crash cut short does not count."""

    def __init__(self, folder: JobFolder, group: int) -> None:
        self._path = group_path(folder, "results", group)
        self.outcomes: dict[str, PictureOutcome] = {}
        with contextlib.suppress(FileNotFoundError), self._path.open(encoding="utf-8") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    outcome = PictureOutcome.model_validate_json(line)
                    self.outcomes[outcome.uri] = outcome

    def add(self, outcome: PictureOutcome) -> None:
        """Write a line and flush it to disk. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(outcome.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.outcomes[outcome.uri] = outcome


def outcomes_of(folder: JobFolder) -> Iterator[PictureOutcome]:
    """What became of each file that was listed and looked at, one group in memory at a time."""
    for group in range(GROUPS):
        outcomes = Ledger(folder, group).outcomes
        yield from (outcomes[file.uri] for file in files_of(folder, group) if file.uri in outcomes)


def name_in(uri: str, folder: str, settings: Settings) -> str:
    """The name of a file below its folder, for people."""
    return os.fsencode(_text(uris.parse(uri, settings))[len(folder) :]).decode("utf-8", "replace")


def _output_of(location: Location, source: str, output: str, settings: Settings) -> str:
    """The same name below the output folder; with another suffix behind it where the picture's own is not written.
    Empty for a file that cannot be read, or whose output can have no such name: whoever works on it says why."""
    name = _text(location)[len(source) :]
    try:
        suffix = _suffix_beside(location)
        added = suffix if suffix is not None and suffix != location.suffix.lower() else ""
        return uris.parse(f"{output}{name}{added}", settings).uri
    except InputRefused as exc:
        logger.warning("{}", exc)
        return ""


def _suffix_beside(location: Location) -> str | None:
    """As for a picture by itself, but for a GIF of a bucket: here its bytes say later whether it moves."""
    if not isinstance(location, LocalFile) and location.suffix.lower() in PICTURE_FORMATS["GIF"].suffixes:
        return FALLBACK_SUFFIX
    return suffix_beside(location)


def _names_a_file(address: str) -> bool:
    return Path(address).suffix.lower() in (*TARGETS, *PICTURE_SUFFIXES) and not is_folder(address)


def _text(location: Location) -> str:
    return str(location.path) if isinstance(location, LocalFile) else location.uri


def _address(text: str, settings: Settings) -> str:
    """`/folder/` or `s3://bucket/prefix/`. Raises UsageError for an empty text, UriNotAllowed."""
    if not text.strip():
        raise UsageError("No source was given.", hint="Name a folder: a path, or s3://bucket/prefix/.")
    address = f"{plain(text).rstrip('/')}/"
    inside = uris.parse(f"{address}_", settings)
    return _text(inside)[:-1]
