"""The photographs that recipes train on and measure by: a folder with a list. Reads luma; draws and trains nothing."""

import csv
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from sr_tasks.errors import InputInvalid, InputNotFound, UsageError
from sr_tasks.planes.scaling import Codes
from sr_tasks.storage.atomic import replacing
from sr_tasks.training.evaluate import luma_601
from sr_tasks.training.recipe import PhotosRecipe

LIST: Final = "photos.csv"
Split = Literal["train", "validation"]


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A row of the list."""

    file: str
    split: str
    source: str
    licence: str


def read_list(folder: Path, sha256: str) -> list[Photo]:
    """The rows of photos.csv in `folder`: columns file, split (train or validation), source, licence, and others.

    Raises InputNotFound for a missing list, and UsageError for one whose hash is not `sha256`.
    """
    path = folder / LIST
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputNotFound(f"There is no list of photographs {path}.", hint="Name their folder by --photos.") from exc
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise UsageError(f"{path} has sha256 {found}, not {sha256}.", hint="Correct photos.list_sha256 in the recipe.")
    rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    return [Photo(file=row["file"], split=row["split"], source=row["source"], licence=row["licence"]) for row in rows]


def training_photos(recipe: PhotosRecipe, folder: Path, out_dir: Path) -> Codes:
    """Luma uint8 [n, side, side] of the training split; read once, then mapped from `out_dir`."""
    stored = out_dir / f"photos-{recipe.list_sha256[:16]}.npy"
    if not stored.is_file():
        files = [photo.file for photo in read_list(folder, recipe.list_sha256) if photo.split == "train"]
        with ThreadPoolExecutor(4) as pool:
            planes = list(pool.map(lambda name: luma_of(folder / name), files))
        if len({plane.shape for plane in planes}) != 1 or planes[0].shape[0] != planes[0].shape[1]:
            raise UsageError(f"The photographs in {folder} are not squares of one size.", hint="Crop them first.")
        with replacing(stored) as draft:
            np.save(draft, np.stack(planes))
    photos: Codes = np.load(stored, mmap_mode="r")
    return photos


def validation_photos(recipe: PhotosRecipe, folder: Path, count: int | None = None) -> dict[str, Codes]:
    """Luma uint8 [H, W] by file name, sides multiples of 4: `count` evenly chosen of the validation split, or all."""
    names = [photo.file for photo in read_list(folder, recipe.list_sha256) if photo.split == "validation"]
    if count is not None and count < len(names):
        names = [names[index * len(names) // count] for index in range(count)]
    planes = {name: luma_of(folder / name) for name in names}
    return {name: plane[: plane.shape[0] // 4 * 4, : plane.shape[1] // 4 * 4] for name, plane in planes.items()}


def luma_of(path: Path) -> Codes:
    """Y of BT.601, uint8 [H, W], of a picture file. Raises InputInvalid for one that is none."""
    try:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), dtype=np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as exc:
        raise InputInvalid(f"{path} cannot be read.", hint="Take the folder that the recipe was made with.") from exc
    if picture is None:
        raise InputInvalid(f"{path} is no picture.", hint="Take the folder that the recipe was made with.")
    return luma_601(np.asarray(picture, dtype=np.uint8)[..., ::-1])
