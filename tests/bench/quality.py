"""What the shipped network gains over bicubic on photographs it never saw."""

from sr_tasks.config import Settings
from sr_tasks.models.registry import Registry
from sr_tasks.training.evaluate import TEST_SET, evaluate, onnx_upscaler, photographs, summarise
from tests.bench.setting import Table

ASKED_DB = {"bicubic": 2.3, "area": 1.9, "aliased": 0.1}


def measure(table: Table) -> None:
    entry = Registry(Settings().models_dir).get("compact-x2")
    if entry.weights_path is None:
        return
    for summary in summarise(evaluate(onnx_upscaler(entry.weights_path, threads=2), photographs())):
        asked = ASKED_DB[summary.down_scaling]
        table.add(
            f"{entry.label} over bicubic, {summary.down_scaling} down-scaling ({TEST_SET})",
            f"{summary.gain_db:+.2f} dB",
            f">= {asked:+.1f} dB",
            summary.gain_db >= asked,
        )
