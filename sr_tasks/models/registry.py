"""The registry: which models there are, where their cards and weights lie. Reads files only; loads no runtime."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from sr_tasks.errors import ModelRejected, ModelUnknown, ScaleUnsupported
from sr_tasks.models.cards import ModelCard, load_card

CARD = "card.yaml"
_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One version of a model as it lies on disk."""

    card: ModelCard
    folder: Path
    weights_path: Path | None
    """None for a model without weights, as a fixed resampler is."""

    @property
    def label(self) -> str:
        return f"{self.card.name}@{self.card.version}"

    @property
    def weights_sha256(self) -> str:
        """As the card says; empty without weights."""
        return self.card.weights.sha256 if self.card.weights else ""

    def require_scale(self, scale: int) -> None:
        """Raises ScaleUnsupported if the model cannot enlarge by `scale`."""
        if scale not in self.card.scales:
            known = ", ".join(str(known) for known in self.card.scales)
            raise ScaleUnsupported(f"The model {self.label} cannot enlarge {scale} times.", hint=f"It can: {known}.")

    def read_weights(self) -> bytes:
        """The weights file, proved by its hash: the very bytes to be parsed. Raises ModelRejected."""
        if self.weights_path is None:
            raise ModelRejected(f"The model {self.label} has no weights.", hint="Give its card a weights entry.")
        try:
            data = self.weights_path.read_bytes()
        except OSError as exc:
            raise ModelRejected(
                f"The weights {self.weights_path} of {self.label} cannot be read: {exc.strerror}.",
                hint="Restore the file, or remove this version of the model.",
            ) from exc
        found = hashlib.sha256(data).hexdigest()
        if found != self.weights_sha256:
            raise ModelRejected(
                f"The weights {self.weights_path} have sha256 {found[:12]}..., "
                f"the card of {self.label} says {self.weights_sha256[:12]}....",
                hint="Restore the file the card was written for; nothing of it was loaded.",
            )
        return data


class Registry:
    """The models under one folder: `<models_dir>/<name>/<version>/card.yaml`."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir

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
        """The model called `name` (its newest version) or `name@version`.

        Raises ModelUnknown if there is none, ModelRejected if its card is not valid or does not fit its place.
        """
        name, at, version = reference.partition("@")
        versions = self.versions(name)
        if not versions or (at and version not in versions):
            raise self._unknown(reference, name, versions)
        return self._entry(name, version or versions[-1])

    def entries(self) -> tuple[ModelEntry, ...]:
        """The newest version of every model."""
        return tuple(self.get(name) for name in self.names())

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
        if card.kind == "network" and card.weights is None:
            raise ModelRejected(f"The card {folder / CARD} names no weights.", hint="A network needs them.")
        return ModelEntry(card=card, folder=folder, weights_path=_weights_path(folder, card))

    def _unknown(self, reference: str, name: str, versions: tuple[str, ...]) -> ModelUnknown:
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


def _weights_path(folder: Path, card: ModelCard) -> Path | None:
    if card.weights is None:
        return None
    path = folder / card.weights.file
    if Path(card.weights.file).name != card.weights.file or not path.resolve().is_relative_to(folder.resolve()):
        raise ModelRejected(
            f"The card of {card.name}@{card.version} names weights outside its folder: {card.weights.file!r}.",
            hint="Weights lie beside their card.",
        )
    return path
