"""Puts a version into the registry's folder, whole or not at all. Knows no channels and parses no weights."""

import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, ModelInvalid, UsageError, VersionExists
from sr_tasks.records.cards import ModelCard, Weights, load_card
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.atomic import is_stale, sync, write_text
from sr_tasks.storage.failures import reading, writing
from sr_tasks.storage.hashing import sha256_file

CARD = "card.yaml"
BESIDE_MAX_BYTES = 32 << 20
"""Larger files are kept in the deployment's store, if it has one: the registry's folder is meant for git."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_RESERVED = frozenset({"auto", "recipes"})
_DRAFT = ".draft-"
_STORED = "weights"
_NOT_OF_THE_VERSION: dict[str, bool | set[str]] = {
    "relative_cost": True,
    "speed": True,
    "weights": {"uri"},
    "original": {"uri"},
}
"""What a card says of the machine and the deployment it was written on."""


def require_fit(card: ModelCard, files: Mapping[str, Path]) -> None:
    """Raises UsageError for a name or version that cannot be asked for, or files that are not those of the card."""
    if not _NAME.fullmatch(card.name) or card.name in _RESERVED:
        raise UsageError(
            f"{card.name!r} cannot be the name of a model.",
            hint=f"Up to 64 small letters, digits, '.', '_' and '-'; not {' or '.join(sorted(_RESERVED))}.",
        )
    if not _VERSION.fullmatch(card.version):
        raise UsageError(
            f"{card.version!r} cannot be a version.", hint="Up to 32 small letters, digits, '.', '_' and '-'."
        )
    named = _named(card)
    beside = {one.file for one in named if not one.uri} | set(card.samples)
    for name in sorted({*files, *beside, *(one.file for one in named)}):
        if Path(name).name != name or name.startswith(".") or name == CARD:
            raise UsageError(f"{name!r} cannot lie beside a card.", hint="Name a file without a folder.")
    missing = sorted(beside - set(files))
    if missing:
        raise UsageError(
            f"The card of {card.name}@{card.version} names {missing[0]!r}, which was not given.",
            hint="Give every file that lies beside the card.",
        )


def stored(card: ModelCard, files: Mapping[str, Path], settings: Settings) -> tuple[ModelCard, dict[str, Path]]:
    """The card and the files that are to lie beside it, once its large ones were put into the deployment's store.

    The store keeps them by hash, so putting one again changes nothing. Raises ModelInvalid for a file that is not the
    one whose hash is in the card, InputNotFound, InputUnreadable, UriNotAllowed, TargetUnwritable, DiskFull,
    StorageUnavailable.
    """
    beside = dict(files)
    moved: dict[str, Weights] = {}
    for field in ("weights", "original"):
        named: Weights | None = getattr(card, field)
        if named is None or named.uri or not settings.store_uri or not _is_large(files[named.file]):
            continue
        _require_hash(files[named.file], named, card)
        uri = f"{settings.store_uri.rstrip('/')}/{_STORED}/{named.sha256}/{named.file}"
        location = uris.parse(uri, settings)
        transfer.deliver(files[named.file], location, settings, overwrite=False)
        moved[field] = named.model_copy(update={"uri": location.uri})
        beside.pop(named.file)
    return card.model_copy(update=moved), beside


def write_version(folder: Path, card: ModelCard, files: Mapping[str, Path]) -> None:
    """Make the version folder `folder` of `card` and copies of `files`, in one rename, under the model's lock.

    Raises ModelInvalid for a file that is not the one whose hash is in the card, InputNotFound, InputUnreadable,
    DiskFull and TargetUnwritable. Nothing is left behind then.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        draft = folder.with_name(f"{_DRAFT}{secrets.token_hex(6)}")
        try:
            draft.mkdir()
            for name, source in files.items():
                _copy(source, draft / name)
            for named in _named(card):
                if not named.uri:
                    _require_hash(draft / named.file, named, card)
            text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
            write_text(draft / CARD, text)
            os.rename(draft, folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            with suppress(OSError):  # it holds other versions
                folder.parent.rmdir()


def require_same(folder: Path, card: ModelCard, files: Mapping[str, Path]) -> None:
    """Raises VersionExists unless the version in `folder` is what would be written. Measured cost and speed, and where
    large files are kept, may differ: they say something of a deployment, not of the version."""
    if _of_the_version(load_card(folder / CARD)) != _of_the_version(card):
        raise _exists(card, "its card says something else")
    there = {path.name for path in folder.iterdir() if path.name != CARD}
    proved = {named.file for named in _named(card)}  # by their hashes, wherever they lie
    for name, source in files.items():
        if name in proved:
            _require_hash(source, next(one for one in _named(card) if one.file == name), card)
            continue
        with reading(source):
            if name not in there or sha256_file(folder / name) != sha256_file(source):
                raise _exists(card, f"{name} has other content")


def _of_the_version(card: ModelCard) -> dict[str, object]:
    return card.model_dump(exclude=_NOT_OF_THE_VERSION)


def _exists(card: ModelCard, why: str) -> VersionExists:
    return VersionExists(
        f"{card.name}@{card.version} was added before, and {why}.",
        hint="A version never changes: add this one under another version.",
    )


def _named(card: ModelCard) -> tuple[Weights, ...]:
    return tuple(one for one in (card.weights, card.original) if one is not None)


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise InputNotFound(f"There is no file {str(source)!r}.", hint="Check the path and its spelling.")
    shutil.copyfile(source, target)
    sync(target)


def _is_large(path: Path) -> bool:
    with reading(path):
        return path.stat().st_size > BESIDE_MAX_BYTES


def _require_hash(path: Path, named: Weights, card: ModelCard) -> None:
    with reading(path):
        found = sha256_file(path)
    if found != named.sha256:
        raise ModelInvalid(
            f"{named.file} has sha256 {found[:12]}..., the card of {card.name}@{card.version} says "
            f"{named.sha256[:12]}....",
            hint="Give the file the card was written for.",
        )


def _sweep(parent: Path) -> None:
    """Remove drafts of attempts that died."""
    for path in parent.iterdir():
        if path.name.startswith(_DRAFT) and is_stale(path):
            shutil.rmtree(path, ignore_errors=True)  # another process may be at the same
