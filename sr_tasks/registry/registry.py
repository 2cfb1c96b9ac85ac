"""The registry: which models there are, where their cards lie, and which version a job gets. Loads no runtime."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected, ModelUnknown, UsageError
from sr_tasks.records.cards import ModelCard, load_card
from sr_tasks.registry.channels import Channels, load_channels, locked, started, store_channels
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.licences import require_licence
from sr_tasks.registry.registration import CARD, require_fit, require_same, stored, write_version
from sr_tasks.registry.weights import WeightsCache, path_of

__all__ = ["CARD", "ModelEntry", "Registry"]

_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Registry:
    """The models under one folder: `<models_dir>/<name>/<version>/card.yaml`, and `<name>/channels.yaml`.

    `settings` say which licences and places are allowed; without them weights must lie beside their cards.
    """

    def __init__(self, models_dir: Path, settings: Settings | None = None) -> None:
        self._models_dir = models_dir
        self._settings = settings
        self._weights_cache = None if settings is None else WeightsCache.of(settings)

    @classmethod
    def of(cls, settings: Settings) -> "Registry":
        """The registry of a deployment."""
        return cls(settings.models_dir, settings)

    def names(self) -> tuple[str, ...]:
        """Every model that has a version, sorted."""
        return tuple(name for name in _folders(self._models_dir) if self.versions(name))

    def versions(self, name: str) -> tuple[str, ...]:
        """The versions of a model, oldest first; numbers in them compare as numbers. Empty for an unknown model."""
        if not _PART.fullmatch(name):
            return ()
        folder = self._models_dir / name
        found = [version for version in _folders(folder) if (folder / version / CARD).is_file()]
        return tuple(sorted(found, key=_numeric))

    def get(self, reference: str) -> ModelEntry:
        """The model called `name` (its production) or exactly `name@version`, retired or not.

        Raises ModelUnknown if there is none, ModelRejected if its card or its channels are not valid or do not fit
        their place.
        """
        name, at, version = reference.partition("@")
        if not at:
            return self._entry(name, self.channels(name).production)
        if version not in self.versions(name):
            raise self._unknown(reference, name)
        return self._entry(name, version)

    def resolve(self, reference: str, job_id: str) -> tuple[ModelEntry, str]:
        """The version that a new job gets, and why. For a bare name the candidate for its share of jobs, always the
        same for the same job; else production. Raises as `get`, and ModelUnknown for a retired version."""
        name, at, version = reference.partition("@")
        if at:
            entry = self.get(reference)
            if version in self.channels(name).retired:
                raise ModelUnknown(
                    f"The model {reference} was retired.", hint=f"Ask for {name}, or another version of it."
                )
            return entry, "asked for"
        channels = self.channels(name)
        version = channels.version_for(name, job_id)
        if version == channels.production:
            return self._entry(name, version), "production"
        return self._entry(name, version), f"candidate, which {100 * channels.share:g} % of jobs get"

    def entries(self) -> tuple[ModelEntry, ...]:
        """The production version of every model."""
        return tuple(self.get(name) for name in self.names())

    def channels(self, name: str) -> Channels:
        """What jobs that ask for `name` are given. A model whose channels were never written has its newest version
        as production. Raises ModelUnknown, ModelRejected."""
        versions = self.versions(name)
        if not versions:
            raise self._unknown(name, name)
        channels = self._stored(name)
        if channels is None:
            return Channels(production=versions[-1])
        for version in (channels.production, channels.candidate):
            if version is not None and version not in versions:
                raise ModelRejected(
                    f"The channels of {name} name version {version}, which is not there.",
                    hint=f"Restore it, or correct channels.yaml. There are: {', '.join(versions)}.",
                )
        return channels

    def add(self, card: ModelCard, files: Mapping[str, Path]) -> ModelEntry:
        """Add a version: copies of `files` (name beside the card -> where it is now) and its card, in one rename.

        The first version of a model is its production; a further one changes nothing for jobs until it is promoted or
        made a candidate. Large files go to the deployment's store, if it has one, and the card says where. Adding the
        same again changes nothing. Raises VersionExists if this version is there with other content, UsageError,
        ModelInvalid, InputNotFound, DiskFull and TargetUnwritable, and for the store what delivering raises.
        """
        require_fit(card, files)
        folder = self._models_dir / card.name
        with locked(self._models_dir):
            versions = self.versions(card.name)
            if card.version in versions:
                require_same(folder / card.version, card, files)
                return self._entry(card.name, card.version)
            if versions and self._stored(card.name) is None:
                # Before the new version appears: whenever this is killed, production stays what it was.
                reason = f"production when {card.version} was added"
                store_channels(folder, started(versions[-1], by="models add", reason=reason))
            beside = dict(files)
            if self._settings is not None:
                card, beside = stored(card, files, self._settings)
            write_version(folder / card.version, card, beside)
        return self._entry(card.name, card.version)

    def promote(self, reference: str, *, by: str, reason: str = "") -> Channels:
        """Make `name@version` what jobs get. Nothing changes if it is so already. As every change of channels it is
        recorded; all raise ModelUnknown, UsageError, DiskFull and TargetUnwritable. This one and `put_candidate` also
        raise LicenceNotAllowed."""
        entry = self._exactly(reference)
        return self._change(entry, lambda channels: channels.promoted(entry.card.version, by=by, reason=reason))

    def put_candidate(
        self, reference: str, *, share: float, shadow: float = 0.0, by: str, reason: str = ""
    ) -> Channels:
        """Give `name@version` to a `share` (0..1) of jobs, and let it compute a `shadow` (0..1) of chunks besides."""
        entry = self._exactly(reference)
        production = self.get(entry.card.name).card
        missing = sorted(set(production.scales) - set(entry.card.scales))
        if missing or entry.card.kind != production.kind:
            lacks = f"cannot enlarge {missing[0]} times" if missing else f"is of kind {entry.card.kind}"
            raise UsageError(
                f"{entry.label} {lacks}, and {production.name}@{production.version}, which it would replace for some "
                f"jobs, {'can' if missing else f'is of kind {production.kind}'}.",
                hint="Add it as a model of its own.",
            )
        return self._change(
            entry,
            lambda channels: channels.with_candidate(
                entry.card.version, share=share, shadow=shadow, by=by, reason=reason
            ),
        )

    def rollback(self, reference: str, *, by: str, reason: str = "") -> Channels:
        """Withdraw the candidate of `name`, or where there is none go back to the production before. Of
        `name@version` only if that version is what would be taken back, so that it may be repeated."""
        name, at, version = reference.partition("@")
        entry = self._exactly(reference) if at else self.get(name)
        return self._change(
            entry, lambda channels: channels.rolled_back(version or None, by=by, reason=reason), licensed=False
        )

    def retire(self, reference: str, *, by: str, reason: str = "") -> Channels:
        """Let no new job have `name@version`. Jobs that began with it still find it."""
        entry = self._exactly(reference)
        return self._change(
            entry, lambda channels: channels.with_retired(entry.card.version, by=by, reason=reason), licensed=False
        )

    def _change(self, entry: ModelEntry, edit: Callable[[Channels], Channels], *, licensed: bool = True) -> Channels:
        if licensed and self._settings is not None:
            require_licence(entry, self._settings)
        name = entry.card.name
        folder = self._models_dir / name
        with locked(self._models_dir):
            before = self.channels(name)
            is_new = self._stored(name) is None
            if is_new:
                before = started(before.production, by="registry", reason="the newest version")
            after = edit(before)
            if is_new or after is not before:
                store_channels(folder, after)
        return after

    def _exactly(self, reference: str) -> ModelEntry:
        if "@" not in reference:
            raise UsageError(f"{reference!r} names no version.", hint=f"Write {reference}@VERSION.")
        return self.get(reference)

    def _stored(self, name: str) -> Channels | None:
        return load_channels(self._models_dir / name)

    def _entry(self, name: str, version: str) -> ModelEntry:
        folder = self._models_dir / name / version
        if not folder.resolve().is_relative_to(self._models_dir.resolve()):
            raise ModelRejected(
                f"The folder {folder} leads out of {self._models_dir}.", hint="Replace the link by a copy."
            )
        card = load_card(folder / CARD)
        if (card.name, card.version) != (name, version):
            raise ModelRejected(
                f"The card {folder / CARD} is of {card.name}@{card.version}.", hint=f"It must be of {name}@{version}."
            )
        if card.weights is not None:
            beside = path_of(card.weights, folder, f"{name}@{version}")
        has_file = card.weights is not None and not card.weights.uri
        return ModelEntry(
            card=card, folder=folder, weights_path=beside if has_file else None, weights_cache=self._weights_cache
        )

    def _unknown(self, reference: str, name: str) -> ModelUnknown:
        versions = self.versions(name)
        if versions:
            known = ", ".join(f"{name}@{version}" for version in versions)
        else:
            known = ", ".join(self.names()) or f"none in {self._models_dir}"
        return ModelUnknown(f"There is no model {reference!r}.", hint=f"Known: {known}.")


def _folders(parent: Path) -> list[str]:
    if not parent.is_dir():
        return []
    return sorted(child.name for child in parent.iterdir() if child.is_dir() and _PART.fullmatch(child.name))


def _numeric(version: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"\d+|[^\d._-]+", version)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
