"""Measures a luma network for its card: `python -m sr_tasks.training.measure WEIGHTS.onnx`.

Prints the rows of `quality`. Needs scikit-image and scikit-learn for the photographs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from sr_tasks.records.cards import Quality
from sr_tasks.training.evaluate import TEST_SET, evaluate, onnx_upscaler, photographs, summarise, takes_level
from sr_tasks.training.evaluate_degraded import degradations_to_test, evaluate_degraded


def quality_of(path: Path) -> Iterator[Quality]:
    """One row for each down-scaling and, for a network that is given a level, for each degradation."""
    truths, probe = photographs(), np.zeros((8, 8), np.float32)
    scale = onnx_upscaler(path)(probe).shape[0] // probe.shape[0]
    for summary in summarise(evaluate(onnx_upscaler(path), truths, scale=scale)):
        yield Quality(
            test_set=TEST_SET,
            scale=scale,
            down_scaling=summary.down_scaling,
            psnr_db=round(summary.psnr_db, 2),
            ssim=round(summary.ssim, 4),
            gain_over_bicubic_db=round(summary.gain_db, 2),
        )
    if not takes_level(path):
        return
    for degradation in (one for one in degradations_to_test() if one.kind != "clean"):
        rows = evaluate_degraded(lambda level: onnx_upscaler(path, level=level), truths, [degradation], scale=scale)
        yield Quality(
            test_set=TEST_SET,
            scale=scale,
            down_scaling="bicubic",
            degradation=degradation.label,
            psnr_db=round(float(np.mean([row.psnr_db for row in rows])), 2),
            gain_over_bicubic_db=round(float(np.mean([row.gain_db for row in rows])), 2),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure a luma network and print the rows of `quality` of its card.")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS.onnx")
    rows = [row.model_dump(exclude_defaults=True) for row in quality_of(parser.parse_args(arguments).weights)]
    print(yaml.safe_dump({"quality": rows}, sort_keys=False), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
