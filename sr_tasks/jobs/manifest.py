"""Reads manifests, of this version and of every earlier one. Writes none, and never loads a codec or a runtime."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sr_tasks.errors import InputInvalid

SCHEMA_VERSION: Final = 2
"""1: the first. 2: `review` says who decided about a doubtful output, null where nobody was asked."""

_UPGRADES: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    1: lambda manifest: manifest | {"schema_version": 2, "review": None},
}
"""What makes a manifest of a version one of the next."""


def read(text: str | bytes, name: str = "the manifest") -> dict[str, Any]:
    """A manifest in the form of `SCHEMA_VERSION`. Raises InputInvalid for what is none, or one of a newer program."""
    try:
        manifest = json.loads(text)
    except ValueError as exc:
        raise InputInvalid(f"{name} is not JSON ({exc}).", hint="Restore it from a backup.") from exc
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputInvalid(f"{name} has no schema_version that is known: {version!r}.", hint="It is no manifest.")
    if version > SCHEMA_VERSION:
        raise InputInvalid(
            f"{name} has schema_version {version}; this program reads up to {SCHEMA_VERSION}.",
            hint="Read it with the newer version that wrote it.",
        )
    while version < SCHEMA_VERSION:
        manifest = _UPGRADES[version](manifest)
        version = int(manifest["schema_version"])
    return dict(manifest)
