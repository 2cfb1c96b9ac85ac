"""Where a request's source lies and where its output goes: as it says, as its template says, or beside the source."""

import re
from typing import Final
from urllib.parse import quote

from sr_tasks.config import Settings
from sr_tasks.errors import TargetExists, UsageError
from sr_tasks.jobs.naming import OF_ONE_JOB, filled, is_template, template_fields
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.containers import TARGETS, holds
from sr_tasks.records.pictures import WRITTEN_SUFFIXES
from sr_tasks.records.purposes import PURPOSES
from sr_tasks.steps.shared.still import suffix_beside
from sr_tasks.storage import uris
from sr_tasks.storage.uris import LocalFile, Location

_NUMBERED: Final = re.compile(r"%0?[0-9]*d")
_NAMING = f"The fields are {', '.join(f'{{{name}}}' for name in OF_ONE_JOB)}."


def locations(spec: JobSpec, settings: Settings) -> tuple[Location, Location]:
    """Source and output of a request. An empty output means beside the source. Raises UriNotAllowed, TargetExists."""
    if not spec.source.strip():
        raise UsageError("No source was given.", hint="Name a video file: a path, file:///... or s3://bucket/key.")
    source = uris.parse(spec.source, settings)
    _refuse_sequence(source)
    asked = (spec.output or "").strip()
    output = uris.parse(asked, settings) if asked and not is_template(asked) else _named(spec, source, settings)
    if output == source:
        raise TargetExists(f"The output {output} is the source itself.", hint="Name another output.")
    if output.suffix.lower() not in {*TARGETS, *WRITTEN_SUFFIXES}:
        raise UsageError(
            f"The output {output.name!r} has no suffix of a container or picture that can be written.",
            hint=f"Use one of {', '.join((*TARGETS, *WRITTEN_SUFFIXES))}.",
        )
    return source, output


def _refuse_sequence(source: Location) -> None:
    """Raises UsageError for a pattern of numbered pictures, where no file has that very name."""
    if isinstance(source, LocalFile) and _NUMBERED.search(source.name) and not source.path.exists():
        raise UsageError(
            f"{source.name} stands for a sequence of numbered pictures, which is taken as a folder.",
            hint="Name the folder, for a folder of pictures; for a video, make one of them first: "
            f"ffmpeg -framerate 25 -i {source.name} -c:v ffv1 shot.mkv.",
        )


def _named(spec: JobSpec, source: Location, settings: Settings) -> Location:
    """The output as the request's template says, or beside the source."""
    suffix = PURPOSES[spec.purpose].suffix if spec.purpose in PURPOSES else source.suffix.lower()
    beside = suffix if holds(suffix, spec.codec) else spec.video_codec.suffix
    suffix = suffix_beside(source) or beside
    stem = source.name.removesuffix(source.suffix) if source.suffix else source.name
    template = (spec.output or "").strip()
    if not template:
        return source.with_name(f"{stem}_{spec.size_name}{suffix}")
    try:
        unknown = template_fields(template) - set(OF_ONE_JOB)
    except ValueError as exc:
        raise UsageError(f"{exc}.", hint=_NAMING) from exc
    if unknown:
        raise UsageError(f"output {template!r} has an unknown field {min(unknown)!r}.", hint=_NAMING)
    folder = f"{source.path.parent}/" if isinstance(source, LocalFile) else source.uri.removesuffix(source.name)
    if template.lower().startswith("file:"):
        folder, stem = quote(folder), quote(stem)
    return uris.parse(filled(template, spec, folder=folder, stem=stem, suffix=suffix), settings)
