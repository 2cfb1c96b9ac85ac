"""How long frames take by the model's card, and how many of them are worth a task."""

from sr_tasks.config import Settings
from sr_tasks.records.cards import ModelCard


def frames_worth_a_task(card: ModelCard, pixels: int, scale: int, settings: Settings) -> int:
    """Frames that take about `chunk_target_s` seconds, from the card's measured cost of one thread."""
    return max(1, round(settings.chunk_target_s / seconds_a_frame(card, pixels, scale, settings)))


def seconds_a_frame(card: ModelCard, pixels: int, scale: int, settings: Settings) -> float:
    """What the card says a frame of so many source pixels takes on this machine's threads, without encoding it."""
    passes = sum(card.scale ** (2 * n) for n in range(card.scales.index(scale) + 1)) if scale in card.scales else 1
    return card.relative_cost * passes * pixels / 1e6 / settings.worker_threads
