"""What this deployment lets jobs use, by licence. The expressions themselves are read in `spdx`."""

from sr_tasks.config import Settings
from sr_tasks.errors import LicenceNotAllowed, UsageError
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.spdx import satisfies
from sr_tasks.registry.entry import ModelEntry


def licences_of(card: ModelCard) -> tuple[str, ...]:
    """Every licence a job that uses the model is under: the model's own, and that of the style it imitates."""
    return (card.licence,) if card.style is None else (card.licence, card.style.licence)


def is_allowed(card: ModelCard, settings: Settings) -> bool:
    """Whether jobs may use the model. Raises UsageError if the deployment's own list cannot be read."""
    return _refused(card, settings) is None


def require_licence(entry: ModelEntry, settings: Settings) -> None:
    """Raises LicenceNotAllowed unless this deployment allows each of the model's licences, UsageError if the list of
    allowed ones cannot be read."""
    refused = _refused(entry.card, settings)
    if refused is not None:
        whose = "style of the model" if refused != entry.card.licence else "model"
        raise LicenceNotAllowed(
            f"The {whose} {entry.label} is under {refused}, which this deployment does not allow.",
            hint=f"Allowed (SR_ALLOWED_LICENCES): {', '.join(settings.allowed_licences) or 'none'}.",
        )


def _refused(card: ModelCard, settings: Settings) -> str | None:
    try:
        return next((one for one in licences_of(card) if not satisfies(one, settings.allowed_licences)), None)
    except ValueError as exc:
        raise UsageError(f"SR_ALLOWED_LICENCES cannot be read: {exc}.", hint="An example: MIT:Apache-2.0.") from exc
