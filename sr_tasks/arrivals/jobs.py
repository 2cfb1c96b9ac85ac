"""The job a file becomes: its id, its request, its output's address. The one path that all arrivals go. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sr_tasks.arrivals.files import Arrived, is_inside, plain
from sr_tasks.arrivals.rules import Watch
from sr_tasks.config import Settings
from sr_tasks.jobs.naming import filled
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.containers import holds
from sr_tasks.records.pictures import FALLBACK_SUFFIX, PICTURE_SUFFIXES, WRITTEN_SUFFIXES
from sr_tasks.storage import uris


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of Airflow: a run of `upscale_video` with that id, once however often it is asked for."""

    job_id: str
    conf: dict[str, Any]


def watch_of(arrived: Arrived, watches: Iterable[Watch]) -> Watch | None:
    """The watch with the longest prefix that takes the file; None for a file of no interest."""
    taking = [watch for watch in watches if takes(watch, arrived)]
    return max(taking, key=lambda watch: len(watch.prefix), default=None)


def takes(watch: Watch, arrived: Arrived) -> bool:
    """Whether the file is one of the kind that the watch wants."""
    path = PurePosixPath(plain(arrived.uri))
    return (
        is_inside(arrived.uri, watch.prefix)
        and arrived.size_bytes > 0
        and not path.name.startswith(".")
        and path.suffix.lower() in watch.suffixes
    )


def job_of(arrived: Arrived, watch: Watch, settings: Settings) -> Job:
    """Raises UriNotAllowed if source or output lie where this deployment may not go."""
    spec = spec_of(arrived, watch, settings)
    given = spec.model_dump(mode="json", exclude_defaults=True)
    return Job(job_id=arrived.job_id, conf=given)


def spec_of(arrived: Arrived, watch: Watch, settings: Settings) -> JobSpec:
    source = uris.parse(arrived.uri, settings)
    output = uris.parse(_filled(arrived, watch), settings)
    return watch.spec(source.uri, output.uri)


def _filled(arrived: Arrived, watch: Watch) -> str:
    """The output's address. What cannot be written keeps its suffix in the name, so names stay apart."""
    below = _below(arrived.uri, watch.prefix)
    folder, slash, name = below.rpartition("/")
    path, spec = PurePosixPath(name), watch.spec("file")
    suffix = path.suffix
    if suffix.lower() in PICTURE_SUFFIXES:
        suffix += "" if suffix.lower() in WRITTEN_SUFFIXES else FALLBACK_SUFFIX
    elif not holds(suffix.lower(), spec.codec):
        suffix += spec.video_codec.suffix
    return filled(
        watch.output, spec, folder=f"{folder}{slash}", stem=path.stem, suffix=suffix, version=arrived.digest[:8]
    )


def _below(uri: str, prefix: str) -> str:
    """The part of an address behind its prefix, which for a folder is as somebody wrote it."""
    return plain(uri).removeprefix(plain(prefix))
