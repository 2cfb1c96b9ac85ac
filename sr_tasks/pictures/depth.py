"""How many bits a sample of a picture has, from its header: Pillow does not say."""

from pathlib import Path
from typing import Final

from PIL import Image

from sr_tasks.records.pictures import PictureFormat

_BITS_TAG: Final = 258
_PNG_DEPTH_AT: Final = 24
_AVIF_HEAD_BYTES: Final = 1 << 16


def bits_of(path: Path, image: Image.Image, name: PictureFormat) -> int:
    """8 for all that has 8 or fewer, else what the file says: 10, 12 or 16."""
    if name == "PNG":
        return max(8, _head(path, _PNG_DEPTH_AT + 1)[_PNG_DEPTH_AT])
    if name == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_TAG, (8,))
        return max(8, *(int(each) for each in (bits if isinstance(bits, tuple) else (bits,))))
    if name == "AVIF":
        return _avif_bits(_head(path, _AVIF_HEAD_BYTES))
    if name == "HEIF":
        return int(image.info.get("bit_depth") or 8)
    return 16 if image.mode.startswith("I;16") else 8


def _head(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


def _avif_bits(head: bytes) -> int:
    """From the first box `av1C`: its third byte begins with tier, high bit depth and twelve bit."""
    at = head.find(b"av1C")
    if at < 0 or len(head) < at + 7:
        return 8
    flags = head[at + 6]
    if not flags & 0x40:
        return 8
    return 12 if flags & 0x20 else 10
