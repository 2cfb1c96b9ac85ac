"""Folders of small pictures for whole jobs, and what a job over one leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".tif", ".bmp", ".webp", ".gif")
SIZES = ((48, 32), (32, 48), (40, 40), (33, 27))


def picture(path: Path, number: int = 0, size: tuple[int, int] = SIZES[0]) -> Path:
    """A picture whose content the number decides; its suffix says the format."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4 + number % 5) ** 2
    blue = np.where(inside, 200 - number % 100, 40 + number % 50)
    samples = np.stack([x * 255 // width, y * 255 // height, blue], axis=2).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path)
    return path


def pictures(folder: Path, count: int) -> Path:
    """That many pictures of several formats and sizes, in two folders below."""
    for number in range(count):
        suffix, size = SUFFIXES[number % len(SUFFIXES)], SIZES[number % len(SIZES)]
        picture(folder / f"part {number % 2}" / f"p{number:03d}{suffix}", number, size)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Name -> content of every picture below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(("pictures.", "."))
    }


def manifest(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "pictures.manifest.json").read_text())
    return found


def lines(workdir: Path) -> list[dict[str, Any]]:
    """All lines of the ledgers that are whole."""
    found = []
    for ledger in workdir.glob("jobs/*/results/*.jsonl"):
        found += [json.loads(line) for line in ledger.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return found
