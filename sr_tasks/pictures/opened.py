"""The door to Pillow and its plugins: opens a picture by its content and translates what they raise."""

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sr_tasks.errors import InputInvalid, InputTooLarge, InputUnsupported, SrError
from sr_tasks.pictures.kinds import format_of
from sr_tasks.records.pictures import PictureFormat

_ANOTHER = "Convert the picture with another program first."


@functools.cache
def _plugins() -> None:
    """Load the readers of HEIC and JPEG XL. The size of a picture is limited by `opened`, so Pillow's limit is off."""
    import pillow_heif
    import pillow_jxl  # noqa: F401  registers itself

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False)
    Image.init()
    Image.MAX_IMAGE_PIXELS = None


@contextmanager
def opened(path: Path, *, max_pixels: int | None = None) -> Iterator[tuple[Image.Image, PictureFormat]]:
    """A picture, not yet decoded, and its format.

    Raises InputTooLarge for one whose header says more than `max_pixels`, InputInvalid for one that cannot be read,
    InputUnsupported for what begins like no picture.
    """
    name = format_of(path)
    if name is None:
        raise InputUnsupported(f"{path.name} begins like no picture.", hint=_ANOTHER)
    _plugins()
    with translated(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which is looked at anyway
        with Image.open(path, formats=[name]) as image:
            if max_pixels is not None and image.width * image.height > max_pixels:
                raise InputTooLarge(
                    f"{path.name} is {image.width}x{image.height}, past the limit of {max_pixels} pixels.",
                    hint="Raise SR_MAX_PIXELS or make it smaller.",
                )
            yield image, name


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever a decoder raises becomes InputInvalid: Pillow and its plugins raise anything for a file that is
    wrong. Raises MemoryError and our own errors as they are."""
    try:
        yield
    except (MemoryError, SrError):
        raise
    except UnidentifiedImageError as exc:
        raise InputInvalid(f"{path.name} is no readable picture.", hint=_ANOTHER) from exc
    except Exception as exc:
        said = str(exc).strip().rstrip(".") or type(exc).__name__
        raise InputInvalid(f"{path.name} cannot be decoded: {said}.", hint=_ANOTHER) from exc
