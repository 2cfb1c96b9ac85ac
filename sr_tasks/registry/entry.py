"""One version of a model: its card and where its files lie. Reads weights through `weights` alone."""

from dataclasses import dataclass
from pathlib import Path

from sr_tasks.errors import ModelRejected, ScaleUnsupported
from sr_tasks.records.cards import ModelCard, Weights
from sr_tasks.registry import weights as files
from sr_tasks.registry.weights import WeightsCache


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One version of a model as it lies on disk."""

    card: ModelCard
    folder: Path
    weights_path: Path | None
    """Beside the card. None for a model without weights, as a fixed resampler is, and for weights kept elsewhere."""
    weights_cache: WeightsCache | None = None
    """Where weights kept elsewhere are fetched to."""

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
            hint = f"It can: {known}."
            if self.card.kind == "style":
                hint += " Run it with scale 1, then another model on its output."
            raise ScaleUnsupported(f"The model {self.label} cannot enlarge {scale} times.", hint=hint)

    def read_weights(self) -> bytes:
        """The weights file, proved by its hash: the very bytes to be parsed. Raises ModelRejected, and for weights
        kept elsewhere what fetching raises (see `weights`)."""
        return files.read(self._weights(), self.folder, self.weights_cache, self.label)

    def locate_weights(self) -> Path:
        """The weights as a file on this machine, proved by its hash just now. Raises as `read_weights`."""
        return files.locate(self._weights(), self.folder, self.weights_cache, self.label)

    def locate_original(self) -> Path:
        """The file the weights were exported from, proved by its hash just now. Raises as `read_weights`."""
        if self.card.original is None:
            raise ModelRejected(f"The model {self.label} has no original.", hint="Its weights are all there is.")
        return files.locate(self.card.original, self.folder, self.weights_cache, self.label)

    def _weights(self) -> Weights:
        if self.card.weights is None:
            raise ModelRejected(f"The model {self.label} has no weights.", hint="Give its card a weights entry.")
        return self.card.weights
