"""Whether an output is what this deployment would make today, by the manifest beside it. Reads the source only where
its facts do not settle the question."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from sr_tasks.arrivals.files import Arrived
from sr_tasks.jobs.spec import AUTO, JobSpec

NOT_OF_THE_PICTURE = frozenset(
    {"source", "output", "overwrite", "gate", "review", "tenant", "priority", "deadline_minutes"}
)
"""Fields of a request that do not decide how its output looks."""


def why_stale(
    manifest: Mapping[str, Any],
    arrived: Arrived,
    spec: JobSpec,
    versions: Callable[[str], frozenset[str]],
    sha256: Callable[[], str] | None,
) -> str | None:
    """One clause that says what has changed, or None for an output that is up to date.

    `versions` gives those of a model that jobs get now (none for a model that is gone), `sha256` that of the source
    where it can be had cheaply. Raises KeyError, TypeError or ValueError for what is no manifest.
    """
    if _source_changed(manifest["source"], arrived, sha256):
        return "the source has changed"
    model, version = str(manifest["model"]["name"]), str(manifest["model"]["version"])
    wanted, _, pinned = spec.model.partition("@")
    if wanted not in (AUTO, model):
        return f"the model is to be {wanted}, not {model}"
    if version not in (frozenset({pinned}) if pinned else versions(model)):
        return f"version {version} of {model} is no longer what jobs get"
    changed = _changed_settings(manifest["request"], spec)
    return f"{', '.join(changed)} changed" if changed else None


def _source_changed(known: Mapping[str, Any], arrived: Arrived, sha256: Callable[[], str] | None) -> bool:
    if int(known["size_bytes"]) != arrived.size_bytes:
        return True
    if _version(str(known.get("identity", ""))) == _version(arrived.version):
        return False
    return sha256 is None or sha256() != known["sha256"]


def _version(identity: str) -> tuple[str, str]:
    """Size, and ETag or time of writing: the identity of a local file also names its disk, which may be another."""
    parts = identity.split("-") if '"' not in identity else identity.split("-", 1)
    return parts[0], parts[-1]


def _changed_settings(request: Mapping[str, Any], spec: JobSpec) -> list[str]:
    """Names of fields that decide the output and differ; `model` is compared by what it led to."""
    before = {name: value for name, value in request.items() if name in JobSpec.model_fields}
    try:
        then = JobSpec.model_validate(before).model_dump()
    except ValidationError:
        return ["the request"]
    now = spec.model_dump()
    return [name for name in now if name not in NOT_OF_THE_PICTURE | {"model"} and now[name] != then[name]]
