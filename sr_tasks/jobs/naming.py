"""The template of outputs' addresses: what a name in braces stands for, for arrivals and for single jobs. Pure."""

from string import Formatter
from typing import Final

from sr_tasks.jobs.spec import JobSpec

FIELDS: Final = ("folder", "stem", "suffix", "scale", "size", "version")
"""Of an output template: folder of the source below its prefix with its slash, name without suffix, suffix of the
output's container, scale, size or scale as in `1080p` or `x2`, and eight digits that change with the content."""
OF_ONE_JOB: Final = ("folder", "stem", "suffix", "scale", "size")
"""Those that the output of a single job may have. Its folder is that of the source, whole."""


def template_fields(template: str) -> set[str]:
    """Names in braces. Raises ValueError for a template that is none, or one with conversions or formats."""
    found = set()
    try:
        for _, name, form, conversion in Formatter().parse(template):
            if name is not None:
                found.add(name)
                if not name or form or conversion:
                    raise ValueError("braces that name no field")
    except ValueError as exc:
        raise ValueError(f"output {template!r}: {exc}") from exc
    return found


def filled(template: str, spec: JobSpec, *, folder: str, stem: str, suffix: str, version: str = "") -> str:
    """The address that a template gives."""
    return template.format(
        folder=folder, stem=stem, suffix=suffix, scale=spec.scale, size=spec.size_name, version=version
    )


def is_template(text: str) -> bool:
    """Whether an output that a request names is a template: other names may have braces too."""
    return any(f"{{{name}}}" in text for name in FIELDS)
