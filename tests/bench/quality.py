"""What the shipped networks gain over bicubic on photographs they never saw."""

from sr_tasks.config import Settings
from sr_tasks.registry.registry import Registry
from sr_tasks.training.evaluate import TEST_SET, evaluate, onnx_upscaler, photographs, summarise
from tests.bench.setting import Table

ASKED_DB = {
    "compact-x2": {"bicubic": 2.0, "area": 2.0, "aliased": 0.2},
    "quality-x2": {"bicubic": 2.5, "area": 2.0, "aliased": 0.2},
    "compact-x4": {"bicubic": 1.4},
    "quality-x4": {"bicubic": 1.8},
}


def measure(table: Table) -> None:
    registry = Registry.of(Settings())
    for name, asked_db in ASKED_DB.items():
        entry = registry.get(name)
        if entry.weights_path is None:
            continue
        rows = evaluate(onnx_upscaler(entry.weights_path, threads=2), photographs(), scale=entry.card.scale)
        for summary in summarise(rows):
            asked = asked_db.get(summary.down_scaling)
            table.add(
                f"{entry.label} over bicubic, {summary.down_scaling} down-scaling ({TEST_SET})",
                f"{summary.gain_db:+.2f} dB",
                "" if asked is None else f">= {asked:+.1f} dB",
                asked is None or summary.gain_db >= asked,
            )
